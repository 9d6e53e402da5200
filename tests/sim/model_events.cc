// What the host is to be told, and the comparison with what the pool does.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>
#include <cinttypes>

#include "channel.h"
#include "model.h"
#include "violation.h"

namespace sim {

// ---- Events ---------------------------------------------------------------------------------

bool Model::has_room_for_life() const { return room() >= reserved_room() + life_room + pool_room; }

// A host that takes no events at first must not keep any worker from being started.
void Model::check_event_capacity() const {
    require(event_capacity_ >= size_t{slots_} * 2 * life_room +
                                   size_t{spares_wanted_} * (life_room + 1) + 2 * pool_room,
            "event-room", "the queue has no room for the lives of all workers");
}

bool Model::has_room_for_extra() const { return room() > reserved_room() + pool_room; }

void Model::tell(core::Event event, bool late, Instant tie) {
    count_event(event);
    event.time = world.clock;
    events_.push_back(Told{event, late, tie});
    require(events_.size() - first_event_ <= event_capacity_, "event-overflow",
            "more events wait than there is room for");
}

core::Event Model::event_of(EventType type, Level level, int slot) const {
    core::Event event;
    event.type = type;
    event.level = level;
    event.task_id = slot;
    event.restarts = counted_;
    event.count = static_cast<int32_t>(slots_);
    return event;
}

void Model::tell_life(EventType type, int task_id, const Life &life, Instant tie) {
    const bool good = type == EventType::ready;
    core::Event event = event_of(type, good ? Level::information : Level::warning, task_id);
    event.pid = life.pid;
    event.reason = good ? Reason::none : life.why;
    event.delay = type == EventType::killed ? settings_.stop_timeout : 0;
    event.error = type == EventType::unresponsive && life.floods ? prefork::base::code_protocol : 0;
    tell(event, false, tie);
}

void Model::tell_exit(uint32_t slot, const Life &life, const Exit &exit, bool restart,
                      Duration delay, bool done) {
    const bool asked =
        life.stage == Stage::asked || life.stage == Stage::killed || life.stage == Stage::left;
    const bool normal = done || (exit.normal() && life.stage != Stage::dying);
    core::Event event =
        event_of(EventType::exited, asked || normal ? Level::information : Level::warning,
                 static_cast<int>(slot));
    event.pid = life.pid;
    event.reason = out_of_memory_ ? Reason::out_of_memory : life.why;
    event.will_restart = restart;
    event.delay = delay;
    event.uptime = world.clock - life.started;
    event.exit = exit;
    tell(event);
}

void Model::tell_start_failure(uint32_t slot, int32_t error, bool again, Instant tie) {
    core::Event event = event_of(EventType::start_failed, Level::error, static_cast<int>(slot));
    event.reason = table_[slot].why;
    event.error = error;
    event.will_restart = again;
    tell_failed_start(event, retry_at_, tie);
}

void Model::tell_spare_start_failure(int32_t error, bool again, Instant tie) {
    core::Event event = event_of(EventType::start_failed, Level::error, prefork::base::task_spare);
    event.error = error;
    event.will_restart = again;
    tell_failed_start(event, spare_retry_, tie);
}

void Model::tell_failed_start(core::Event event, Instant retry_at, Instant tie) {
    count(core::Counter::start_failed);
    if (event.will_restart && event.error != -ETIMEDOUT && start_failure_told_ != never &&
        world.clock - start_failure_told_ < second) {
        return;
    }
    start_failure_told_ = world.clock;
    const bool later = event.will_restart && retry_at != never && retry_at > world.clock;
    event.delay = later ? retry_at - world.clock : 0;
    tell(event, false, tie);
}

// Once, as soon as anybody is there to be stopped.
void Model::tell_stopping() {
    if (phase_ == Phase::stopping && !stopping_told_ && alive_ > 0) {
        stopping_told_ = true;
        core::Event event = event_of(EventType::stopping, Level::information);
        event.signal = stop_signal_;
        event.reason = why_stopped_;
        event.count = static_cast<int32_t>(alive_);
        tell(event);
    }
}

// Never at the cost of the room that others have been promised.
void Model::tell_resized() {
    resize_untold_ = !has_room_for_extra();
    if (!resize_untold_) {
        tell(event_of(EventType::resized, Level::information), true);
    }
}

// Of workers whose deadlines come at the same moment any may be the first.
void Model::put_tied_event_first(const core::Event &event) {
    const Instant tie = events_[first_event_].tie;
    for (size_t index = first_event_; tie != 0 && index < events_.size(); index++) {
        const Told &other = events_[index];
        if (other.tie != tie || other.event.time != event.time) {
            return;
        }
        if (other.event.pid == event.pid && other.event.task_id == event.task_id) {
            std::swap(events_[index], events_[first_event_]);
            return;
        }
    }
}

void Model::told(const core::Event &event) {
    settle();
    if (!has_events()) {
        violate("event", "of type %d, when there is nothing to tell", static_cast<int>(event.type));
    }
    put_tied_event_first(event);
    if (event.type == EventType::fork_wanted) {
        swap_tied_request(event);
    }
    const core::Event &wanted = events_[first_event_].event;
    const auto same = [](const char *what, int64_t is, int64_t should_be, const char *check) {
        if (is != should_be) {
            violate(check, "an event's %s is %" PRId64 ", not %" PRId64, what, is, should_be);
        }
    };
    same("type", static_cast<int>(event.type), static_cast<int>(wanted.type), "event-type");
    same("task id", event.task_id, wanted.task_id, "event-task");
    same("pid", event.pid, wanted.pid, "event-pid");
    same("level", static_cast<int>(event.level), static_cast<int>(wanted.level), "event-level");
    same("signal", event.signal, wanted.signal, "event-signal");
    same("reason", static_cast<int>(event.reason), static_cast<int>(wanted.reason), "event-reason");
    same("error", event.error, wanted.error, "event-error");
    same("count of restarts", event.restarts, wanted.restarts, "restarts");
    same("count", event.count, wanted.count, "event-count");
    same("limit", event.before_ready, wanted.before_ready, "event-limit");
    same("restart", event.will_restart, wanted.will_restart, "event-restart");
    same("uptime", static_cast<int64_t>(event.uptime), static_cast<int64_t>(wanted.uptime),
         "event-uptime");
    same("delay", static_cast<int64_t>(event.delay), static_cast<int64_t>(wanted.delay),
         "event-delay");
    same("status", event.exit.code, wanted.exit.code, "event-status");
    same("end", static_cast<int>(event.exit.kind), static_cast<int>(wanted.exit.kind),
         "event-status");
    same("core", event.exit.core_dumped, wanted.exit.core_dumped, "event-status");
    same("time used", static_cast<int64_t>(event.exit.user_us),
         static_cast<int64_t>(wanted.exit.user_us), "event-status");
    if (!events_[first_event_].late) {
        same("time", static_cast<int64_t>(event.time), static_cast<int64_t>(wanted.time),
             "event-time");
    }
    require(event.time >= last_told_ && event.time <= world.clock, "event-time",
            "the times of events go back");
    last_told_ = event.time;
    pop_told();
    if (event.type == EventType::fork_wanted) {
        pop_request(static_cast<uint32_t>(event.task_id));
    }
}

// ---- Signals --------------------------------------------------------------------------------

// Before any signal, and without one where the pool sends none.
void Model::told_to_stop(uint32_t worker) {
    const auto is_it = [=](const Sending &sending) {
        return sending.worker == worker && sending.asks && !sending.told;
    };
    auto found = std::find_if(sending_.begin(), sending_.end(), is_it);
    if (found == sending_.end() && sending_.empty()) {
        settle();
        found = std::find_if(sending_.begin(), sending_.end(), is_it);
    }
    if (found == sending_.end()) {
        violate("asked", "worker %u is told to stop for no reason", worker);
    }
    found->told = true;
    if (found->number == 0) {
        *found = sending_.back();
        sending_.pop_back();
    }
}

// A stopped process acts on a signal only when it goes on.
void Model::resume(uint32_t worker) { sending_.push_back(Sending{worker, number_cont, false}); }

bool Model::sent(uint32_t worker, int32_t number) {
    // One that is passed on may have the number of the stop signal, and comes before it.
    const auto is_it = [=](const Sending &sending) {
        return sending.worker == worker && sending.number == number && sending.asks == sending.told;
    };
    const auto is_before = [=](const Sending &sending) {
        return sending.worker == worker && sending.number != number_cont;
    };
    require(number != number_cont || std::none_of(sending_.begin(), sending_.end(), is_before),
            "resume", "a worker goes on before it has its signal");
    auto found = std::find_if(sending_.begin(), sending_.end(), is_it);
    if (found == sending_.end() && sending_.empty()) {
        settle();
        found = std::find_if(sending_.begin(), sending_.end(), is_it);
    }
    if (found != sending_.end()) {
        const bool asks = found->asks;
        *found = sending_.back();
        sending_.pop_back();
        return asks;
    }
    Life &life = life_of(worker);
    if (number != 9) {
        violate("signal", "signal %d to pid %d for no reason", number, life.pid);
    }
    if (life.stage != Stage::killed) { // once more does no harm
        violate("kill", "SIGKILL to pid %d for no reason", life.pid);
    }
    life.deadline = never;
    life.told_now = false;
    deadline_known_ = false;
    return false;
}

// ---- Rounds ---------------------------------------------------------------------------------

void Model::begin_read(int timeout_ms) {
    timeout_ms_ = timeout_ms;
    handle_requests(); // before anything is started
}

int Model::expected_result() const { return phase_ == Phase::done ? result_ : 1; }

void Model::check_wait(int timeout_ms, Instant timer) {
    require(phase_ != Phase::done, "wait", "for a pool that is done");
    require(startable() == 0, "start-missing", "it waits though workers can be started");
    require(!has_takeover(), "takeover-missing", "it waits though a spare could have a slot");
    require(pulled_ || !has_events(), "event-missing", "it waits before it has told all");
    require(timeout_ms == (has_events() ? 0 : timeout_ms_), "wait", "the time-out is another");
    require(pending_collects_ == 0, "collect", "ends that were noticed are not collected");
    require(pending_looks_ == 0, "look-missing", "nobody has looked at a heartbeat");
    const Instant wanted = can_begin_reload() ? 0 : next_timer();
    channel.check_wait();
    if (timer != wanted) {
        violate("timer", "for a wait at %" PRIu64 ", not %" PRIu64, timer, wanted);
    }
}

void Model::woke(const prefork::os::WaitResult &waited) {
    pending_collects_ = waited.ended_count;
    pending_tick_ = waited.timer;
    signals_first_ = true;
    messages_first_ = waited.messages || waited.timer; // also while they are not watched
    handle_requests();
}

void Model::handle_requests() {
    if (kill_requested_) {
        kill();
    } else if (stop_requested_) {
        stop(0, false);
    }
    if (reload_requested_) {
        reload();
    }
    stop_requested_ = false;
    kill_requested_ = false;
    reload_requested_ = false;
}

void Model::no_more_signals() {
    settle();
    signals_first_ = false;
}

void Model::collecting() {
    require(pending_collects_ > 0, "collect", "of a worker that nobody spoke of");
    const bool tick_later = pending_tick_;
    pending_tick_ = false;
    settle();
    pending_tick_ = tick_later;
    pending_collects_ -= 1;
}

void Model::settle() {
    require(!pending_oom_look_, "oom", "nobody looks for why a worker was killed");
    if (!sending_.empty()) {
        violate("signal-missing", "signal %d was not sent to worker %u", sending_[0].number,
                sending_[0].worker);
    }
    if (pending_fork_failure_ != 0) {
        const uint32_t slot = pending_fork_failure_ - 1;
        pending_fork_failure_ = 0;
        start_failed(slot, fork_error_);
        skip_rest_of_batch();
    }
    require(forked_ == batch_.size(), "start-missing", "a start was begun and left");
    if (pending_requests_) {
        pending_requests_ = false;
        request_forks();
    }
    if (pending_spares_ != 0) {
        const uint32_t count = pending_spares_;
        pending_spares_ = 0;
        if (!world.allocation_failed) {
            set_spares(count);
        }
    }
    if (pending_growth_ != 0) {
        const uint32_t count = pending_growth_;
        pending_growth_ = 0;
        if (!world.allocation_failed) {
            resize(count);
        }
        world.allocation_failed = false;
    }
    if (pending_tick_ && pending_collects_ == 0 && !signals_first_ && !messages_first_) {
        pending_tick_ = false;
        tick();
    }
}

// ---- What the pool says of itself -----------------------------------------------------------

void Model::check_armed() {
    settle();
    require(sending_.empty(), "signal-missing", "a signal was not sent");
    if (world.timer_failed) {
        require(done() || world.readable(), "timer", "it failed, and nobody notices");
        return;
    }
    const bool at_once =
        startable() > 0 || has_takeover() || (pulled_ && has_events()) || can_begin_reload();
    const bool returns = done() && !world.retired; // the next run does, with the result
    const Instant wanted = at_once || returns ? 0 : next_timer();
    if (world.timer != wanted) {
        violate("timer", "at %" PRIu64 ", not %" PRIu64 " (now %" PRIu64 ")", world.timer, wanted,
                world.clock);
    }
}

void Model::check_counts(const core::Supervisor &supervisor) {
    require(!supervisor.broken(), "broken", "the core has found an invariant broken");
    require(supervisor.alive() == alive_, "alive-count", "the count of living workers is wrong");
    check_counters(supervisor);
    require(supervisor.slots() == slots_, "slots", "the number of slots is wrong");
    require(supervisor.done() == done(), "done", "too early or too late");
    require(supervisor.counter(core::Counter::spares) == spares_alive_, "spare-count",
            "the count of spares is wrong");
    require(alive_ + spares_alive_ == world.living.size() + world.ended.size(), "alive-count",
            "not as many processes as the model has");
}

void Model::check_slots(const core::Supervisor &supervisor) {
    for (uint32_t number = 0; number < slots_; number++) {
        const Slot &slot = table_[number];
        const core::Worker &worker = supervisor.worker(supervisor.current(number));
        const int32_t pid = slot.present < 0 ? 0 : slot.lives[slot.present].pid;
        require(worker.pid == pid, "slot-pid", "the slot's worker is another");
        require(supervisor.restarts(number) == slot.restarts, "restarts",
                "the slot's count of restarts is wrong");
        require((worker.state == core::State::backing_off) == (slot.pending == Pending::delay),
                "slot-state", "it waits for a delay, or does not");
        require((worker.state == core::State::done) == slot.finished, "slot-state",
                "its worker is done, or not");
        require((worker.state == core::State::ready) ==
                    (slot.present >= 0 && slot.lives[slot.present].stage == Stage::serving),
                "slot-state", "its worker is ready, or not");
        require((worker.state == core::State::aborting) ==
                    (slot.present >= 0 && slot.lives[slot.present].stage == Stage::dying),
                "slot-state", "it is dying of its silence, or not");
        require(supervisor.is_being_replaced(number) == is_being_replaced(number), "slot-state",
                "it is being replaced, or not");
    }
}

} // namespace sim
