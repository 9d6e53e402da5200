// Text for people.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace prefork::os {

// A static description, in English, of a negative errno or a code of the library; of success for
// all other numbers.
const char *error_text(int error);

// Writes a message of at most PIPE_BUF bytes to standard error, if the process has one. It waits
// for no reader and raises no signal. A message that cannot be written now is lost, and counted.
void write_to_stderr(const char *text, size_t length);

// Writes how many messages were lost, if any were and it can be written now.
void report_lost_messages();

} // namespace prefork::os
