// The program of the supervisor is replaced, and its memory with it: what the new one goes on with.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>

#include "model.h"
#include "violation.h"
#include "witness.h"

namespace sim {

namespace base = prefork::base;

int Model::prepare_upgrade() {
    settle();
    if (phase_ != Phase::running) {
        return -ECANCELED;
    }
    if (has_events()) {
        return -EAGAIN;
    }
    return underway_ > 0 || spare_start_.underway ? -EBUSY : 0;
}

void Model::upgrade(const core::Settings &settings) {
    const bool reloads = reloading_ || reload_wanted_;
    settings_ = settings;
    random_ = settings.seed;
    slots_ = settings.workers;
    table_.resize(std::max<size_t>(table_.size(), slots_));
    starts_ = Starts::open;
    retry_delay_ = 0;
    retry_at_ = never;
    start_withdrawn_ = false;
    start_failure_told_ = never;
    boots_failed_ = 0;
    counted_at_.clear();
    some_given_up_ = false;
    reloading_ = false;
    reload_wanted_ = false;
    deadline_known_ = false;
    const std::vector<Request> requests = requests_;
    requests_.clear();
    queue_.clear();
    core::Event event = event_of(EventType::adopted, Level::information);
    event.count = static_cast<int32_t>(alive_);
    tell(event);
    upgrade_spares();
    for (uint32_t number = 0; number < table_.size(); number++) {
        Slot &slot = table_[number];
        const auto waits = [&](ReplacementReason reason) {
            return std::any_of(requests.begin(), requests.end(), [=](const Request &one) {
                return one.slot == number && one.reason == reason;
            });
        };
        const bool is_old = has_new(slot) || slot.pending == Pending::replacement;
        const ReplacementReason begun = is_old ? slot.replaced_for : ReplacementReason::none;
        const bool was_overdue = slot.present >= 0 && slot.lives[slot.present].overdue &&
                                 slot.lives[slot.present].stage == Stage::serving;
        const bool is_asked_for =
            begun == ReplacementReason::asked || waits(ReplacementReason::asked);
        const bool is_too_old =
            begun == ReplacementReason::lifetime || waits(ReplacementReason::lifetime);
        continue_slot(number);
        if (number >= slots_ || slot.present < 0 || !is_at_work(slot.lives[slot.present])) {
            continue;
        }
        if (is_asked_for) {
            request_replacement(number, ReplacementReason::asked);
        }
        if (is_too_old && was_overdue && settings_.lifetime > 0) {
            slot.lives[slot.present].expires = never;
            slot.lives[slot.present].overdue = true;
            request_replacement(number, ReplacementReason::lifetime);
        }
    }
    for (uint32_t number = 0; number < slots_; number++) {
        Slot &slot = table_[number];
        some_given_up_ = some_given_up_ || slot.given_up;
        if (slot.present < 0 && slot.pending != Pending::delay && !slot.finished &&
            !slot.given_up && !slot.stopped) {
            const bool waited = slot.pending == Pending::start;
            slot.pending = Pending::none;
            pending_ -= waited ? 1 : 0;
            want_start(number, waited ? slot.why : Reason::start);
        }
    }
    if (reloads) {
        reload_wanted_ = true;
        witness.wants_reload();
    }
    conclude();
}

// They are not of the new program, which has its own.
void Model::upgrade_spares() {
    spares_wanted_ = settings_.spares;
    most_spares_ = std::max(most_spares_, spares_wanted_);
    spares_.resize(std::max<size_t>(spares_.size(), spares_wanted_));
    spare_retry_ = never;
    spare_delay_ = 0;
    for (size_t place = 0; place < spares_.size(); place++) {
        Life &life = spares_[place];
        life.renewals = 0;
        if (life.stage == Stage::trial) {
            ask_spare(place, Reason::reload);
        } else if (life.stage == Stage::asked && life.deadline == never &&
                   settings_.stop_timeout > 0) {
            life.deadline = base::after(world.clock, settings_.stop_timeout);
        }
    }
}

void Model::continue_slot(uint32_t number) {
    Slot &slot = table_[number];
    const bool is_replaced = slot.replaced_for != ReplacementReason::none;
    const bool is_old = has_new(slot) || slot.pending == Pending::replacement;
    if (slot.present >= 0) {
        const Stage stage = slot.lives[slot.present].stage;
        slot.unproven = slot.unproven || (is_replaced && !is_old && stage == Stage::trial);
        if (is_replaced && (stage == Stage::asked || stage == Stage::killed)) {
            slot.wanted_again = true;
            slot.again_why = reason_of(slot.replaced_for);
        }
    }
    slot.replaced_for = ReplacementReason::none;
    slot.takes_part = false;
    if (slot.pending == Pending::replacement) {
        slot.pending = Pending::none;
        pending_ -= 1;
    }
    if (slot.second >= 0) {
        const Stage stage = slot.lives[slot.second].stage;
        if (stage == Stage::trial || stage == Stage::serving) {
            ask(number, slot.second, Reason::stop);
        } else {
            continue_life(number, slot.second);
        }
    }
    if (slot.present >= 0) {
        continue_life(number, slot.present);
    }
    slot.takes_part = slot.second >= 0 && count_replaced() < settings_.reload_width;
    if (number >= slots_) {
        leave_slot(number, Reason::resize);
        slot.stopped = false;
        std::erase_if(requests_, [number](const Request &one) { return one.slot == number; });
    }
}

void Model::continue_life(uint32_t number, int instance) {
    Slot &slot = table_[number];
    Life &life = slot.lives[instance];
    life.renewals = 0;
    switch (life.stage) {
    case Stage::trial:
        life.deadline = never;
        if (settings_.ready_timeout > 0) {
            life.deadline = base::after(life.started, settings_.ready_timeout);
        } else if (slot.unproven && settings_.minimum_uptime > 0) {
            life.deadline = base::after(life.started, settings_.minimum_uptime);
        } else {
            get_ready(number, instance);
        }
        break;
    case Stage::serving:
        if (settings_.lifetime == 0) {
            life.expires = never;
        } else if (life.expires == never) {
            life.expires = base::after(world.clock, draw_lifetime());
        }
        life.overdue = false;
        life.beat_at = life.beat_at == never ? never : world.clock;
        expect_sign(life);
        if (life.retires) {
            retire_in_time(number, life);
        }
        break;
    case Stage::asked:
        if (life.deadline == never && settings_.stop_timeout > 0) {
            life.deadline = base::after(world.clock, settings_.stop_timeout);
        }
        break;
    case Stage::none:
    case Stage::dying:
    case Stage::killed:
    case Stage::left:
        break;
    }
}

} // namespace sim
