// Text for people.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace prefork::os {

// A static description, in English, of a negative errno or a code of the library; of success for
// all other numbers.
const char *error_text(int error);

// Writes to stderr with one system call; what can not be written is lost.
void write_to_stderr(const char *text, size_t length);

} // namespace prefork::os
