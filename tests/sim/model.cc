// The pool as a whole.
//
// SPDX-License-Identifier: MIT
#include "model.h"

#include <algorithm>
#include <cerrno>

#include "violation.h"

namespace sim {

namespace base = prefork::base;
using Kind = prefork::os::SignalRequest::Kind;

Model model;

void Model::begin(const core::Settings &settings, bool pulled, bool by_pidfd, bool host_fork) {
    // The lists keep their memory, so that histories follow each other quickly.
    Model fresh;
    fresh.table_.swap(table_);
    fresh.queue_.swap(queue_);
    fresh.batch_.swap(batch_);
    fresh.sending_.swap(sending_);
    fresh.events_.swap(events_);
    fresh.counted_at_.swap(counted_at_);
    fresh.due_.swap(due_);
    fresh.requests_.swap(requests_);
    fresh.spares_.swap(spares_);
    *this = std::move(fresh);
    table_.clear();
    queue_.clear();
    batch_.clear();
    sending_.clear();
    events_.clear();
    counted_at_.clear();
    requests_.clear();
    spares_.clear();
    settings_ = settings;
    random_ = settings.seed;
    pulled_ = pulled;
    by_pidfd_ = by_pidfd;
    host_fork_ = host_fork;
}

void Model::open() {
    phase_ = Phase::running;
    slots_ = settings_.workers;
    table_.resize(slots_);
    spares_wanted_ = settings_.spares;
    most_spares_ = settings_.spares;
    spares_.resize(spares_wanted_);
    check_event_capacity();
    tell(event_of(EventType::starting, Level::information));
    for (uint32_t slot = 0; slot < slots_; slot++) {
        want_start(slot, Reason::start);
    }
}

// ---- What the host asks for -----------------------------------------------------------------

void Model::stop(int32_t number, bool quick) {
    if (phase_ != Phase::running && phase_ != Phase::stopping) {
        return;
    }
    if (number != 0 && stop_signal_ != 0) {
        if (world.clock - stop_signal_time_ >= 200 * millisecond) {
            kill();
        }
        return;
    }
    if (number != 0) {
        stop_signal_ = number;
        stop_signal_time_ = world.clock;
    }
    if (quick && (settings_.stop_timeout == 0 || settings_.stop_timeout > second)) {
        settings_.stop_timeout = second;
    }
    if (quick) { // those that were asked before have no more time than the others
        const Instant latest = world.clock + settings_.stop_timeout;
        for (Slot &slot : table_) {
            for (Life &life : slot.lives) {
                if (life.stage == Stage::asked) {
                    life.deadline = std::min(life.deadline, latest);
                }
            }
        }
        for (Life &life : spares_) {
            if (life.stage == Stage::asked) {
                life.deadline = std::min(life.deadline, latest);
            }
        }
    }
    deadline_known_ = false;
    if (phase_ != Phase::running) {
        return;
    }
    begin_stopping(Reason::stop);
    for (uint32_t slot = 0; slot < table_.size(); slot++) {
        ask_slot(slot, Reason::stop);
    }
    end_spares(Reason::stop);
    conclude();
}

void Model::kill() {
    if (phase_ == Phase::running) {
        begin_stopping(Reason::stop);
    }
    if (phase_ != Phase::stopping) {
        return;
    }
    killing_ = true;
    for (uint32_t slot = 0; slot < table_.size(); slot++) {
        for (int life = 0; life < 2; life++) {
            kill_life(table_[slot].lives[life], slot * 2 + static_cast<uint32_t>(life));
        }
        withdraw(slot);
    }
    kill_spares();
    conclude();
}

void Model::kill_life(Life &killed, uint32_t id) {
    if (killed.stage != Stage::none && killed.stage != Stage::killed &&
        killed.stage != Stage::left) {
        killed.told_now = false;
        killed.stage = Stage::killed;
        killed.why = killed.why == Reason::none ? Reason::stop : killed.why;
        killed.deadline = never;
        sending_.push_back(Sending{id, 9, false});
    }
}

void Model::resize(uint32_t count) {
    if (phase_ != Phase::running || count == slots_) {
        conclude();
        return;
    }
    const uint32_t before = slots_;
    slots_ = count;
    if (count > table_.size()) {
        table_.resize(count);
    }
    check_event_capacity();
    tell_resized();
    for (uint32_t slot = before; slot < count; slot++) {
        if (table_[slot].underway) {
            // Nobody took back what the host was asked for: it is the slot's again.
            if (table_[slot].present < 0) {
                table_[slot].pending = Pending::start;
            }
        } else if (table_[slot].present < 0) {
            want_start(slot, Reason::resize);
        }
    }
    for (uint32_t slot = before; slot > count; slot--) {
        leave_slot(slot - 1, Reason::resize);
        table_[slot - 1].stopped = false;
    }
    std::erase_if(requests_, [count](const Request &one) { return one.slot >= count; });
    conclude();
}

void Model::leave_slot(uint32_t number, Reason reason) {
    Slot &slot = table_[number];
    ask_slot(number, reason);
    slot.finished = false;
    slot.unproven = false;
    slot.given_up = false;
    slot.wanted_again = false;
    finish_replacement(number, true);
}

// It has no worker until the host wants one there.
int Model::stop_worker(uint32_t number) {
    if (phase_ != Phase::running) {
        return -ECANCELED;
    }
    if (table_[number].stopped) {
        return -EALREADY;
    }
    leave_slot(number, Reason::stop);
    table_[number].stopped = true;
    std::erase_if(requests_, [number](const Request &one) { return one.slot == number; });
    conclude();
    return 0;
}

void Model::resume_slot(uint32_t number) {
    Slot &slot = table_[number];
    slot.stopped = false;
    if (slot.present >= 0) {
        slot.wanted_again = true;
        slot.again_why = Reason::replace;
    } else if (slot.underway) {
        slot.pending = Pending::start; // it cannot be called back
    } else {
        want_start(number, Reason::replace);
    }
}

int Model::restart(uint32_t number) {
    if (phase_ != Phase::running) {
        return -ECANCELED;
    }
    const Slot &slot = table_[number];
    if (is_being_replaced(number)) {
        return -EALREADY;
    }
    if (slot.stopped) {
        resume_slot(number);
    } else if (slot.present >= 0 && is_at_work(slot.lives[slot.present])) {
        request_replacement(number, ReplacementReason::asked);
    } else {
        fill(number, Reason::replace);
    }
    conclude();
    return 0;
}

int Model::signal(uint32_t slot, int number) {
    const int present = table_[slot].present;
    if (present < 0) {
        return -ESRCH;
    }
    sending_.push_back(Sending{slot * 2 + static_cast<uint32_t>(present), number, false});
    return 0;
}

void Model::signal_all(int number) {
    for (uint32_t slot = 0; slot < table_.size(); slot++) {
        for (uint32_t life = 0; life < 2; life++) {
            if (table_[slot].lives[life].stage != Stage::none) {
                sending_.push_back(Sending{slot * 2 + life, number, false});
            }
        }
    }
}

void Model::own_signal(const prefork::os::SignalRequest &request) {
    settle();
    switch (request.kind) {
    case Kind::stop:
    case Kind::quick_stop:
        stop(request.number, request.kind == Kind::quick_stop);
        break;
    case Kind::grow:
        if (!world.closed) {
            grow(slots_ + 1);
        }
        break;
    case Kind::shrink:
        if (slots_ > 1 && !world.closed) {
            resize(slots_ - 1);
        }
        break;
    case Kind::pass_on:
        pass_on(request.number);
        break;
    case Kind::reload:
        reload();
        break;
    }
}

// Whoever is not ready, or about to be told of by the host, has it later.
void Model::pass_on(int number) {
    for (uint32_t slot = 0; slot < slots_; slot++) {
        for (int life = 0; life < 2; life++) {
            Life &one = table_[slot].lives[life];
            if (one.stage == Stage::serving) {
                const uint32_t worker = slot * 2 + static_cast<uint32_t>(life);
                sending_.push_back(Sending{worker, number, false});
            } else if (one.stage == Stage::trial) {
                one.passed_on.insert(number);
            }
        }
        if (table_[slot].result_until != never) {
            table_[slot].passed_on.insert(number);
        }
    }
}

// ---- The pool's end -------------------------------------------------------------------------

void Model::fail(int32_t error) {
    if (phase_ == Phase::running) {
        result_ = error;
        begin_stopping(error == base::code_gave_up ? Reason::limit : Reason::none);
        for (uint32_t slot = 0; slot < table_.size(); slot++) {
            ask_slot(slot, Reason::stop);
        }
        end_spares(Reason::stop);
    }
}

void Model::wait_failed(int32_t error) {
    result_ = error;
    if (phase_ == Phase::running) {
        begin_stopping(Reason::none);
    }
    kill();
}

void Model::begin_stopping(Reason reason) {
    phase_ = Phase::stopping;
    spare_retry_ = never;
    why_stopped_ = reason;
    tell_stopping();
}

void Model::ask_slot(uint32_t slot, Reason reason) {
    ask(slot, 0, reason);
    ask(slot, 1, reason);
    withdraw(slot);
}

// Nobody waits any more: the next who does has nothing to do with earlier failures.
void Model::reopen_starts_if_unused() {
    deadline_known_ = false;
    if (start_withdrawn_ && queue_.empty()) {
        starts_ = Starts::open;
        retry_delay_ = 0;
        retry_at_ = never;
    }
    start_withdrawn_ = false;
}

// What follows from whatever has happened.
void Model::conclude() {
    reopen_starts_if_unused();
    advance_replacements();
    finish_if_idle();
}

void Model::finish_if_idle() {
    if (alive_ > left_ || pending_ > 0 || (phase_ != Phase::running && phase_ != Phase::stopping)) {
        return;
    }
    const auto is_stopped = [](const Slot &slot) { return slot.stopped; };
    if (phase_ == Phase::running && std::any_of(table_.begin(), table_.end(), is_stopped)) {
        return; // it waits for its host
    }
    if (phase_ == Phase::running && busy_spares() > 0) {
        end_spares(Reason::stop);
        reopen_starts_if_unused();
    }
    if (busy_spares() > 0) {
        return;
    }
    spare_retry_ = never;
    deadline_known_ = false;
    if (phase_ == Phase::running && some_given_up_) {
        result_ = base::code_gave_up;
        why_stopped_ = Reason::limit;
    }
    phase_ = Phase::done;
    if (resize_untold_) {
        resize_untold_ = false;
        tell(event_of(EventType::resized, Level::information), true);
    }
    if (left() > 0 && result_ == 0) {
        result_ = -EPERM;
    }
    core::Event event = event_of(EventType::done, left() > 0 ? Level::error : Level::information);
    event.error = result_;
    event.reason = why_stopped_;
    tell(event);
}

void Model::suspend_starts() {
    if (starts_ == Starts::closed) {
        return;
    }
    retry_delay_ = retry_delay_ == 0 ? 10 * millisecond : std::min(2 * retry_delay_, second);
    retry_at_ = world.clock + retry_delay_;
    starts_ = Starts::closed;
    deadline_known_ = false;
}

} // namespace sim
