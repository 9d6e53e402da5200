// SPDX-License-Identifier: MIT
#include "os/bound_sockets.h"

#include <errno.h>
#include <new>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

namespace prefork::os {

namespace {

BoundSet *first_set = nullptr;
HandedOn handed_on = nullptr;

bool any_is_bound(const BoundSet &set) {
    for (const BoundSocket &socket : set.sockets) {
        if (is_still_bound(socket)) {
            return true;
        }
    }
    return false;
}

// A host that binds and closes again and again takes no more memory than one that does so once.
BoundSet **drop_closed_sets() {
    BoundSet **place = &first_set;
    while (*place != nullptr) {
        BoundSet *set = *place;
        if (any_is_bound(*set)) {
            place = &set->next;
        } else {
            *place = set->next;
            free(set);
        }
    }
    return place;
}

} // namespace

int note_bound_sockets(const SocketKey &key, std::span<const int> descriptors) {
    // One piece of memory: the set, its sockets, the name.
    const size_t before_name = sizeof(BoundSet) + descriptors.size() * sizeof(BoundSocket);
    const size_t name_size = strlen(key.name) + 1;
    char *memory = static_cast<char *>(malloc(before_name + name_size));
    if (memory == nullptr) {
        return -ENOMEM;
    }
    auto *sockets = new (memory + sizeof(BoundSet)) BoundSocket[descriptors.size()];
    memcpy(memory + before_name, key.name, name_size);
    auto *set = new (memory) BoundSet{nullptr, key, {sockets, descriptors.size()}};
    set->key.name = memory + before_name;
    for (const int descriptor : descriptors) {
        struct stat status {};
        fstat(descriptor, &status); // can not fail: the socket has just been made
        *sockets++ = {descriptor, status.st_dev, status.st_ino};
    }
    *drop_closed_sets() = set;
    return 0;
}

const BoundSet *bound_sets() { return first_set; }

bool is_still_bound(const BoundSocket &socket) {
    struct stat status {};
    return fstat(socket.descriptor, &status) == 0 && status.st_dev == socket.device &&
           status.st_ino == socket.inode;
}

void set_handed_on(HandedOn function) { handed_on = function; }

int find_handed_on(const SocketKey &key, std::span<int> descriptors) {
    const int count = handed_on == nullptr ? 0 : handed_on(key, descriptors);
    if (count <= 0) {
        return count;
    }
    // A worker may have workers of its own that are to be given it.
    const int r = note_bound_sockets(key, descriptors.first(static_cast<size_t>(count)));
    return r < 0 ? r : count;
}

} // namespace prefork::os
