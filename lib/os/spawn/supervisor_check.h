// Whether the process that PF_SUPERVISOR names is the supervisor of this one.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

// Whether this process was started by that supervisor, whose pidfd it may have been given, and may
// believe what its environment says. A program that runs with more rights than its caller, from a
// set-user-id file or one with capabilities, may only if the supervisor has these rights as well.
// False also where that cannot be found out.
[[nodiscard]] bool is_supervised_by(int32_t supervisor, int pidfd);

// The kernel forgets the death signal of a process that gets more rights by executing a program.
// Has it sent again, 0 is none, and then returns whether the supervisor is still there.
[[nodiscard]] bool arm_death_signal(int32_t signal, int32_t supervisor, int pidfd);

// Whether a process gets rights by executing the program: by a set-user-id bit, or capabilities.
[[nodiscard]] bool gives_rights(const char *program);

// In a supervisor: whether its workers could find out which rights it has, if the program gives
// them more than their caller has. Returns 0 or the negative errno.
[[nodiscard]] int check_visibility_to(const char *program);

} // namespace prefork::os
