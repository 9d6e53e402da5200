// Spares: workers that are started ahead of need and wait for a slot.
//
// SPDX-License-Identifier: MIT
//
// A spare goes from starting (where the host forks: by way of requested) to running, in which it
// waits. A start that is due takes the spare that has waited longest: pop_takeover(). It is the
// slot's worker then, under another number, and its place is empty. A spare that ends is started
// again after a delay, which is no restart of the pool's. One spare at a time is being started, and
// none while a slot waits for its worker.
#include "core/supervisor.h"

namespace prefork::core {

namespace {

// Doubles from the first delay of a start that failed to the last.
Duration next_delay(Duration last) {
    const Duration doubled = last > start_retry_max / 2 ? start_retry_max : 2 * last;
    return last == 0 ? start_retry_first : doubled;
}

} // namespace

// ---- Starts -------------------------------------------------------------------------------------

// A pool whose workers have all finished ends.
bool Supervisor::wants_spares() const {
    return phase_ == Phase::running && (slot_table_.busy() > 0 || slot_table_.stopped() > 0);
}

bool Supervisor::can_start_spare() const {
    return slot_table_.spares_busy() < spares_wanted_ && wants_spares() && start_queue_.empty() &&
           slot_table_.under_way() == 0 && slot_table_.spares_under_way() == 0 &&
           spare_retry_ == never && reporter_.has_room_for_spare();
}

uint32_t Supervisor::pop_spare_start() {
    reporter_.reserve_spare();
    uint32_t spare = first_spare;
    while (state_of(spare) != State::empty && expect(spare - first_spare + 1 < spare_places())) {
        spare += 1;
    }
    instance(spare) = Worker{};
    set_state(spare, State::starting);
    return spare;
}

void Supervisor::apply_to_spares(const Input &input, Instant now) {
    switch (input.kind) {
    case Input::Kind::set_spares:
        set_spares(input.count, now);
        break;
    case Input::Kind::renew_spares:
        renew_spares(Reason::reload, now);
        break;
    case Input::Kind::taken_over:
        taken_over(input, now);
        break;
    case Input::Kind::not_taken_over:
        not_taken_over(input);
        break;
    case Input::Kind::started:
        spare_started(input, now);
        break;
    case Input::Kind::start_failed:
        spare_start_failed(input, now);
        break;
    case Input::Kind::request_delivered:
        request_delivered(input.worker, now);
        break;
    case Input::Kind::flood:
        abort_working(input.worker, Reason::protocol, now);
        break;
    case Input::Kind::exited:
        spare_exited(input, now);
        break;
    case Input::Kind::signal_failed:
        signal_failed(input, now);
        break;
    default: // a spare cannot be ready, nor retire
        break;
    }
}

void Supervisor::spare_started(const Input &input, Instant now) {
    Worker &spare = instance(input.worker);
    if (!expect(spare.state == State::starting) || !expect(input.pid > 0)) {
        return;
    }
    deadlines_.disarm(input.worker);
    spare.started = input.since;
    spare.pid = input.pid;
    set_state(input.worker, State::running);
    reporter_.report_worker(EventType::spare_started, Level::information, input.worker, 0, now);
    reporter_.release_start_of_spare();
    if (killing_) {
        send_kill(input.worker, false);
    } else if (phase_ != Phase::running || spare.retires) {
        ask_to_stop(input.worker, Reason::stop, now);
    }
}

void Supervisor::spare_start_failed(const Input &input, Instant now) {
    if (!expect(state_of(input.worker) == State::starting) || !expect(input.error < 0)) {
        return;
    }
    deadlines_.disarm(input.worker);
    const bool again = wants_spares() && slot_table_.spares_busy() <= spares_wanted_;
    if (again && input.error != code_timed_out) {
        spare_delay_ = next_delay(spare_delay_);
        spare_retry_ = after(now, spare_delay_);
    }
    reporter_.report_start_failed(input, again, spare_retry_, now);
    set_state(input.worker, State::empty);
    reporter_.release_spare();
}

// ---- Takeovers ----------------------------------------------------------------------------------

bool Supervisor::pop_takeover(uint32_t *ret_worker, uint32_t *ret_spare) {
    if (!has_takeover()) {
        return false;
    }
    *ret_spare = slot_table_.find_spare(State::running);
    *ret_worker = start_queue_.pop();
    set_state(*ret_worker, State::starting);
    if (start_queue_.empty()) {
        start_queue_.succeeded(); // no deadline for a start that nobody waits for
    }
    return expect(*ret_spare != no_worker);
}

// The room for its events is the worker's now.
void Supervisor::taken_over(const Input &input, Instant now) {
    Input start = input;
    start.pid = slot_table_.worker(input.spare).pid;
    if (!expect(state_of(input.spare) == State::running) ||
        !expect(state_of(input.worker) == State::starting)) {
        return;
    }
    set_state(input.spare, State::empty);
    begin_life(start, now);
}

// It has ended, or does not wait any more.
void Supervisor::not_taken_over(const Input &input) {
    if (!expect(state_of(input.spare) == State::running) ||
        !expect(state_of(input.worker) == State::starting)) {
        return;
    }
    set_state(input.worker, State::waiting);
    start_queue_.push(input.worker);
    set_state(input.spare, State::aborting);
    instance(input.spare).killed = true;
    send(input.spare, signal_kill, false);
}

// ---- Ends ---------------------------------------------------------------------------------------

void Supervisor::set_spares(uint32_t count, Instant now) {
    if (!expect(count <= slot_table_.spare_places())) {
        return;
    }
    spares_wanted_ = count;
    const uint32_t starting = slot_table_.find_spare(State::starting);
    const bool starts = starting != no_worker && !slot_table_.worker(starting).retires;
    uint32_t usable = slot_table_.spares_waiting() + (starts ? 1U : 0U);
    if (const uint32_t requested = requested_spare(); requested != no_worker) {
        usable += 1;
        if (usable > count) {
            end_spare(requested, Reason::resize, now);
            usable -= 1;
        }
    }
    if (starts && usable > count) {
        end_spare(starting, Reason::resize, now);
        usable -= 1;
    }
    for (uint32_t place = spare_places(); place > 0 && usable > count; place--) {
        if (state_of(first_spare + place - 1) == State::running) {
            end_spare(first_spare + place - 1, Reason::resize, now);
            usable -= 1;
        }
    }
    if (count == 0) {
        spare_retry_ = never;
    }
}

// A spare has the memory, or the program, of the time when it was started.
void Supervisor::renew_spares(Reason reason, Instant now) {
    end_spares(reason, now);
    spare_retry_ = never;
    spare_delay_ = 0;
}

void Supervisor::end_spares(Reason reason, Instant now) {
    for (uint32_t place = 0; place < slot_table_.spare_places(); place++) {
        end_spare(first_spare + place, reason, now);
    }
}

// One that is being started ends once that is over.
void Supervisor::end_spare(uint32_t spare, Reason reason, Instant now) {
    switch (state_of(spare)) {
    case State::requested:
        reporter_.release_spare();
        set_state(spare, State::empty);
        reporter_.cancel_fork_requests();
        break;
    case State::starting:
        instance(spare).retires = true;
        break;
    default:
        ask_to_stop(spare, reason, now);
        break;
    }
}

void Supervisor::spare_exited(const Input &input, Instant now) {
    const Worker &spare = slot_table_.worker(input.worker);
    if (!expect(is_alive(spare.state))) {
        return;
    }
    deadlines_.disarm(input.worker);
    start_queue_.probe();
    if (phase_ != Phase::done) { // else it was abandoned, and nothing is reported after the end
        const bool asked = spare.state == State::stopping || spare.state == State::killing ||
                           spare.state == State::abandoned;
        const bool again = wants_spares() && slot_table_.spares_busy() <= spares_wanted_;
        if (again && !asked && spare_retry_ == never) {
            spare_retry_ = after(now, draw_spare_delay(elapsed(spare.started, now)));
        }
        const Duration delay = again && spare_retry_ != never ? elapsed(now, spare_retry_) : 0;
        reporter_.report_spare_exit(input, again, delay, now);
    }
    set_state(input.worker, State::empty);
    reporter_.release_life();
}

// A program that always ends must not be started without end, also where the pool has no backoff.
Duration Supervisor::draw_spare_delay(Duration uptime) {
    if (settings_.backoff_first != 0) {
        return policy_.draw_delay(uptime, &spare_delay_);
    }
    spare_delay_ = uptime >= start_retry_max ? start_retry_first : next_delay(spare_delay_);
    return spare_delay_;
}

} // namespace prefork::core
