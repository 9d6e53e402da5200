// The slots of a pool and their workers, with the counts that follow from their states.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/array.h"
#include "core/worker.h"

namespace prefork::core {

class SlotTable {
  public:
    // Takes the memory for so many slots; returns false if there is none.
    [[nodiscard]] bool grow(uint32_t slots, uint32_t spares) {
        return slots_.grow(slots) && spares_.grow(spares);
    }
    // The slots of the pool.
    [[nodiscard]] uint32_t slots() const { return count_; }
    void set_slots(uint32_t count) { count_ = count; }
    // Slots and workers that there is memory for.
    [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(slots_.size()); }
    [[nodiscard]] uint32_t capacity() const { return size() * instances; }
    [[nodiscard]] uint32_t spare_places() const { return static_cast<uint32_t>(spares_.size()); }
    [[nodiscard]] bool has(uint32_t id) const {
        return is_spare(id) ? id - first_spare < spare_places() : id < capacity();
    }

    Slot &operator[](uint32_t slot) { return slots_[slot]; }
    const Slot &operator[](uint32_t slot) const { return slots_[slot]; }
    Worker &worker(uint32_t id) {
        return is_spare(id) ? spares_[id - first_spare]
                            : slots_[slot_of(id)].workers[id % instances];
    }
    [[nodiscard]] const Worker &worker(uint32_t id) const {
        return is_spare(id) ? spares_[id - first_spare]
                            : slots_[slot_of(id)].workers[id % instances];
    }
    [[nodiscard]] State state_of(uint32_t id) const { return worker(id).state; }
    // The slot's worker. The other instance is a replacement, or was asked to stop.
    [[nodiscard]] uint32_t current(uint32_t slot) const {
        return instance_of(slot, slots_[slot].current);
    }
    // The slot's worker in that state, of which there is at most one; no_worker: none.
    [[nodiscard]] uint32_t find(uint32_t slot, State state) const;
    // A spare in that state: the one that was started first; no_worker: none.
    [[nodiscard]] uint32_t find_spare(State state) const;

    // Whether the instance is not the slot's worker, and was not asked to stop.
    [[nodiscard]] bool is_replacement(uint32_t id) const;
    // Whether the new worker for its slot exists or is being started.
    [[nodiscard]] bool has_replacement(uint32_t id) const;

    // The only place where a state changes, and with it the counts.
    void set_state(uint32_t id, State state);
    // Whether the slot has a part of the budget of replacements.
    void set_replacing(uint32_t slot, bool replacing);
    // Whether the host has stopped the slot's worker, so that it stays empty.
    void set_stopped(uint32_t slot, bool stopped);

    [[nodiscard]] uint32_t alive() const { return counts_.alive; }
    [[nodiscard]] uint32_t busy() const { return counts_.busy; }
    [[nodiscard]] uint32_t under_way() const { return counts_.under_way; }
    [[nodiscard]] uint32_t ready() const { return counts_.ready; }
    [[nodiscard]] uint32_t done() const { return counts_.done; }
    [[nodiscard]] uint32_t replacing() const { return counts_.replacing; }
    [[nodiscard]] uint32_t stopped() const { return counts_.stopped; }

    // The same of spares.
    [[nodiscard]] uint32_t spares_alive() const { return spare_counts_.alive; }
    [[nodiscard]] uint32_t spares_busy() const { return spare_counts_.busy; }
    [[nodiscard]] uint32_t spares_under_way() const { return spare_counts_.under_way; }
    [[nodiscard]] uint32_t spares_waiting() const { return spare_counts_.running; }

    // Counts everything again and compares. For tests: it visits every slot.
    [[nodiscard]] bool audit() const;

  private:
    struct Counts {
        uint32_t alive = 0;     // processes
        uint32_t busy = 0;      // workers in a busy state
        uint32_t under_way = 0; // workers that are requested or starting
        uint32_t running = 0;   // not ready yet; a spare: waits for a slot
        uint32_t ready = 0;
        uint32_t done = 0;
        uint32_t replacing = 0; // slots
        uint32_t stopped = 0;   // slots

        void add(State state);
        void remove(State state);
        bool operator==(const Counts &) const = default;
    };

    base::Array<Slot> slots_;
    base::Array<Worker> spares_;
    Counts counts_;
    Counts spare_counts_;
    uint32_t count_ = 0;
};

} // namespace prefork::core
