// Ending this process.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::os {

// Ends this process as if its main function had returned 0.
[[noreturn]] void exit_normally();

// Ends this process by the signal, as if the library had never been there. Where that does not
// end it (PID 1 of a namespace) it exits with 128 + signal.
[[noreturn]] void die_of(int signal);

} // namespace prefork::os
