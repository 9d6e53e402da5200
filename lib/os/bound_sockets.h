// What this process has bound, set by set and under the words of the host that asked for it, so
// that workers that are started by exec can be given it instead of binding again.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string.h>

namespace prefork::os {

inline constexpr size_t bound_sockets_max = 64; // of one set

// What the host asked for; sets with equal keys are told apart by their order.
struct SocketKey {
    const char *name; // the host, "" for any address; or the path
    int port;
    int family; // AF_UNIX goes with a path
    uint32_t flags;
};

struct BoundSocket {
    int descriptor;
    uint64_t device; // with the inode: what it was when it was bound
    uint64_t inode;
};

struct BoundSet {
    BoundSet *next;
    SocketKey key;
    std::span<BoundSocket> sockets;
};

// Not for two threads at the same time. Sets of which the host has closed all are forgotten.
// Returns 0 or -ENOMEM.
[[nodiscard]] int note_bound_sockets(const SocketKey &key, std::span<const int> descriptors);

// All sets that are noted, in the order of the calls; nullptr: none.
const BoundSet *bound_sets();

// Whether the host has left the socket where it was.
bool is_still_bound(const BoundSocket &socket);

inline bool are_equal(const SocketKey &one, const SocketKey &other) {
    return one.port == other.port && one.family == other.family && one.flags == other.flags &&
           strcmp(one.name, other.name) == 0;
}

// In a worker that was started by exec: gives the next set of that key that the supervisor handed
// on. Returns how many descriptors, all of them set; 0: there is none; or a negative errno.
using HandedOn = int (*)(const SocketKey &key, std::span<int> descriptors);
void set_handed_on(HandedOn function);
int find_handed_on(const SocketKey &key, std::span<int> descriptors);

} // namespace prefork::os
