// What the host is told.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

Event Supervisor::event_of(EventType type, Instant now) const {
    Event event;
    event.type = type;
    event.restarts = policy_.counted();
    event.count = static_cast<int32_t>(slots_);
    event.time = now;
    return event;
}

Event Supervisor::event_of_worker(EventType type, uint32_t worker, Instant now) const {
    Event event = event_of(type, now);
    event.task_id = static_cast<int32_t>(slot_of(worker));
    event.pid = this->worker(worker).pid;
    switch (type) {
    case EventType::started:
    case EventType::start_failed:
    case EventType::fork_wanted:
        event.reason = this->worker(worker).start_reason;
        break;
    case EventType::exited:
    case EventType::killed:
    case EventType::unresponsive:
        event.reason = this->worker(worker).end_reason;
        break;
    default:
        break;
    }
    return event;
}

void Supervisor::report_worker(EventType type, Level level, uint32_t worker, int32_t error,
                               Instant now, Reason reason) {
    Event event = event_of_worker(type, worker, now);
    event.reason = reason == Reason::none ? event.reason : reason;
    event.level = level;
    event.error = error;
    events_.push(event);
}

void Supervisor::report_exit(const Input &input, bool asked, bool will_restart, Duration delay,
                             Instant now) {
    Event event = event_of_worker(EventType::exited, input.worker, now);
    event.level = asked || ended_normally(input) ? Level::information : Level::warning;
    counters_.add(Counter::exited);
    if (event.level == Level::warning) {
        counters_.add(Counter::abnormal);
    }
    event.will_restart = will_restart;
    event.delay = delay;
    event.uptime = elapsed(worker(input.worker).started, now);
    event.exit = input.exit;
    events_.push(event);
}

void Supervisor::report_killed(uint32_t worker, Instant now) {
    Event event = event_of_worker(EventType::killed, worker, now);
    event.level = Level::warning;
    event.delay = settings_.stop_timeout;
    events_.push(event);
    instance(worker).kill_reported = true;
}

// A start that fails again and again is told of at most once a second; a host with a fork pending,
// which takes longer, each time.
void Supervisor::report_start_failed(const Input &input, bool will_restart, Instant now) {
    counters_.add(Counter::start_failed);
    const bool recent = last_start_failed_ != never &&
                        elapsed(last_start_failed_, now) < start_failed_event_interval;
    if (will_restart && recent && input.error != code_timed_out) {
        return;
    }
    last_start_failed_ = now;
    Event event = event_of_worker(EventType::start_failed, input.worker, now);
    event.level = Level::error;
    event.will_restart = will_restart;
    event.error = input.error;
    const Instant retry = start_queue_.deadline(); // never: at once
    event.delay = will_restart && retry != never ? elapsed(now, retry) : 0;
    events_.push(event);
}

void Supervisor::report_pool(EventType type, Level level, int32_t error, Instant now,
                             Reason reason) {
    Event event = event_of(type, now);
    event.reason = reason;
    event.level = level;
    event.error = error;
    events_.push(event);
}

// At the start, when there is room for all of them.
void Supervisor::report_signal_unavailable(int32_t signal, Instant now) {
    if (!events_.has_room_for_extra()) {
        return;
    }
    Event event = event_of(EventType::signal_unavailable, now);
    event.level = Level::notice;
    event.signal = signal;
    events_.push(event);
}

// Once, as soon as there is something to stop: at first there may be only starts that are pending.
void Supervisor::report_stopping(Instant now) {
    if (phase_ != Phase::stopping || stopping_told_ || alive() == 0) {
        return;
    }
    stopping_told_ = true;
    Event event = event_of(EventType::stopping, now);
    event.signal = stop_signal_;
    event.reason = stop_reason_;
    event.count = static_cast<int32_t>(alive());
    events_.push(event);
}

// The one event that the host can bring about as often as it likes: if it takes none meanwhile,
// many become one.
void Supervisor::report_resized(Instant now) {
    resize_untold_ = !events_.has_room_for_extra();
    if (!resize_untold_) {
        events_.push(event_of(EventType::resized, now));
    }
}

} // namespace prefork::core
