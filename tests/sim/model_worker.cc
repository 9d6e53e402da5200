// One slot and its workers.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>

#include "model.h"
#include "violation.h"

namespace sim {

namespace base = prefork::base;

void Model::want_start(uint32_t slot, Reason reason, uint64_t key) {
    table_[slot].why = reason;
    table_[slot].pending = Pending::start;
    table_[slot].passed_on.clear();
    table_[slot].finished = false;
    table_[slot].given_up = false;
    pending_ += 1;
    queue_.push_back(Waiting{slot, key != 0 ? key : ++next_key_});
}

// Whatever the slot waits for, it waits no more; a start under way cannot be called back.
void Model::withdraw(uint32_t number) {
    Slot &slot = table_[number];
    if (slot.asked) {
        withdraw_request(number);
    }
    if (slot.pending == Pending::none || slot.underway) {
        return;
    }
    deadline_known_ = false;
    if (slot.pending != Pending::delay) {
        std::erase_if(queue_, [number](const Waiting &waiting) { return waiting.slot == number; });
        start_withdrawn_ = true;
    }
    slot.pending = Pending::none;
    pending_ -= 1;
}

void Model::ask(uint32_t slot, int number, Reason reason) {
    ask_life(table_[slot].lives[number], slot * 2 + static_cast<uint32_t>(number), reason);
}

void Model::ask_life(Life &life, uint32_t id, Reason reason) {
    life.why = life.why == Reason::none ? reason : life.why; // the first counts
    const Instant latest =
        settings_.stop_timeout == 0 ? never : base::after(world.clock, settings_.stop_timeout);
    deadline_known_ = false;
    switch (life.stage) {
    case Stage::trial:
    case Stage::serving:
        life.stage = Stage::asked;
        life.renewals = 0;
        life.deadline = latest;
        pending_looks_ -= life.look_due ? 1 : 0;
        life.look_due = false;
        sending_.push_back(Sending{id, base::is_spare(id) ? 0 : settings_.stop_signal, true});
        resume(id);
        break;
    case Stage::dying:
        life.stage = life.slain ? Stage::killed : Stage::asked;
        life.deadline = life.slain ? life.deadline : std::min(life.deadline, latest);
        break;
    case Stage::asked:
        life.deadline = std::min(life.deadline, latest);
        break;
    case Stage::none:
    case Stage::killed:
    case Stage::left:
        break;
    }
}

// It works, and if it is a new one the old one, if that is still there, has to go.
void Model::get_ready(uint32_t number, int instance) {
    Slot &slot = table_[number];
    Life &life = slot.lives[instance];
    life.stage = Stage::serving;
    if (settings_.ready_timeout > 0) {
        tell_life(EventType::ready, static_cast<int>(number), life, 0);
        life.beat_at = world.clock;
    }
    if (settings_.lifetime > 0) {
        life.expires = base::after(world.clock, draw_lifetime());
    }
    expect_sign(life);
    for (const int signal : life.passed_on) {
        sending_.push_back(Sending{number * 2 + static_cast<uint32_t>(instance), signal, false});
    }
    life.passed_on.clear();
    if (life.retires) {
        retire_in_time(number, life);
    }
    if (instance == slot.second) {
        std::swap(slot.present, slot.second);
        if (slot.second >= 0) {
            ask(number, slot.second, reason_of(slot.replaced_for));
        }
    } else if (has_new(slot) || slot.pending == Pending::replacement) {
        return; // it is the old one
    }
    slot.unproven = false;
    finish_replacement(number, true);
}

// ---- Starts ---------------------------------------------------------------------------------

size_t Model::startable() const {
    if (queue_.empty()) {
        return is_spare_startable() ? 1 : 0;
    }
    if (starts_ == Starts::closed || !has_room_for_life()) {
        return 0;
    }
    if (starts_ == Starts::probing) {
        return underway_ > 0 ? 0 : 1;
    }
    return queue_.size();
}

bool Model::order_is_certain() const {
    const auto tied = [](const Waiting &one, const Waiting &other) { return one.key == other.key; };
    if (!batch_.empty() && !queue_.empty() && tied(batch_.back(), queue_.front())) {
        return false;
    }
    return std::adjacent_find(queue_.begin(), queue_.end(), tied) == queue_.end() &&
           std::adjacent_find(batch_.begin(), batch_.end(), tied) == batch_.end();
}

// The pool is about to fork for so many of those that wait, or for as many as it has room for.
void Model::pop_batch(size_t count) {
    require(startable() > 0, "start", "a worker is started though none may be");
    batch_.clear();
    forked_ = 0;
    if (queue_.empty()) {
        begin_spare_start();
        batch_.push_back(Waiting{spare_slot, ++next_key_});
        return;
    }
    require(!has_takeover(), "takeover-missing", "a worker is started while a spare waits");
    while (batch_.size() < count && startable() > 0) {
        const Waiting first = queue_.front();
        queue_.erase(queue_.begin());
        Slot &slot = table_[first.slot];
        require(first.slot < slots_, "start", "in a slot that was given up");
        require(!slot.stopped, "start", "in a slot that the host has stopped");
        require(slot.present < 0 || slot.second < 0, "one-worker", "a third process in a slot");
        require(slot.present < 0 || slot.pending == Pending::replacement, "one-worker",
                "a second process in a slot that is not being replaced");
        slot.underway = true;
        underway_ += 1;
        batch_.push_back(first);
    }
}

// Puts the slot where the next of the batch is, if it is one of those whose turn it may be.
bool Model::put_in_turn(uint32_t number) {
    const uint64_t key = batch_[forked_].key;
    for (size_t place = forked_; place < batch_.size() && batch_[place].key == key; place++) {
        if (batch_[place].slot == number) {
            std::swap(batch_[place], batch_[forked_]);
            return true;
        }
    }
    for (size_t place = 0; place < queue_.size() && queue_[place].key == key; place++) {
        if (queue_[place].slot == number) {
            table_[number].underway = true;
            table_[batch_[forked_].slot].underway = false;
            std::swap(queue_[place], batch_[forked_]);
            return true;
        }
    }
    return false;
}

void Model::forked(uint32_t slot) {
    require(forked_ < batch_.size(), "start", "a worker is started though none may be");
    if (!put_in_turn(slot)) {
        violate("start", "slot %u is started, it is slot %u's turn", slot, batch_[forked_].slot);
    }
    forked_ += 1;
}

void Model::fork_failed(uint32_t slot, int32_t error) {
    pending_fork_failure_ = slot + 1;
    fork_error_ = error;
}

// Those that were to be forked after one that failed wait again.
void Model::skip_rest_of_batch() {
    for (; forked_ < batch_.size(); forked_++) {
        const Waiting &skipped = batch_[forked_];
        Slot &slot = table_[skipped.slot];
        slot.underway = false;
        underway_ -= 1;
        if (is_wanted(skipped.slot)) {
            queue_.push_back(skipped);
        } else {
            slot.pending = Pending::none;
            pending_ -= 1;
        }
        conclude();
    }
}

// Before it came to a fork: it is the first's failure.
void Model::start_refused(int32_t error) {
    pop_batch(1);
    first_refused(error);
}

void Model::first_refused(int32_t error) {
    forked_ = 1;
    start_failed(batch_[0].slot, error);
}

void Model::watch_failed(int32_t pid, int32_t error) {
    pending_discard_ = pid;
    watch_error_ = error;
}

void Model::discarded(uint32_t slot, int32_t pid) {
    if (unwanted_ == pid) {
        unwanted_ = 0;
        return;
    }
    require(pending_discard_ == pid, "discard", "a worker is discarded for no reason");
    pending_discard_ = 0;
    start_failed(slot, watch_error_);
}

void Model::started(uint32_t worker, uint32_t number, int32_t pid, Instant since) {
    if (base::is_spare(worker)) {
        require(number == spare_slot, "instance", "a worker in the place of a spare");
        spare_started(worker, pid, since);
        return;
    }
    require(pending_discard_ == 0, "discard", "a worker that is not watched is left alone");
    require(worker / 2 == number, "instance", "a worker in another slot's place");
    require(table_[number].underway, "start", "of a slot that nobody started");
    table_[number].underway = false;
    table_[number].result_until = never;
    underway_ -= 1;
    starts_ = Starts::open;
    retry_delay_ = 0;
    retry_at_ = never;
    begin_life(worker, pid, since);
    conclude();
}

void Model::begin_life(uint32_t worker, int32_t pid, Instant since) {
    const uint32_t number = worker / 2;
    Slot &slot = table_[number];
    const int instance = static_cast<int>(worker % 2);
    require(slot.lives[instance].stage == Stage::none, "instance", "a worker in another's place");
    const bool replaces = slot.pending == Pending::replacement;
    slot.pending = Pending::none;
    pending_ -= 1;
    alive_ += 1;
    some_ran_ = true;
    deadline_known_ = false;
    Life &life = slot.lives[instance];
    life = Life{};
    life.pid = pid;
    life.stage = Stage::trial;
    life.started = since;
    life.passed_on.swap(slot.passed_on);
    (replaces ? slot.second : slot.present) = instance;
    core::Event event = event_of(EventType::started, Level::information, static_cast<int>(number));
    event.pid = pid;
    event.reason = slot.why;
    tell(event);
    tell_stopping();
    if (killing_) {
        life.stage = Stage::killed;
        life.why = Reason::stop;
        sending_.push_back(Sending{worker, 9, false});
    } else if (!is_wanted(number) || (replaces && slot.replaced_for == ReplacementReason::none)) {
        const bool stops = phase_ == Phase::stopping || slot.stopped || slot.wanted_again;
        ask(number, instance, stops ? Reason::stop : Reason::resize);
    } else if (settings_.ready_timeout > 0) {
        life.deadline = base::after(world.clock, settings_.ready_timeout);
    } else if ((slot.replaced_for != ReplacementReason::none || slot.unproven) &&
               settings_.minimum_uptime > 0) {
        life.deadline = world.clock + settings_.minimum_uptime;
    } else {
        get_ready(number, instance);
    }
}

void Model::start_failed(uint32_t number, int32_t error) {
    if (number == spare_slot) {
        spare_start_failed(error, 0);
    } else {
        end_start(number, error);
    }
    conclude();
}

void Model::end_start(uint32_t number, int32_t error, Instant tie, uint64_t key) {
    Slot &slot = table_[number];
    const bool passes = error == -EAGAIN || error == -ENOMEM || error == -EMFILE ||
                        error == -ENFILE || error == -ENOSPC || error == -ETIMEDOUT;
    const bool replaces = slot.pending == Pending::replacement;
    slot.underway = false;
    slot.result_until = never;
    deadline_known_ = false;
    underway_ -= 1;
    // Its room in the queue of events is only given back after what is told now.
    const bool wanted = is_wanted(number);
    const bool counts = wanted && !passes && !replaces && some_ran_;
    const bool last_boot = counts && slot.replaced_for == ReplacementReason::none && is_last_boot();
    const bool counted = counts && !last_boot && allow_restart();
    const bool again = wanted && (passes || counted);
    slot.restarts += counted ? 1 : 0;
    slot.unproven =
        slot.unproven || (!replaces && !passes && slot.replaced_for != ReplacementReason::none);
    if (again) {
        if (error != -ETIMEDOUT) {
            suspend_starts();
        }
        queue_.push_back(Waiting{number, key != 0 ? key : ++next_key_});
    } else {
        slot.pending = Pending::none;
        pending_ -= 1;
    }
    tell_start_failure(number, error, again, tie);
    if (wanted && !again && !replaces) {
        if (last_boot) {
            give_up_boot();
        } else if (some_ran_) {
            give_up(number, false);
        } else {
            fail(error);
        }
    }
    if (wanted && !passes) {
        finish_replacement(number, false, error);
    }
}

} // namespace sim
