// The numbers of a pool's workers and spares, and arrays that have a value for each of them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/array.h"

namespace prefork::base {

// The numbers of spares begin here. Those below are of the workers in slots.
inline constexpr uint32_t first_spare = uint32_t{1} << 17;
// How many spares a pool can have, so that 18 bits are enough for all numbers.
inline constexpr uint32_t spares_max = first_spare / 2;

constexpr bool is_spare(uint32_t id) { return id >= first_spare; }

// What stands in the place of a task id: PF_TASK_SPARE in prefork.h.
inline constexpr int32_t task_spare = -2;

template <typename Value>
class WorkerArray {
  public:
    [[nodiscard]] bool grow(size_t workers) { return workers_.grow(workers); }
    [[nodiscard]] bool grow_spares(size_t spares) { return spares_.grow(spares); }
    void reset() {
        workers_.reset();
        spares_.reset();
    }

    Value &operator[](uint32_t id) {
        return is_spare(id) ? spares_[id - first_spare] : workers_[id];
    }
    const Value &operator[](uint32_t id) const {
        return is_spare(id) ? spares_[id - first_spare] : workers_[id];
    }
    [[nodiscard]] bool has(uint32_t id) const {
        return is_spare(id) ? id - first_spare < spares_.size() : id < workers_.size();
    }

    [[nodiscard]] uint32_t workers() const { return static_cast<uint32_t>(workers_.size()); }
    [[nodiscard]] uint32_t spares() const { return static_cast<uint32_t>(spares_.size()); }
    // All of them, for loops: numbers follow from indexes.
    [[nodiscard]] uint32_t size() const { return workers() + spares(); }
    [[nodiscard]] uint32_t id_at(uint32_t index) const {
        return index < workers() ? index : first_spare + (index - workers());
    }

  private:
    Array<Value> workers_;
    Array<Value> spares_;
};

} // namespace prefork::base
