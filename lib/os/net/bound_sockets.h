// What this process has bound, set by set with what the host asked for, so
// that workers that are started by exec can be given it instead of binding again.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string.h>

#include "os/fd/borrowed_fd.h"

namespace prefork::os {

inline constexpr size_t bound_sockets_max = 64; // of one set

// What the host asked for. Sets with equal keys are distinguished by their order.
struct SocketKey {
    const char *name; // the host, "" for any address; or the path
    int port;
    int family; // AF_UNIX goes with a path
    uint32_t flags;
};

struct BoundSet {
    BoundSet *next;
    SocketKey key;
    std::span<BorrowedFd> sockets;
};

// Not for two threads at the same time. Sets of which the host has closed all are forgotten.
// Returns 0 or a negative errno.
[[nodiscard]] int note_bound_sockets(const SocketKey &key, std::span<const int> descriptors);

// All sets that are noted, in the order of the calls; nullptr: none.
const BoundSet *bound_sets();

// Copies them all. Returns 0 or -ENOMEM.
[[nodiscard]] int copy_bound_sets(BoundSet **ret_first);
void free_sets(BoundSet *first);

inline bool are_equal(const SocketKey &one, const SocketKey &other) {
    return one.port == other.port && one.family == other.family && one.flags == other.flags &&
           strcmp(one.name, other.name) == 0;
}

// In a worker that was started by exec: notes what its supervisor handed on. Returns 0 or a
// negative errno.
[[nodiscard]] int note_handed_on(const SocketKey &key, std::span<const int> descriptors);

// Closes what was handed on and that nobody has asked for. Under the lock of the process.
void close_handed_on();

// Gives the next set of that key that was handed on, which this process has bound then, as it were.
// Returns how many descriptors it has set; 0: there is none; or -ENOBUFS.
int find_handed_on(const SocketKey &key, std::span<int> descriptors);

} // namespace prefork::os
