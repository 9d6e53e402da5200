// SPDX-License-Identifier: MIT
#include "core/deadlines.h"

namespace prefork::core {

bool Deadlines::grow(uint32_t owners) { return entries_.grow(owners) && places_.grow(owners); }

void Deadlines::arm(uint32_t owner, Instant deadline) {
    disarm(owner);
    size_ += 1;
    rise(size_ - 1, Entry{deadline, owner});
}

void Deadlines::arm_at_latest(uint32_t owner, Instant deadline) {
    if (!armed(owner) || entries_[places_[owner] - 1].deadline > deadline) {
        arm(owner, deadline);
    }
}

void Deadlines::disarm(uint32_t owner) {
    if (!armed(owner)) {
        return;
    }
    const uint32_t place = places_[owner] - 1;
    places_[owner] = 0;
    size_ -= 1;
    if (place == size_) {
        return;
    }
    // The last entry takes the free place and goes where it belongs from there.
    const Entry last = entries_[size_];
    if (place > 0 && last.is_before(entries_[(place - 1) / 2])) {
        rise(place, last);
    } else {
        sink(place, last);
    }
}

bool Deadlines::list_due(Instant now, uint32_t *ret_owner) {
    if (nearest() > now || size_ == 0) {
        return false;
    }
    *ret_owner = entries_[0].owner;
    disarm(*ret_owner);
    return true;
}

void Deadlines::put(uint32_t place, const Entry &entry) {
    entries_[place] = entry;
    places_[entry.owner] = place + 1;
}

void Deadlines::rise(uint32_t place, const Entry &entry) {
    while (place > 0) {
        const uint32_t parent = (place - 1) / 2;
        if (!entry.is_before(entries_[parent])) {
            break;
        }
        put(place, entries_[parent]);
        place = parent;
    }
    put(place, entry);
}

void Deadlines::sink(uint32_t place, const Entry &entry) {
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= size_) {
            break;
        }
        if (child + 1 < size_ && entries_[child + 1].is_before(entries_[child])) {
            child += 1;
        }
        if (!entries_[child].is_before(entry)) {
            break;
        }
        put(place, entries_[child]);
        place = child;
    }
    put(place, entry);
}

} // namespace prefork::core
