// SPDX-License-Identifier: MIT
#include "core/deadlines.h"

namespace prefork::core {

bool Deadlines::grow(uint32_t workers, uint32_t spares) {
    return entries_.grow(size_t{workers} + spares) && indexes_.grow(workers) &&
           indexes_.grow_spares(spares);
}

void Deadlines::arm(uint32_t owner, Instant deadline) {
    disarm(owner);
    size_ += 1;
    rise(size_ - 1, Entry{deadline, owner});
}

void Deadlines::arm_at_latest(uint32_t owner, Instant deadline) {
    if (!armed(owner) || entries_[indexes_[owner] - 1].deadline > deadline) {
        arm(owner, deadline);
    }
}

void Deadlines::disarm(uint32_t owner) {
    if (!armed(owner)) {
        return;
    }
    const uint32_t index = indexes_[owner] - 1;
    indexes_[owner] = 0;
    size_ -= 1;
    if (index == size_) {
        return;
    }
    // The last entry moves to the free index, then up or down from there.
    const Entry last = entries_[size_];
    if (index > 0 && last.is_before(entries_[(index - 1) / 2])) {
        rise(index, last);
    } else {
        sink(index, last);
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

void Deadlines::put(uint32_t index, const Entry &entry) {
    entries_[index] = entry;
    indexes_[entry.owner] = index + 1;
}

void Deadlines::rise(uint32_t index, const Entry &entry) {
    while (index > 0) {
        const uint32_t parent = (index - 1) / 2;
        if (!entry.is_before(entries_[parent])) {
            break;
        }
        put(index, entries_[parent]);
        index = parent;
    }
    put(index, entry);
}

void Deadlines::sink(uint32_t index, const Entry &entry) {
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= size_) {
            break;
        }
        if (child + 1 < size_ && entries_[child + 1].is_before(entries_[child])) {
            child += 1;
        }
        if (!entries_[child].is_before(entry)) {
            break;
        }
        put(index, entries_[child]);
        index = child;
    }
    put(index, entry);
}

} // namespace prefork::core
