// The replacements that wait for their turn, the budget for them, and the state of a reload.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/ring.h"
#include "core/slot_table.h"

namespace prefork::core {

// Requests wait in one queue, in their order. At most `width` slots are being replaced at a time:
// from the moment at which a slot's turn comes until its old worker has ended and its new one is
// good or has failed. A reload requests a replacement of each slot. It is complete once none of
// these waits or is under way.
class Rollout {
  public:
    explicit Rollout(SlotTable &slot_table) : slot_table_(slot_table) {}

    [[nodiscard]] bool grow(uint32_t slots) {
        return queue_.grow(size_t{slots} * replacement_reasons);
    }

    // Each reason counts once for a slot.
    void request(uint32_t slot, ReplacementReason reason);
    void cancel_of(uint32_t slot);
    void cancel_from(uint32_t slot); // also of all slots after it

    // A second request during a reload is remembered once.
    void request_reload() { reload_requested_ = true; }
    [[nodiscard]] bool can_begin_reload() const { return reload_requested_ && !reloading_; }
    void begin_reload();
    [[nodiscard]] bool reload_is_complete() const { return reloading_ && reload_left_ == 0; }
    void finish_reload() { reloading_ = false; }
    // Cancels the requests of the reload. What has begun continues.
    void fail_reload();
    [[nodiscard]] bool reloading() const { return reloading_; }
    [[nodiscard]] bool wants_reload() const { return reloading_ || reload_requested_; }
    [[nodiscard]] uint32_t reloads() const { return reloads_; } // begun

    // Pops the oldest request whose turn has come; returns false if there is none.
    bool pop(uint32_t width, Replacement *ret_next);
    void begin(const Replacement &replacement, bool uses_budget);
    // Returns why the slot was being replaced; none: it was not.
    ReplacementReason finish(uint32_t slot);
    // The slot leaves its part of the budget to others, once no more workers than usual are there.
    void release(uint32_t slot);

    [[nodiscard]] bool audit(uint32_t width) const;

  private:
    template <typename Predicate>
    void cancel(Predicate is_cancelled);
    void remove_request(const Replacement &request);
    [[nodiscard]] bool has_to_wait(const Replacement &request) const;

    SlotTable &slot_table_;
    base::Ring<Replacement> queue_;
    uint32_t reloads_ = 0;
    uint32_t reload_left_ = 0; // slots that wait for their new worker
    bool reloading_ = false;
    bool reload_requested_ = false;
};

} // namespace prefork::core
