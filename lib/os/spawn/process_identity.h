// What a process is, for all copies of the library that it holds: a program's own one, one that an
// extension brings along, one in a name space of its own.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace prefork::os {

enum class Standing : uint32_t {
    free,      // may supervise
    unclaimed, // a worker by exec that has not claimed its identity yet
    misplaced  // started as a worker, but by an environment that cannot be believed
};

// Copies of different versions share it: another layout needs another number.
struct ProcessIdentity {
    static constexpr uint64_t layout_number = 0x7072'6566'6f72'6b02; // "prefork", 2
    static constexpr size_t pool_name_size = 64;

    uint64_t layout = layout_number;
    std::atomic<int32_t> task_id{-1};
    std::atomic<int32_t> pid{0};          // of the worker, not of its children
    std::atomic<int32_t> executed_pid{0}; // the same of a worker by exec
    std::atomic<Standing> standing{Standing::free};
    std::atomic<uint32_t> copies{0}; // of the library that share it
    char pool_name[pool_name_size] = "";
};

// At load: lets the other copies find this one's, unless there is one already.
void publish_identity(ProcessIdentity *own);
// At unload.
void withdraw_identity(ProcessIdentity *own);

// The one that was published first in this process or in the one that forked it; nullptr: none any
// more.
ProcessIdentity *published_identity();

// Whether other copies share it. Async-signal-safe.
bool has_other_copies();

} // namespace prefork::os
