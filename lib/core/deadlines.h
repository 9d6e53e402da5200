// The deadlines of all workers, the nearest at hand.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/array.h"
#include "base/worker_array.h"
#include "core/values.h"

namespace prefork::core {

// A binary heap in which every owner has at most one deadline. Arming and disarming cost
// O(log n), reading the nearest O(1), and nothing is allocated but in grow().
class Deadlines {
  public:
    [[nodiscard]] bool grow(uint32_t workers, uint32_t spares);

    // Replaces the owner's earlier deadline, if it has one.
    void arm(uint32_t owner, Instant deadline);
    // Leaves an earlier deadline as it is.
    void arm_at_latest(uint32_t owner, Instant deadline);
    void disarm(uint32_t owner);

    [[nodiscard]] bool armed(uint32_t owner) const { return indexes_[owner] != 0; }
    [[nodiscard]] Instant of(uint32_t owner) const {
        return armed(owner) ? entries_[indexes_[owner] - 1].deadline : never;
    }
    [[nodiscard]] Instant nearest() const { return size_ == 0 ? never : entries_[0].deadline; }

    // Takes out an owner whose deadline has come; returns false if there is none.
    bool list_due(Instant now, uint32_t *ret_owner);

  private:
    struct Entry {
        Instant deadline;
        uint32_t owner;

        // At the same moment those with the lower number come first.
        [[nodiscard]] bool is_before(const Entry &other) const {
            return deadline < other.deadline || (deadline == other.deadline && owner < other.owner);
        }
    };

    void put(uint32_t index, const Entry &entry);
    void rise(uint32_t index, const Entry &entry);
    void sink(uint32_t index, const Entry &entry);

    base::Array<Entry> entries_;
    base::WorkerArray<uint32_t> indexes_; // of each owner in entries_, plus 1; 0: none
    uint32_t size_ = 0;
};

} // namespace prefork::core
