// The ends of workers, and what must follow from them.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <utility>

#include "model.h"
#include "violation.h"

namespace sim {

namespace base = prefork::base;

void Model::exited(uint32_t worker, int32_t pid, const Exit &exit) {
    expect_oom_look(life_of(worker), exit);
    if (base::is_spare(worker)) {
        spare_exited(worker, pid, exit);
        return;
    }
    const uint32_t number = worker / 2;
    const int instance = static_cast<int>(worker % 2);
    Slot &slot = table_[number];
    const Life life = std::exchange(slot.lives[instance], Life{});
    require(life.stage != Stage::none && life.pid == pid, "instance", "an unknown worker ended");
    deadline_known_ = false;
    alive_ -= 1;
    if (starts_ == Starts::closed) {
        starts_ = Starts::probing;
        retry_at_ = never;
    }
    pending_looks_ -= life.look_due ? 1 : 0;
    const bool was_present = slot.present == instance;
    (was_present ? slot.present : slot.second) = -1;
    left_ -= life.stage == Stage::left ? 1 : 0;
    boots_failed_ = has_booted(life) ? 0 : boots_failed_;
    if (phase_ == Phase::done) {
        unreported_ += 1;
        return;
    }
    if (life.stage == Stage::asked || life.stage == Stage::killed || life.stage == Stage::left) {
        tell_exit(number, life, exit, false, 0);
        const Reason reason = slot.replaced_for != ReplacementReason::none
                                  ? reason_of(slot.replaced_for)
                              : slot.wanted_again ? slot.again_why
                                                  : Reason::resize;
        slot.wanted_again = slot.wanted_again && !was_present;
        if (was_present && is_wanted(number)) {
            if (slot.pending == Pending::none) {
                want_start(number, reason);
            } else {
                replacement_takes_over(number); // it is asked for already
            }
        }
    } else if (!was_present) {
        tell_exit(number, life, exit, false, 0);
        finish_replacement(number, false);
    } else if (has_new(slot) || slot.pending == Pending::replacement) {
        // Its restart is there or on its way, and counts as one if any other would.
        core::ExitAction action = action_of(life, exit);
        action = action == core::ExitAction::fatal ? core::ExitAction::standard : action;
        const bool restarts = is_restarted(action, life, exit);
        if (restarts && !has_booted(life) && is_last_boot()) {
            tell_exit(number, life, exit, false, 0);
            give_up_boot();
            conclude();
            return;
        }
        if (restarts && counts(action, life, exit) && allow_restart()) {
            slot.restarts += 1;
        }
        tell_exit(number, life, exit, true, 0, action == core::ExitAction::done);
        replacement_takes_over(number);
    } else {
        const bool was_new =
            slot.replaced_for != ReplacementReason::none && life.stage != Stage::serving;
        slot.unproven = slot.unproven || was_new;
        ended_in_service(number, life, exit, was_new);
        if (was_new) {
            finish_replacement(number, false);
        }
    }
    conclude();
}

void Model::expect_oom_look(const Life &life, const Exit &exit) {
    pending_oom_look_ =
        exit.kind == Exit::Kind::signaled && exit.code == 9 && life.why == Reason::none;
    out_of_memory_ = pending_oom_look_ && world.oom_kills > world.oom_seen;
}

// Once, for an end by SIGKILL that nobody knows the reason of; or when the host sends it.
void Model::looked_for_oom() {
    require(pending_oom_look_ || world.host_signals, "oom", "somebody looks for nothing");
    pending_oom_look_ = false;
}

// What the host says of a status, if it is one.
core::ExitAction Model::action_of(const Life &life, const Exit &exit) const {
    const bool is_status = exit.kind == Exit::Kind::exited && life.stage != Stage::dying;
    return is_status ? settings_.exit_actions.of(exit) : core::ExitAction::standard;
}

bool Model::is_restarted(core::ExitAction action, const Life &life, const Exit &exit) const {
    if (action != core::ExitAction::standard) {
        return action == core::ExitAction::restart;
    }
    const bool normal = exit.normal() && life.stage != Stage::dying;
    return settings_.restart == core::RestartWhen::always ||
           (settings_.restart == core::RestartWhen::on_failure && !normal);
}

bool Model::counts(core::ExitAction action, const Life &life, const Exit &exit) const {
    return action == core::ExitAction::restart || !exit.normal() || life.stage == Stage::dying ||
           world.clock - life.started < settings_.minimum_uptime;
}

void Model::ended_in_service(uint32_t number, const Life &life, const Exit &exit, bool was_new) {
    Slot &slot = table_[number];
    const Duration uptime = world.clock - life.started;
    core::ExitAction action = was_new ? core::ExitAction::standard : action_of(life, exit);
    if (action == core::ExitAction::fatal && slot.unproven) {
        action = core::ExitAction::standard;
    }
    const bool fatal = action == core::ExitAction::fatal;
    const bool done = action == core::ExitAction::done;
    const bool wanted = is_restarted(action, life, exit);
    const bool counts = this->counts(action, life, exit);
    if (wanted && !was_new && !has_booted(life) && is_last_boot()) {
        slot.finished = false;
        tell_exit(number, life, exit, false, 0);
        give_up_boot();
        return;
    }
    if (!wanted || (counts && !allow_restart())) {
        slot.finished = !wanted && (done || (exit.normal() && life.stage != Stage::dying));
        tell_exit(number, life, exit, false, 0, done);
        if (wanted || fatal) {
            give_up(number, fatal);
        }
        return;
    }
    slot.finished = false;
    slot.restarts += counts ? 1 : 0;
    if (uptime >= settings_.backoff_max) {
        slot.backoff = 0; // it was stable, whatever ended it
    }
    const Duration delay = counts ? draw_delay(slot) : 0;
    tell_exit(number, life, exit, true, delay);
    if (delay == 0) {
        want_start(number, Reason::restart);
    } else {
        slot.pending = Pending::delay;
        slot.due = world.clock + delay;
        pending_ += 1;
    }
}

void Model::give_up(uint32_t number, bool fatal) {
    const int32_t code = fatal ? base::code_fatal : base::code_gave_up;
    const bool ends_all =
        fatal || (settings_.on_limit == core::OnLimit::stop && !table_[number].unproven);
    core::Event event =
        event_of(EventType::gave_up, Level::error, ends_all ? -1 : static_cast<int>(number));
    event.error = code;
    event.reason = fatal ? Reason::none : Reason::limit;
    tell(event);
    if (ends_all) {
        fail(code);
    } else {
        some_given_up_ = true;
        table_[number].given_up = true;
    }
}

} // namespace sim
