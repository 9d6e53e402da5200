// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

#include "core/values.h"

namespace prefork::core {

bool Supervisor::open(const Settings &settings) {
    settings_ = settings;
    const uint32_t count = settings.workers;
    // One step sends each worker at most one signal.
    return workers_.allocate(count) && signals_.allocate(count) && start_queue_.allocate(count) &&
           deadlines_.allocate(count) && events_.allocate(count);
}

void Supervisor::step(const Input &input, Instant now) {
    if (broken_ || !expect(input.worker < settings_.workers)) {
        return;
    }
    switch (input.kind) {
    case Input::Kind::start:
        start(now);
        break;
    case Input::Kind::stop:
        stop(input.signal, now);
        break;
    case Input::Kind::kill:
        kill(now);
        break;
    case Input::Kind::tick:
        tick(now);
        break;
    case Input::Kind::started:
        started(input.worker, input.pid, now);
        break;
    case Input::Kind::start_failed:
        start_failed(input, now);
        break;
    case Input::Kind::exited:
        exited(input, now);
        break;
    }
}

bool Supervisor::take_signal(Signal *ret_signal) {
    if (signals_.empty()) {
        return false;
    }
    *ret_signal = signals_.pop();
    return true;
}

size_t Supervisor::startable() const {
    return events_.has_room_for_life() ? start_queue_.startable() : 0;
}

uint32_t Supervisor::take_start() {
    events_.reserve_life();
    const uint32_t worker = start_queue_.pop();
    (void)expect(workers_[worker].state == State::waiting);
    workers_[worker].state = State::starting;
    return worker;
}

bool Supervisor::take_event(Event *ret_event) {
    if (events_.empty()) {
        return false;
    }
    *ret_event = events_.pop();
    return true;
}

Instant Supervisor::next_deadline() const {
    const Instant retry = start_queue_.deadline();
    return retry < deadlines_.nearest() ? retry : deadlines_.nearest();
}

// ---- The pool -------------------------------------------------------------------------------

void Supervisor::start(Instant now) {
    if (!expect(phase_ == Phase::idle)) {
        return;
    }
    phase_ = Phase::running;
    report_pool(EventType::starting, Level::information, 0, now);
    for (uint32_t worker = 0; worker < settings_.workers; worker++) {
        begin(worker);
    }
}

void Supervisor::stop(int32_t signal, Instant now) {
    if (phase_ != Phase::running && phase_ != Phase::stopping) {
        return;
    }
    if (signal != 0 && stop_signal_ != 0) {
        // The same request twice in a moment is one; after that whoever asks has lost patience.
        if (elapsed(stop_signal_time_, now) >= second_signal_after) {
            kill(now);
        }
        return;
    }
    if (signal != 0) {
        stop_signal_ = signal;
        stop_signal_time_ = now;
    }
    if (phase_ == Phase::running) {
        begin_stopping(signal, now);
        ask_all_to_stop(now);
    }
}

void Supervisor::kill(Instant now) {
    if (phase_ == Phase::running) {
        begin_stopping(0, now);
    }
    if (phase_ == Phase::stopping) {
        kill_all();
        finish_if_all_ended(now);
    }
}

void Supervisor::tick(Instant now) {
    uint32_t worker = 0;
    while (deadlines_.take_due(now, &worker)) {
        stop_overdue(worker, now);
    }
    if (start_queue_.deadline() <= now) {
        start_queue_.probe();
    }
}

// The pool can not go on: what still runs is stopped, then it is done with this error.
void Supervisor::fail_with(int32_t error, Instant now) {
    if (phase_ == Phase::running) {
        result_ = error;
        begin_stopping(0, now);
        ask_all_to_stop(now);
    }
}

void Supervisor::begin_stopping(int32_t signal, Instant now) {
    phase_ = Phase::stopping;
    if (alive_ > 0) {
        Event event = event_of(EventType::stopping, 0, now);
        event.task_id = -1;
        event.pid = 0;
        event.signal = signal;
        event.count = static_cast<int32_t>(alive_);
        events_.push(event);
    }
    while (!start_queue_.empty()) {
        workers_[start_queue_.pop()].state = State::empty;
        open_slots_ -= 1;
    }
    start_queue_.succeeded();
}

void Supervisor::ask_all_to_stop(Instant now) {
    for (uint32_t worker = 0; worker < settings_.workers; worker++) {
        if (workers_[worker].state == State::running) {
            ask_to_stop(worker, now);
        }
    }
    finish_if_all_ended(now);
}

void Supervisor::kill_all() {
    for (uint32_t worker = 0; worker < settings_.workers; worker++) {
        if (is_alive(workers_[worker].state)) {
            send_kill(worker);
        }
    }
}

void Supervisor::finish_if_all_ended(Instant now) {
    if (open_slots_ == 0 && (phase_ == Phase::running || phase_ == Phase::stopping)) {
        phase_ = Phase::done;
        report_pool(EventType::done, Level::information, result_, now);
    }
}

// ---- One worker -----------------------------------------------------------------------------

void Supervisor::begin(uint32_t worker) {
    workers_[worker].state = State::waiting;
    open_slots_ += 1;
    start_queue_.push(worker);
}

void Supervisor::started(uint32_t worker, int32_t pid, Instant now) {
    if (!expect(workers_[worker].state == State::starting) || !expect(pid > 0)) {
        return;
    }
    workers_[worker] = Worker{now, pid, State::running};
    alive_ += 1;
    some_worker_ran_ = true;
    start_queue_.succeeded();
    events_.push(event_of(EventType::started, worker, now));
    if (phase_ == Phase::stopping) {
        ask_to_stop(worker, now);
    }
}

void Supervisor::start_failed(const Input &input, Instant now) {
    if (!expect(workers_[input.worker].state == State::starting) || !expect(input.error < 0)) {
        return;
    }
    events_.release_life();
    // Any error but want of resources is final until a worker has run: a start that can never
    // succeed is not tried for ever. Later it uses up restarts like a worker that ended.
    const bool again =
        phase_ == Phase::running && (input.transient || (some_worker_ran_ && may_restart()));
    if (again) {
        start_queue_.failed(now);
    }
    report_start_failed(input, again, now);
    if (again) {
        workers_[input.worker].state = State::waiting;
        start_queue_.push(input.worker);
        return;
    }
    workers_[input.worker].state = State::empty;
    open_slots_ -= 1;
    if (phase_ != Phase::running) {
        finish_if_all_ended(now);
        return;
    }
    if (some_worker_ran_) {
        report_pool(EventType::gave_up, Level::error, code_gave_up, now);
    }
    fail_with(some_worker_ran_ ? code_gave_up : input.error, now);
}

void Supervisor::exited(const Input &input, Instant now) {
    Worker &worker = workers_[input.worker];
    if (!expect(is_alive(worker.state)) || !expect(alive_ > 0)) {
        return;
    }
    const bool asked = worker.state != State::running;
    const bool abnormal = !asked && !input.exit.normal();
    const bool restart = abnormal && phase_ == Phase::running && may_restart();
    deadlines_.disarm(input.worker);
    start_queue_.probe();
    report_exit(input, asked, restart, now);
    events_.release_life();
    alive_ -= 1;
    open_slots_ -= 1;
    worker.pid = 0;
    worker.state = State::done;
    if (restart) {
        begin(input.worker);
    } else if (abnormal && phase_ == Phase::running) {
        report_pool(EventType::gave_up, Level::error, code_gave_up, now);
        fail_with(code_gave_up, now);
        return;
    }
    finish_if_all_ended(now);
}

void Supervisor::ask_to_stop(uint32_t worker, Instant now) {
    if (!expect(workers_[worker].state == State::running)) {
        return;
    }
    workers_[worker].state = State::stopping;
    send(worker, settings_.stop_signal);
    deadlines_.arm(worker, after(now, settings_.stop_timeout));
}

void Supervisor::send_kill(uint32_t worker) {
    deadlines_.disarm(worker);
    workers_[worker].state = State::killing;
    send(worker, signal_kill);
}

void Supervisor::stop_overdue(uint32_t worker, Instant now) {
    if (!expect(workers_[worker].state == State::stopping)) {
        return;
    }
    Event event = event_of(EventType::killed, worker, now);
    event.level = Level::warning;
    event.delay = settings_.stop_timeout;
    events_.push(event);
    send_kill(worker);
}

// ---- Helpers --------------------------------------------------------------------------------

bool Supervisor::may_restart() {
    if (settings_.max_restarts != restarts_unlimited && restarts_ >= settings_.max_restarts) {
        return false;
    }
    restarts_ += restarts_ < INT32_MAX ? 1 : 0;
    return true;
}

bool Supervisor::is_alive(State state) const {
    return state == State::running || state == State::stopping || state == State::killing;
}

void Supervisor::send(uint32_t worker, int32_t signal) {
    (void)signals_.push(Signal{worker, signal});
}

void Supervisor::report_exit(const Input &input, bool asked, bool will_restart, Instant now) {
    Event event = event_of(EventType::exited, input.worker, now);
    const bool normal = asked || input.exit.normal();
    event.level = normal ? Level::information : Level::warning;
    event.will_restart = will_restart;
    event.uptime = elapsed(workers_[input.worker].started, now);
    event.exit = input.exit;
    events_.push(event);
}

// A start that fails again and again is told of at most once a second.
void Supervisor::report_start_failed(const Input &input, bool will_restart, Instant now) {
    const bool recent = last_start_failed_ != never &&
                        elapsed(last_start_failed_, now) < start_failed_event_interval;
    if (will_restart && (recent || !events_.has_room_for_extra())) {
        return;
    }
    last_start_failed_ = now;
    Event event = event_of(EventType::start_failed, input.worker, now);
    event.level = Level::error;
    event.will_restart = will_restart;
    event.error = input.error;
    event.delay = will_restart ? elapsed(now, start_queue_.deadline()) : 0;
    events_.push(event);
}

void Supervisor::report_pool(EventType type, Level level, int32_t error, Instant now) {
    Event event = event_of(type, 0, now);
    event.task_id = -1;
    event.pid = 0;
    event.level = level;
    event.error = error;
    event.count = static_cast<int32_t>(settings_.workers);
    events_.push(event);
}

Event Supervisor::event_of(EventType type, uint32_t worker, Instant now) const {
    Event event;
    event.type = type;
    event.task_id = static_cast<int32_t>(worker);
    event.pid = workers_[worker].pid;
    event.restarts = restarts_;
    event.time = now;
    return event;
}

// An impossible input or state: the runtime ends the pool and its workers.
bool Supervisor::expect(bool condition) {
    if (!base::holds(condition)) {
        broken_ = true;
    }
    return condition;
}

} // namespace prefork::core
