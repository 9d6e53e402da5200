// Deadlines, and whether workers are well.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>

#include "channel.h"
#include "manager.h"
#include "model.h"
#include "violation.h"

namespace sim {

namespace base = prefork::base;

Instant Model::next_deadline() const {
    if (deadline_known_) {
        return deadline_;
    }
    Instant next = starts_ == Starts::closed ? retry_at_ : never;
    for (const Slot &slot : table_) {
        next = std::min(next, std::min(slot.lives[0].deadline, slot.lives[1].deadline));
        next = std::min(next, slot.result_until);
        if (slot.pending == Pending::delay) {
            next = std::min(next, slot.due);
        }
    }
    for (const Life &life : spares_) {
        next = std::min(next, life.deadline);
    }
    next = std::min(next, std::min(spare_start_.result_until, spare_retry_));
    deadline_ = next;
    deadline_known_ = true;
    return next;
}

// All that is due, the earliest first.
void Model::tick() {
    if (next_deadline() > world.clock) {
        conclude();
        return;
    }
    deadline_known_ = false;
    due_.clear();
    for (uint32_t number = 0; number < table_.size(); number++) {
        const Slot &slot = table_[number];
        for (int life = 0; life < 2; life++) {
            if (slot.lives[life].deadline <= world.clock) {
                due_.push_back(Due{slot.lives[life].deadline, number, life});
            }
        }
        if (slot.pending == Pending::delay && slot.due <= world.clock) {
            due_.push_back(Due{slot.due, number, of_delay});
        }
        if (slot.result_until <= world.clock) {
            due_.push_back(Due{slot.result_until, number, of_answer});
        }
    }
    for (uint32_t place = 0; place < spares_.size(); place++) {
        const bool starts = spare_start_.underway && spare_start_.place == place;
        const Instant until = starts ? spare_start_.result_until : never;
        if (std::min(spares_[place].deadline, until) <= world.clock) {
            due_.push_back(Due{std::min(spares_[place].deadline, until), place,
                               starts ? of_spare_answer : of_spare});
        }
    }
    // Of the same moment, the lower slots come first, as they were gathered.
    std::stable_sort(due_.begin(), due_.end(), [](const Due &one, const Due &other) {
        return one.deadline < other.deadline;
    });
    renew_after_pause();
    Instant last_start = never;
    uint64_t key = 0; // of all that are to be started from the same moment on
    for (const Due &due : due_) {
        if (due.life >= 0) {
            life_due(due);
            continue;
        }
        if (due.life == of_spare_answer) {
            spare_start_failed(-ETIMEDOUT, due.deadline);
            continue;
        }
        key = last_start == due.deadline ? key : ++next_key_;
        last_start = due.deadline;
        if (due.life == of_answer) {
            end_start(due.slot, -ETIMEDOUT, due.deadline, key);
        } else {
            withdraw(due.slot);
            want_start(due.slot, Reason::restart, key);
        }
    }
    if (spare_retry_ <= world.clock) {
        spare_retry_ = never;
        deadline_known_ = false;
    }
    if (starts_ == Starts::closed && retry_at_ <= world.clock) {
        starts_ = Starts::probing;
        retry_at_ = never;
    }
    conclude();
}

// Who was not seen for longer than half a time-out has it all once more.
void Model::renew_after_pause() {
    const Duration late = due_.empty() ? 0 : world.clock - due_.front().deadline;
    const bool for_ready = settings_.ready_timeout > 0 && late > settings_.ready_timeout / 2;
    const bool for_uptime = settings_.ready_timeout == 0 && settings_.minimum_uptime > 0 &&
                            late > settings_.minimum_uptime / 2;
    const bool for_beats =
        settings_.heartbeat_timeout > 0 && late > settings_.heartbeat_timeout / 2;
    const bool for_stop = settings_.stop_timeout > 0 && late > settings_.stop_timeout / 2;
    for (Life &life : spares_) {
        const bool is_asked =
            life.stage == Stage::asked || (life.stage == Stage::dying && !life.slain);
        if (for_stop && is_asked && life.renewals < 3) {
            life.renewals += 1;
            life.deadline = base::after(world.clock, settings_.stop_timeout);
        }
    }
    for (Slot &slot : table_) {
        for (Life &life : slot.lives) {
            const bool is_asked =
                life.stage == Stage::asked || (life.stage == Stage::dying && !life.slain);
            if (for_stop && is_asked && life.renewals < 3) {
                life.renewals += 1;
                life.deadline = base::after(world.clock, settings_.stop_timeout);
            }
            if (for_ready && life.stage == Stage::trial) {
                life.deadline = base::after(world.clock, settings_.ready_timeout);
            }
            if (for_uptime && life.stage == Stage::trial && life.renewals < 3) {
                life.renewals += 1;
                life.deadline = base::after(world.clock, settings_.minimum_uptime);
            }
            if (for_beats && life.stage == Stage::serving && life.beat_at != never) {
                life.beat_at = world.clock;
            }
        }
    }
}

// Its deadline may be another by now, because of one that was due before it.
void Model::life_due(const Due &due) {
    const uint32_t id = due.life == of_spare ? base::first_spare + due.slot
                                             : due.slot * 2 + static_cast<uint32_t>(due.life);
    Life &life = life_of(id);
    if (life.deadline > world.clock) {
        return;
    }
    life.deadline = never;
    switch (life.stage) {
    case Stage::asked:
    case Stage::dying:
        life.told_now = !life.slain;
        if (!life.slain) {
            life.kill_told = true;
            tell_life(EventType::killed, task_of(id), life, due.deadline);
        }
        sending_.push_back(Sending{id, 9, false});
        life.slain = life.stage == Stage::dying;
        life.stage = life.slain ? Stage::dying : Stage::killed;
        break;
    case Stage::trial:
        if (settings_.ready_timeout > 0) {
            be_silent(id, Reason::ready_timeout, never, due.deadline);
        } else {
            get_ready(due.slot, due.life);
        }
        break;
    case Stage::serving:
        if (life.expires <= world.clock) {
            life.expires = never;
            life.overdue = true;
            request_replacement(due.slot, life.retires ? ReplacementReason::retire
                                                       : ReplacementReason::lifetime);
        }
        if (settings_.heartbeat_timeout > 0) {
            life.look_due = true;
            pending_looks_ += 1;
        }
        break;
    case Stage::killed:
        life.told_now = false;
        sending_.push_back(Sending{id, 9, false});
        break;
    case Stage::none:
    case Stage::left:
        break;
    }
}

// It is not ready in time, or beats no more.
void Model::be_silent(uint32_t id, Reason reason, Instant deadline, Instant tie) {
    Life &life = life_of(id);
    const int32_t signal = reason == Reason::heartbeat_timeout ? 6 : 9;
    life.why = reason;
    tell_life(EventType::unresponsive, task_of(id), life, tie);
    life.stage = Stage::dying;
    life.renewals = 0;
    life.deadline = deadline;
    life.slain = signal == 9;
    life.told_now = life.slain;
    sending_.push_back(Sending{id, signal, false});
    if (signal != 9) {
        resume(id);
    }
    deadline_known_ = false;
}

// A worker at work is looked at four times in a time-out, and when it gets too old.
void Model::expect_sign(Life &life) {
    deadline_known_ = false;
    life.deadline = life.expires;
    if (settings_.heartbeat_timeout > 0) {
        const Instant look = base::after(world.clock, settings_.heartbeat_timeout / 4 + 1);
        life.deadline = std::min(life.deadline, look);
    }
}

// The pool looks at a heartbeat.
void Model::looked(uint32_t worker, uint32_t beats) {
    settle();
    Life &life = table_[worker / 2].lives[worker % 2];
    if (life.stage != Stage::serving) {
        return; // it was asked to stop at the same moment
    }
    require(life.look_due, "look", "at the heartbeat of a worker whose time it is not");
    life.look_due = false;
    pending_looks_ -= 1;
    if (beats != life.beats) {
        life.beats = beats;
        life.beat_at = world.clock;
    } else if (life.beat_at != never && world.clock - life.beat_at >= settings_.heartbeat_timeout) {
        require(world.clock - world.instances[worker].beaten >= settings_.heartbeat_timeout,
                "healthy", "a worker that has given a sign of life is killed for its silence");
        const Instant deadline =
            settings_.stop_timeout == 0 ? never : base::after(world.clock, settings_.stop_timeout);
        be_silent(worker, Reason::heartbeat_timeout, deadline, world.clock);
        conclude();
        return;
    }
    expect_sign(life);
    conclude();
}

// It says that it is ready, for the first time or again.
void Model::said_ready(uint32_t worker) {
    settle();
    Life &life = life_of(worker);
    // A spare has nothing to be ready for.
    const bool is_spare = base::is_spare(worker);
    if (!is_spare && (life.stage == Stage::trial || life.stage == Stage::serving)) {
        life.well = true;
        boots_failed_ = 0;
    }
    if (!is_spare && life.stage == Stage::trial) {
        get_ready(worker / 2, static_cast<int>(worker % 2));
    }
    conclude();
}

// It wants to be replaced once it serves, however often it says so.
void Model::retired(uint32_t worker) {
    settle();
    Life &life = life_of(worker);
    if (!base::is_spare(worker) && is_at_work(life) && !life.retires) {
        life.retires = true;
        if (life.stage == Stage::serving) {
            retire_in_time(worker / 2, life);
        }
    }
    conclude();
}

// No worker retires before its minimum uptime, unless it is too old already.
void Model::retire_in_time(uint32_t number, Life &life) {
    const Instant earliest = base::after(life.started, settings_.minimum_uptime);
    if (earliest <= world.clock || life.overdue) {
        request_replacement(number, ReplacementReason::retire);
    } else if (earliest < life.expires) {
        life.expires = earliest;
        expect_sign(life);
    }
}

// It sends more messages than a correct worker does.
void Model::flooded(uint32_t worker) {
    settle();
    Life &life = life_of(worker);
    if (life.stage == Stage::trial || life.stage == Stage::serving) {
        life.floods = true;
        be_silent(worker, Reason::protocol, never, world.clock);
    }
    conclude();
}

// It says itself that it hangs: that is believed, whatever its signs of life say.
void Model::hangs(uint32_t worker) {
    settle();
    Life &life = life_of(worker);
    if (!base::is_spare(worker) && (life.stage == Stage::trial || life.stage == Stage::serving)) {
        const Instant deadline =
            settings_.stop_timeout == 0 ? never : base::after(world.clock, settings_.stop_timeout);
        be_silent(worker, Reason::heartbeat_timeout, deadline, world.clock);
    }
    conclude();
}

void Model::no_more_messages() { messages_first_ = false; }

// Of the pool, of what it sends to the manager, and of what it reads late.
Instant Model::next_timer() const {
    return std::min({next_deadline(), manager.deadline(), channel.deadline()});
}

} // namespace sim
