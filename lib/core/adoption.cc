// The workers of a supervisor whose program has been replaced: what the old program hands over, and
// how the new one goes on with it.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

namespace {

constexpr uint8_t last_state = static_cast<uint8_t>(State::done);
constexpr uint8_t last_reason = static_cast<uint8_t>(Reason::protocol);
constexpr uint8_t all_requests = (1U << (static_cast<unsigned>(ReplacementReason::retire) + 1)) - 1;

State state_in(const WorkerSnapshot &saved) { return static_cast<State>(saved.state); }

// Why a worker that waited to be started is started.
Reason awaited_start(const SlotSnapshot &saved) {
    const WorkerSnapshot &current = saved.workers[saved.current];
    return state_in(current) == State::waiting ? static_cast<Reason>(current.start_reason)
                                               : Reason::start;
}

uint8_t flag_if(bool is_set, uint8_t flag) { return is_set ? flag : uint8_t{0}; }

} // namespace

bool WorkerSnapshot::is_valid() const {
    if (state > last_state || start_reason > last_reason || end_reason > last_reason ||
        (flags & ~all_flags) != 0) {
        return false;
    }
    const State known = state_in(*this);
    return !is_under_way(known) && refusals <= kill_retries + 1 && is_alive(known) == (pid > 0) &&
           pid >= 0;
}

bool SlotSnapshot::is_valid() const {
    return workers[0].is_valid() && workers[1].is_valid() && current < instances &&
           again <= last_reason && (requests & ~all_requests) == 0 && (flags & ~all_flags) == 0 &&
           !(state_in(workers[0]) == State::ready && state_in(workers[1]) == State::ready) &&
           restarts >= 0;
}

// ---- The old program --------------------------------------------------------------------------

PoolSnapshot Supervisor::snapshot() const {
    PoolSnapshot saved{};
    reporter_.save_counters(saved.counters);
    saved.restarts = policy_.counted();
    saved.slots = slot_table_.slots();
    saved.flags = (some_worker_ran_ ? PoolSnapshot::some_worker_ran : 0) |
                  (rollout_.wants_reload() ? PoolSnapshot::reload_wanted : 0);
    return saved;
}

WorkerSnapshot Supervisor::worker_snapshot(uint32_t id) const {
    const Worker &worker = slot_table_.worker(id);
    WorkerSnapshot copy{};
    copy.started = worker.started;
    copy.expires = worker.expires;
    copy.deadline = deadlines_.of(id);
    copy.beats = worker.beats;
    copy.pending_signals = worker.pending_signals;
    copy.pid = worker.pid;
    copy.state = static_cast<uint8_t>(worker.state);
    copy.flags = flag_if(worker.killed, WorkerSnapshot::killed) |
                 flag_if(worker.said_ready, WorkerSnapshot::said_ready) |
                 flag_if(worker.retires, WorkerSnapshot::retires) |
                 flag_if(worker.kill_reported, WorkerSnapshot::kill_reported) |
                 flag_if(worker.last_beat != never, WorkerSnapshot::beats_expected);
    copy.start_reason = static_cast<uint8_t>(worker.start_reason);
    copy.end_reason = static_cast<uint8_t>(worker.end_reason);
    copy.refusals = worker.refusals;
    return copy;
}

SlotSnapshot Supervisor::snapshot(uint32_t number) const {
    const Slot &slot = slot_table_[number];
    SlotSnapshot saved{};
    for (uint32_t index = 0; index < instances; index++) {
        saved.workers[index] = worker_snapshot(instance_of(number, index));
    }
    saved.backoff = slot.backoff;
    saved.restarts = slot.restarts;
    saved.current = slot.current;
    saved.requests = slot.requests;
    const State state = slot.workers[slot.current].state;
    const bool is_replaced = slot.replaced_for != ReplacementReason::none;
    const bool is_old = slot_table_.has_replacement(current(number));
    if (is_replaced && is_old) {
        saved.requests |= request_bit(slot.replaced_for);
    }
    const bool is_unproven = slot.unproven || (is_replaced && !is_old && state == State::running);
    saved.flags = flag_if(is_unproven, SlotSnapshot::unproven) |
                  flag_if(slot.given_up, SlotSnapshot::given_up) |
                  flag_if(slot.stopped, SlotSnapshot::stopped);
    // The old worker was asked to stop before the new one is started.
    const bool is_stopped_first =
        is_replaced && (state == State::stopping || state == State::killing);
    const Reason again = is_stopped_first ? reason_of(slot.replaced_for) : slot.again;
    saved.again = static_cast<uint8_t>(again);
    return saved;
}

// ---- The new program --------------------------------------------------------------------------

void Supervisor::adopt(const PoolSnapshot &pool, std::span<const SlotSnapshot> slots,
                       std::span<const WorkerSnapshot> spares, Instant now) {
    if (!expect(phase_ == Phase::idle) || !expect(slots.size() <= slot_table_.size()) ||
        !expect(spares.size() <= slot_table_.spare_places())) {
        return;
    }
    phase_ = Phase::running;
    slot_table_.set_slots(settings_.workers);
    policy_.set_counted(pool.restarts);
    reporter_.restore_counters(pool.counters);
    some_worker_ran_ = (pool.flags & PoolSnapshot::some_worker_ran) != 0;
    for (uint32_t slot = 0; slot < slots.size(); slot++) {
        if (!expect(slots[slot].is_valid())) {
            return;
        }
        restore(slot, slots[slot]);
    }
    reporter_.report_adopted(now);
    for (uint32_t place = 0; place < spares.size(); place++) {
        const uint32_t spare = first_spare + place;
        if (!expect(spares[place].is_valid())) {
            return;
        }
        restore_worker(spare, spares[place]);
        if (state_of(spare) == State::running || state_of(spare) == State::ready) {
            ask_to_stop(spare, Reason::reload, now);
        } else {
            continue_worker(spare, spares[place], now);
        }
    }
    for (uint32_t slot = 0; slot < slots.size(); slot++) {
        continue_slot(slot, slots[slot], now);
    }
    for (uint32_t slot = 0; slot < slot_table_.slots(); slot++) {
        const Slot &fresh = slot_table_[slot];
        if (state_of(current(slot)) == State::empty && !fresh.given_up && !fresh.stopped) {
            begin(current(slot), slot < slots.size() ? awaited_start(slots[slot]) : Reason::start);
        }
    }
    if ((pool.flags & PoolSnapshot::reload_wanted) != 0) {
        rollout_.request_reload();
    }
    advance_replacements(now);
    finish_if_nothing_is_busy(now);
}

// Its workers are there again, as far as they have processes.
void Supervisor::restore(uint32_t number, const SlotSnapshot &saved) {
    Slot &slot = slot_table_[number];
    for (uint32_t index = 0; index < instances; index++) {
        restore_worker(instance_of(number, index), saved.workers[index]);
    }
    slot.backoff = saved.backoff;
    slot.restarts = saved.restarts;
    slot.current = saved.current;
    slot.unproven = (saved.flags & SlotSnapshot::unproven) != 0;
    slot.again = static_cast<Reason>(saved.again);
    slot.given_up = (saved.flags & SlotSnapshot::given_up) != 0 && number < slot_table_.slots();
    some_slot_given_up_ = some_slot_given_up_ || slot.given_up;
    slot_table_.set_stopped(number, (saved.flags & SlotSnapshot::stopped) != 0);
}

void Supervisor::restore_worker(uint32_t id, const WorkerSnapshot &saved) {
    const State state = state_in(saved);
    if (!is_alive(state)) {
        return;
    }
    Worker &worker = instance(id);
    worker.started = saved.started;
    worker.expires = saved.expires;
    worker.last_beat = never;
    worker.beats = saved.beats;
    worker.pending_signals = saved.pending_signals;
    worker.pid = saved.pid;
    worker.killed = (saved.flags & WorkerSnapshot::killed) != 0;
    worker.said_ready = (saved.flags & WorkerSnapshot::said_ready) != 0;
    worker.retires = (saved.flags & WorkerSnapshot::retires) != 0;
    worker.kill_reported = (saved.flags & WorkerSnapshot::kill_reported) != 0;
    worker.start_reason = static_cast<Reason>(saved.start_reason);
    worker.end_reason = static_cast<Reason>(saved.end_reason);
    worker.refusals = saved.refusals;
    reporter_.reserve_life();
    set_state(id, state == State::abandoned ? State::killing : state);
}

// What its workers were about to do is decided by the settings of the new program.
void Supervisor::continue_slot(uint32_t number, const SlotSnapshot &saved, Instant now) {
    const uint32_t worker = current(number);
    const uint32_t other = other_instance(worker);
    const WorkerSnapshot &copy = saved.workers[worker % instances];
    if (state_of(other) == State::running || state_of(other) == State::ready) {
        ask_to_stop(other, Reason::stop, now); // a replacement that was not good yet
    } else {
        continue_worker(other, saved.workers[other % instances], now);
    }
    if (is_alive(state_of(worker))) {
        continue_worker(worker, copy, now);
    } else if (state_in(copy) == State::done) {
        set_state(worker, State::done);
    } else if (state_in(copy) == State::backing_off) {
        set_state(worker, State::backing_off);
        deadlines_.arm(worker, copy.deadline == never ? now : copy.deadline);
    }
    if (is_busy(state_of(other)) && slot_table_.replacing() < settings_.reload_width) {
        slot_table_.set_replacing(number, true);
    }
    if (number >= slot_table_.slots()) {
        leave_slot(number, Reason::resize, now);
        slot_table_.set_stopped(number, false);
        rollout_.cancel_of(number);
        return;
    }
    // Replacements that were waiting or under way, except those of a reload, which begins anew.
    const State state = state_of(worker);
    if (state != State::running && state != State::ready) {
        return;
    }
    if ((saved.requests & request_bit(ReplacementReason::host)) != 0) {
        rollout_.request(number, ReplacementReason::host);
    }
    if ((saved.requests & request_bit(ReplacementReason::lifetime)) != 0 && state == State::ready &&
        copy.expires == never && settings_.lifetime != 0) {
        instance(worker).expires = never;
        rollout_.request(number, ReplacementReason::lifetime);
    }
}

// It has a process. The clock of the old program went on meanwhile.
void Supervisor::continue_worker(uint32_t id, const WorkerSnapshot &saved, Instant now) {
    Worker &worker = instance(id);
    switch (worker.state) {
    case State::running:
        expect_ready(id, worker.started, now);
        break;
    case State::ready:
        if (settings_.lifetime == 0) {
            worker.expires = never;
        } else if (worker.expires == never) {
            worker.expires = after(now, policy_.draw_lifetime(settings_));
        }
        worker.last_beat = (saved.flags & WorkerSnapshot::beats_expected) != 0 ? now : never;
        expect_heartbeat(id, now);
        if (worker.retires) {
            request_retirement(id, now);
        }
        break;
    case State::aborting:
    case State::stopping:
    case State::killing:
        if (saved.deadline != never) {
            deadlines_.arm(id, saved.deadline);
        } else if (worker.state == State::stopping && settings_.stop_timeout != 0) {
            deadlines_.arm(id, after(now, settings_.stop_timeout));
        }
        break;
    default:
        break;
    }
}

// A worker of a pool that the new program does not have: it ends here.
void Supervisor::absorb(uint32_t id, int32_t pid, Instant now) {
    if (!expect(id < capacity()) || !expect(state_of(id) == State::empty) || !expect(pid > 0)) {
        return;
    }
    Worker &worker = instance(id);
    worker = Worker{};
    worker.started = now;
    worker.expires = never;
    worker.last_beat = never;
    worker.pid = pid;
    reporter_.reserve_life();
    set_state(id, State::running);
    ask_to_stop(id, Reason::stop, now);
}

} // namespace prefork::core
