// The descriptors that systemd, or a manager with the same protocol, passed to this process.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::os {

inline constexpr int first_passed_descriptor = 3;

// When the library is loaded: the environment may be changed later, and a forked process is not the
// one that it names. It is left as it is, for the host may read it too.
void note_passed_descriptors();

// In a worker by exec: how many of those that it was given its supervisor had been passed, or the
// errno that it answers with.
void set_passed_descriptors(int count);

// How many there are, from first_passed_descriptor on; or a negative errno if the environment was
// not valid when the library was loaded. Processes that were forked since return the same.
int passed_descriptor_count();

// The same, but -EBADF if one has been closed since, or is another file.
int check_passed_descriptors();

// Makes them close-on-exec, and those that listen non-blocking. Returns what the above returns.
int claim_passed_descriptors();

} // namespace prefork::os
