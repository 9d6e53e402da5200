// Makes events of what happens in a pool, and keeps them until the host pops them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include "core/counters.h"
#include "core/event_queue.h"
#include "core/input.h"
#include "core/restart_policy.h"
#include "core/slot_table.h"

namespace prefork::core {

class Reporter {
  public:
    Reporter(SlotTable &slot_table, const RestartPolicy &policy)
        : slot_table_(slot_table), policy_(policy) {}

    [[nodiscard]] bool grow(uint32_t workers, uint32_t spares) {
        return queue_.grow(workers, spares);
    }

    // Room for all events of one worker's life: it is reserved before the worker starts.
    [[nodiscard]] bool has_room_for_life() const { return queue_.has_room_for_life(); }
    void reserve_life() { queue_.reserve_life(); }
    void release_life() { queue_.release_life(); }
    [[nodiscard]] bool has_room_for_spare() const { return queue_.has_room_for_spare(); }
    void reserve_spare() { queue_.reserve_spare(); }
    void release_spare() { queue_.release_spare(); }
    void release_start_of_spare() { queue_.release_start_of_spare(); }
    // Room for an event for which none is reserved.
    [[nodiscard]] bool has_room_for_extra() const { return queue_.has_room_for_extra(); }

    [[nodiscard]] bool has_event() const { return !queue_.empty(); }
    bool pop(Event *ret_event);

    void count(Counter what) { counters_.add(what); }
    [[nodiscard]] uint64_t counter(Counter which) const { return counters_.get(which); }
    void save_counters(std::span<uint64_t> ret_counts) const { counters_.save(ret_counts); }
    void restore_counters(std::span<const uint64_t> counts) { counters_.restore(counts); }

    // An event of a worker. Without a reason it has that of the worker's start or end.
    void report_worker(EventType type, Level level, uint32_t worker, int32_t error, Instant now,
                       Reason reason = Reason::none);
    void report_exit(const Input &input, Level level, bool will_restart, Duration delay,
                     Instant now);
    // Of a spare. `delay`: until another one is started.
    void report_spare_exit(const Input &input, bool will_restart, Duration delay, Instant now);
    void report_killed(uint32_t worker, Duration timeout, Instant now);
    // `retry`: when the start is tried again; never: at once.
    void report_start_failed(const Input &input, bool will_restart, Instant retry, Instant now);
    void report_signal_failed(const Input &input, Instant now);

    // An event of the pool.
    void report_pool(EventType type, Level level, int32_t error, Instant now,
                     Reason reason = Reason::none);
    void report_adopted(Instant now); // with the number of workers
    void report_boot_limit(Instant now);
    void report_stopping(int32_t signal, Reason reason, Instant now);
    void report_resized(Instant now);
    void report_pending_resize(Instant now);
    void report_signal_unavailable(int32_t signal, Instant now);

    // Removes the requests for forks that are no longer wanted.
    void cancel_fork_requests();

  private:
    [[nodiscard]] Event event_of(EventType type, Instant now) const;
    void push_end(const Input &input, Instant now, Event *event);
    [[nodiscard]] Event event_of_worker(EventType type, uint32_t worker, Instant now) const;

    SlotTable &slot_table_;
    const RestartPolicy &policy_;
    EventQueue queue_;
    Counters counters_;
    Instant last_start_failed_ = never;
    bool stopping_reported_ = false;
    bool resize_pending_ = false;
};

} // namespace prefork::core
