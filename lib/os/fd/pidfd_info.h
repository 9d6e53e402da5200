// What the kernel reports about the process behind a pidfd.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <sys/ioctl.h>

namespace prefork::os {

// The first version of the kernel's struct pidfd_info, which all later kernels accept.
struct PidfdInfo {
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t pid, thread_group_id, parent_pid;
    uint32_t real_user, real_group, effective_user, effective_group;
    uint32_t saved_user, saved_group, filesystem_user, filesystem_group;
    int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);

#ifdef __GLIBC__
using IoctlRequest = unsigned long;
#else
using IoctlRequest = int; // as POSIX has it
#endif
inline constexpr auto pidfd_get_info =
    static_cast<IoctlRequest>(_IOWR(0xFF, 11, PidfdInfo)); // Linux 6.13
// What is requested, and then what was reported.
inline constexpr uint64_t pidfd_info_credentials = 1U << 1;
inline constexpr uint64_t pidfd_info_exit = 1U << 3; // Linux 6.15

} // namespace prefork::os
