// SPDX-License-Identifier: MIT
#include "os/net/bound_sockets.h"

#include <errno.h>
#include <new>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utility>

#include "os/process/process_lock.h"

namespace prefork::os {

namespace {

// Guarded by the lock of the process: a pool of another thread may start while sockets are bound.
BoundSet *first_bound = nullptr;
BoundSet *first_handed_on = nullptr;

bool any_is_open(const BoundSet &set) {
    for (const BorrowedFd &socket : set.sockets) {
        if (socket.is_still_open()) {
            return true;
        }
    }
    return false;
}

// A host that binds and closes again and again takes no more memory than one that does so once.
// Returns the end of the list.
BoundSet **drop_closed_sets(BoundSet **place) {
    while (*place != nullptr) {
        BoundSet *set = *place;
        if (any_is_open(*set)) {
            place = &set->next;
        } else {
            *place = set->next;
            free(set);
        }
    }
    return place;
}

// Returns 0 or -ENOMEM.
int make_set(const SocketKey &key, std::span<const BorrowedFd> sockets, BoundSet **ret_set) {
    // One piece of memory: the set, its sockets, the name.
    const size_t before_name = sizeof(BoundSet) + sockets.size_bytes();
    const size_t name_size = strlen(key.name) + 1;
    char *memory = static_cast<char *>(malloc(before_name + name_size));
    if (memory == nullptr) {
        return -ENOMEM;
    }
    auto *copies = new (memory + sizeof(BoundSet)) BorrowedFd[sockets.size()];
    memcpy(copies, sockets.data(), sockets.size_bytes());
    memcpy(memory + before_name, key.name, name_size);
    auto *set = new (memory) BoundSet{nullptr, key, {copies, sockets.size()}};
    set->key.name = memory + before_name;
    *ret_set = set;
    return 0;
}

} // namespace

int note_bound_sockets(const SocketKey &key, std::span<const int> descriptors) {
    BorrowedFd sockets[bound_sockets_max];
    size_t count = 0;
    for (const int descriptor : descriptors) {
        if (!sockets[count++].borrow(descriptor)) {
            return -errno; // a worker by exec could not be given it
        }
    }
    const ProcessLock lock;
    return make_set(key, std::span(sockets).first(count), drop_closed_sets(&first_bound));
}

const BoundSet *bound_sets() { return first_bound; }

int copy_bound_sets(BoundSet **ret_first) {
    const ProcessLock lock;
    BoundSet *first = nullptr;
    BoundSet **place = &first;
    for (const BoundSet *set = first_bound; set != nullptr; set = set->next) {
        if (int r = make_set(set->key, set->sockets, place); r < 0) {
            free_sets(first);
            return r;
        }
        place = &(*place)->next;
    }
    *ret_first = first;
    return 0;
}

void free_sets(BoundSet *first) {
    while (first != nullptr) {
        BoundSet *set = first;
        first = set->next;
        free(set);
    }
}

int note_handed_on(const SocketKey &key, std::span<const int> descriptors) {
    BorrowedFd sockets[bound_sockets_max];
    size_t count = 0;
    for (const int descriptor : descriptors) {
        if (sockets[count].borrow(descriptor)) {
            count += 1;
        } else if (errno != EBADF) { // the program in between may have closed it
            return -errno;
        }
    }
    return make_set(key, std::span(sockets).first(count), drop_closed_sets(&first_handed_on));
}

void close_handed_on() {
    BoundSet *const first = std::exchange(first_handed_on, nullptr); // a fork may come at any time
    for (const BoundSet *set = first; set != nullptr; set = set->next) {
        for (const BorrowedFd &socket : set->sockets) {
            if (socket.is_still_open()) {
                close(socket.get());
            }
        }
    }
    free_sets(first);
}

int find_handed_on(const SocketKey &key, std::span<int> descriptors) {
    const ProcessLock lock;
    drop_closed_sets(&first_handed_on);
    BoundSet **place = &first_handed_on;
    while (*place != nullptr && !are_equal((*place)->key, key)) {
        place = &(*place)->next;
    }
    BoundSet *set = *place;
    if (set == nullptr) {
        return 0;
    }
    int count = 0;
    if (set->sockets.size() > descriptors.size()) {
        return -ENOBUFS;
    }
    for (const BorrowedFd &socket : set->sockets) {
        if (socket.is_still_open()) {
            descriptors[static_cast<size_t>(count++)] = socket.get();
        }
    }
    *place = set->next;
    set->next = nullptr;
    *drop_closed_sets(&first_bound) = set;
    return count;
}

} // namespace prefork::os
