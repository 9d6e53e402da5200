// SPDX-License-Identifier: MIT
#include "core/reporter.h"

namespace prefork::core {

Event Reporter::event_of(EventType type, Instant now) const {
    Event event;
    event.type = type;
    event.restarts = policy_.counted();
    event.count = static_cast<int32_t>(slot_table_.slots());
    event.time = now;
    return event;
}

Event Reporter::event_of_worker(EventType type, uint32_t worker, Instant now) const {
    Event event = event_of(type, now);
    event.task_id = is_spare(worker) ? task_spare : static_cast<int32_t>(slot_of(worker));
    event.pid = slot_table_.worker(worker).pid;
    switch (type) {
    case EventType::started:
    case EventType::start_failed:
    case EventType::fork_wanted:
        event.reason = slot_table_.worker(worker).start_reason;
        break;
    case EventType::exited:
    case EventType::spare_exited:
    case EventType::killed:
    case EventType::unresponsive:
        event.reason = slot_table_.worker(worker).end_reason;
        break;
    default:
        break;
    }
    return event;
}

void Reporter::report_worker(EventType type, Level level, uint32_t worker, int32_t error,
                             Instant now, Reason reason) {
    Event event = event_of_worker(type, worker, now);
    event.reason = reason == Reason::none ? event.reason : reason;
    event.level = level;
    event.error = error;
    queue_.push(event);
}

void Reporter::push_end(const Input &input, Instant now, Event *event) {
    event->uptime = elapsed(slot_table_.worker(input.worker).started, now);
    event->exit = input.exit;
    if (input.out_of_memory && event->reason == Reason::none) {
        event->reason = Reason::out_of_memory;
    }
    queue_.push(*event);
}

void Reporter::report_exit(const Input &input, Level level, bool will_restart, Duration delay,
                           Instant now) {
    Event event = event_of_worker(EventType::exited, input.worker, now);
    event.level = level;
    counters_.add(Counter::exited);
    if (level == Level::warning) {
        counters_.add(Counter::abnormal);
    }
    event.will_restart = will_restart;
    event.delay = delay;
    push_end(input, now, &event);
}

void Reporter::report_spare_exit(const Input &input, bool will_restart, Duration delay,
                                 Instant now) {
    const Worker &spare = slot_table_.worker(input.worker);
    const bool asked = spare.state == State::stopping || spare.state == State::killing ||
                       spare.state == State::abandoned;
    Event event = event_of_worker(EventType::spare_exited, input.worker, now);
    event.level = asked || (input.exit.normal() && spare.state != State::aborting)
                      ? Level::information
                      : Level::warning;
    event.will_restart = will_restart;
    event.delay = delay;
    push_end(input, now, &event);
}

void Reporter::report_killed(uint32_t worker, Duration timeout, Instant now) {
    Event event = event_of_worker(EventType::killed, worker, now);
    event.level = Level::warning;
    event.delay = timeout;
    queue_.push(event);
    slot_table_.worker(worker).kill_reported = true;
}

// A start that fails repeatedly is reported at most once a second; a fork that the host does not
// answer, which takes longer, each time.
void Reporter::report_start_failed(const Input &input, bool will_restart, Instant retry,
                                   Instant now) {
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
    event.delay = will_restart && retry != never ? elapsed(now, retry) : 0;
    queue_.push(event);
}

void Reporter::report_pool(EventType type, Level level, int32_t error, Instant now, Reason reason) {
    Event event = event_of(type, now);
    event.reason = reason;
    event.level = level;
    event.error = error;
    queue_.push(event);
}

void Reporter::report_adopted(Instant now) {
    Event event = event_of(EventType::adopted, now);
    event.count = static_cast<int32_t>(slot_table_.alive());
    queue_.push(event);
}

// No worker became ready: the pool ends.
void Reporter::report_boot_limit(Instant now) {
    Event event = event_of(EventType::gave_up, now);
    event.reason = Reason::limit;
    event.level = Level::error;
    event.error = code_gave_up;
    event.before_ready = true;
    queue_.push(event);
}

// At the start, when there is room for all of them.
void Reporter::report_signal_unavailable(int32_t signal, Instant now) {
    if (!queue_.has_room_for_extra()) {
        return;
    }
    Event event = event_of(EventType::signal_unavailable, now);
    event.level = Level::notice;
    event.signal = signal;
    queue_.push(event);
}

// Once, as soon as there is a worker to stop: at first there may be pending forks only.
void Reporter::report_stopping(int32_t signal, Reason reason, Instant now) {
    if (stopping_reported_ || slot_table_.alive() == 0) {
        return;
    }
    stopping_reported_ = true;
    Event event = event_of(EventType::stopping, now);
    event.signal = signal;
    event.reason = reason;
    event.count = static_cast<int32_t>(slot_table_.alive());
    queue_.push(event);
}

// The host can cause this event as often as it likes. Without room, several become one.
void Reporter::report_resized(Instant now) {
    resize_pending_ = !queue_.has_room_for_extra();
    if (!resize_pending_) {
        queue_.push(event_of(EventType::resized, now));
    }
}

// At the end of the pool. STARTING, reported long ago, does not need its room any more.
void Reporter::report_pending_resize(Instant now) {
    if (resize_pending_) {
        resize_pending_ = false;
        report_pool(EventType::resized, Level::information, 0, now);
    }
}

bool Reporter::pop(Event *ret_event) {
    if (queue_.empty()) {
        return false;
    }
    *ret_event = queue_.pop();
    if (resize_pending_) {
        report_resized(queue_.newest()); // late, but in order
    }
    return true;
}

void Reporter::cancel_fork_requests() {
    queue_.remove_if([this](const Event &event) {
        if (event.type != EventType::fork_wanted) {
            return false;
        }
        const uint32_t wanted =
            event.task_id == task_spare
                ? slot_table_.find_spare(State::requested)
                : slot_table_.find(static_cast<uint32_t>(event.task_id), State::requested);
        return wanted == no_worker;
    });
}

// The event that reported the signal as sent becomes the one that reports the failure.
void Reporter::report_signal_failed(const Input &input, Instant now) {
    const int32_t pid = slot_table_.worker(input.worker).pid;
    Event failure = event_of_worker(EventType::unresponsive, input.worker, now);
    failure.level = Level::error;
    failure.signal = input.signal;
    failure.error = input.error;
    Event *wrong = nullptr;
    if (input.reported) {
        wrong = queue_.find_newest([pid](const Event &event) {
            return event.pid == pid &&
                   (event.type == EventType::killed || event.type == EventType::unresponsive);
        });
    }
    if (wrong != nullptr) {
        failure.time = wrong->time;
        *wrong = failure;
    } else {
        queue_.push(failure);
    }
}

} // namespace prefork::core
