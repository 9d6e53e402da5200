// Which process this is. Its pid alone does not identify it: a child in a new pid namespace may
// have the pid of its parent, and a pid is given again once its process is gone.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

// Different for each process among those that come from each other by fork or clone; 0: of none.
using ProcessId = uint32_t;

// Never 0. Async-signal-safe. The first call in a program takes a page of memory.
ProcessId own_process_id();

// The pid as the kernel reports it. It alone does not identify a process.
int32_t own_pid();

// Takes one system call. Async-signal-safe.
bool is_this_process(ProcessId id);

// The same for an id that is not 0, or a child of vfork() of that process, which must not return
// from where it was made. Takes no system call where the kernel wipes pages for children.
bool has_memory_of(ProcessId id);

} // namespace prefork::os
