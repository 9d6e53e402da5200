// The descriptors that systemd, or who speaks its protocol, has opened for this process.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::os {

inline constexpr int first_passed_descriptor = 3;

// How many there are, from first_passed_descriptor on; or the negative errno that says why what the
// environment told, when the library was loaded, can not be. Processes forked since say the same.
int passed_descriptor_count();

// Makes them close-on-exec, and those that listen non-blocking. Returns what the above returns, or
// -EBADF if one has been closed.
int take_passed_descriptors();

} // namespace prefork::os
