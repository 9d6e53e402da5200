// The workers that wait to be started, and whether their turn has come.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/ring.h"
#include "core/limits.h"

namespace prefork::core {

// Usually open: all waiting workers may start. A start that failed for lack of resources closes it.
// When the delay is over, or a worker has ended, one start is tried; the first that succeeds
// opens it for all.
class StartQueue {
  public:
    [[nodiscard]] bool grow(uint32_t workers) { return waiting_.grow(workers); }

    void push(uint32_t worker) { (void)waiting_.push(worker); } // a worker waits at most once
    [[nodiscard]] bool empty() const { return waiting_.empty(); }

    // How many may be started now. While the results of others are out, nothing new is tried
    // where a start has failed.
    [[nodiscard]] size_t startable(bool others_are_out) const {
        switch (state_) {
        case State::open:
            return waiting_.size();
        case State::probing:
            return waiting_.empty() || others_are_out ? 0 : 1;
        case State::closed:
            return 0;
        }
        return 0;
    }

    uint32_t pop() { return waiting_.pop(); }

    template <typename Predicate>
    void remove_if(Predicate is_unwanted) {
        waiting_.remove_if(is_unwanted);
    }

    void succeeded() {
        state_ = State::open;
        delay_ = 0;
        deadline_ = never;
    }

    // Further failures of one attempt with many workers do not lengthen the delay.
    void failed(Instant now) {
        if (state_ == State::closed) {
            return;
        }
        delay_ = delay_ == 0 ? start_retry_first : doubled(delay_);
        deadline_ = after(now, delay_);
        state_ = State::closed;
    }

    // Resources may have become free.
    void probe() {
        if (state_ == State::closed) {
            state_ = State::probing;
            deadline_ = never;
        }
    }

    [[nodiscard]] Instant deadline() const { return deadline_; }
    [[nodiscard]] Duration delay() const { return delay_; }

  private:
    enum class State : uint8_t { open, closed, probing };

    static Duration doubled(Duration delay) {
        return delay > start_retry_max / 2 ? start_retry_max : 2 * delay;
    }

    base::Ring<uint32_t> waiting_;
    State state_ = State::open;
    Duration delay_ = 0;
    Instant deadline_ = never;
};

} // namespace prefork::core
