// Spares: processes that wait for a slot. They stand in places of their own, and one start of them
// is under way at a time.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>

#include "model.h"
#include "violation.h"

namespace sim {

namespace base = prefork::base;

Model::Life &Model::life_of(uint32_t id) {
    return base::is_spare(id) ? spares_[id - base::first_spare] : table_[id / 2].lives[id % 2];
}

int Model::task_of(uint32_t id) {
    return base::is_spare(id) ? base::task_spare : static_cast<int>(id / 2);
}

// ---- How many ---------------------------------------------------------------------------------

bool Model::needs_spares() const {
    const auto is_stopped = [](const Slot &slot) { return slot.stopped; };
    return phase_ == Phase::running && (alive_ > left_ || pending_ > 0 ||
                                        std::any_of(table_.begin(), table_.end(), is_stopped));
}

uint32_t Model::busy_spares() const {
    return spares_alive_ - spares_left_ + (spare_start_.underway ? 1 : 0);
}

bool Model::is_spare_startable() const {
    return spares_wanted_ > busy_spares() && needs_spares() && queue_.empty() && underway_ == 0 &&
           !spare_start_.underway && spare_retry_ == never &&
           room() >= reserved_room() + life_room + 1 + pool_room;
}

bool Model::has_takeover() const {
    return !queue_.empty() && std::any_of(spares_.begin(), spares_.end(), [](const Life &life) {
        return life.stage == Stage::trial;
    });
}

void Model::set_spares(uint32_t count) {
    if (phase_ != Phase::running) {
        return;
    }
    spares_.resize(std::max<size_t>(spares_.size(), count));
    spares_wanted_ = count;
    most_spares_ = std::max(most_spares_, count);
    check_event_capacity();
    uint32_t usable = spare_start_.underway && !spare_start_.unwanted ? 1 : 0;
    for (const Life &life : spares_) {
        usable += life.stage == Stage::trial ? 1 : 0;
    }
    // A start that is under way first.
    if (spare_start_.underway && !spare_start_.unwanted && usable > count) {
        end_spare_start();
        usable -= 1;
    }
    for (size_t place = spares_.size(); place > 0 && usable > count; place--) {
        if (spares_[place - 1].stage == Stage::trial) {
            ask_spare(place - 1, Reason::resize);
            usable -= 1;
        }
    }
    spare_retry_ = count == 0 ? never : spare_retry_;
    conclude();
}

// They have another program, or memory, from now on.
void Model::renew_spares() {
    end_spares(Reason::reload);
    spare_retry_ = never;
    spare_delay_ = 0;
    deadline_known_ = false;
}

void Model::end_spares(Reason reason) {
    for (size_t place = 0; place < spares_.size(); place++) {
        ask_spare(place, reason);
    }
    if (spare_start_.underway) {
        end_spare_start();
    }
}

void Model::ask_spare(size_t place, Reason reason) {
    ask_life(spares_[place], base::first_spare + static_cast<uint32_t>(place), reason);
}

// What the host has not heard of never was.
void Model::end_spare_start() {
    spare_start_.unwanted = true;
    if (!spare_start_.asked) {
        return;
    }
    const auto is_it = [](const Told &told) {
        return told.event.type == EventType::fork_wanted && told.event.task_id == base::task_spare;
    };
    const auto first = events_.begin() + static_cast<ptrdiff_t>(first_event_);
    events_.erase(std::find_if(first, events_.end(), is_it));
    spare_start_ = SpareStart{};
}

void Model::kill_spares() {
    for (size_t place = 0; place < spares_.size(); place++) {
        kill_life(spares_[place], base::first_spare + static_cast<uint32_t>(place));
    }
    if (spare_start_.underway) {
        end_spare_start();
    }
}

// ---- Starts -----------------------------------------------------------------------------------

void Model::begin_spare_start() {
    require(busy_spares() < spares_wanted_, "spare-bound", "more spares than are wanted");
    spare_start_ = SpareStart{};
    spare_start_.underway = true;
    while (spares_[spare_start_.place].stage != Stage::none) {
        spare_start_.place += 1;
    }
}

void Model::request_spare() {
    begin_spare_start();
    spare_start_.asked = true;
    tell(event_of(EventType::fork_wanted, Level::information, base::task_spare));
}

void Model::pop_spare_request() {
    require(spare_start_.asked, "request", "of a spare that nobody wants");
    spare_start_.asked = false;
    spare_start_.result_until = world.clock + 10 * second;
    deadline_known_ = false;
}

void Model::spare_started(uint32_t id, int32_t pid, Instant since) {
    require(pending_discard_ == 0, "discard", "a spare that is not watched is left alone");
    require(spare_start_.underway && spare_start_.place == id - base::first_spare, "start",
            "of a spare that nobody started");
    const bool unwanted = spare_start_.unwanted;
    spare_start_ = SpareStart{};
    spares_alive_ += 1;
    deadline_known_ = false;
    Life &life = life_of(id);
    life = Life{};
    life.pid = pid;
    life.stage = Stage::trial;
    life.started = since;
    core::Event event = event_of(EventType::spare_started, Level::information, base::task_spare);
    event.pid = pid;
    tell(event);
    if (killing_) {
        kill_life(life, id);
    } else if (phase_ != Phase::running || unwanted) {
        ask_life(life, id, Reason::stop);
    }
    conclude();
}

void Model::spare_start_failed(int32_t error, Instant tie) {
    const bool again = needs_spares() && busy_spares() <= spares_wanted_;
    if (again && error != -ETIMEDOUT) {
        spare_delay_ = spare_delay_ == 0 ? 10 * millisecond : std::min(2 * spare_delay_, second);
        spare_retry_ = world.clock + spare_delay_;
    }
    deadline_known_ = false;
    tell_spare_start_failure(error, again, tie);
    spare_start_ = SpareStart{};
}

// The one that has waited longest gets the slot whose turn it is. Returns whether it can have it.
bool Model::takes_over(uint32_t spare, uint32_t worker, bool can) {
    settle();
    require(has_takeover(), "takeover", "by nobody, or of nothing");
    const Life &life = life_of(spare);
    require(life.stage == Stage::trial, "takeover", "by a spare that does not wait");
    for (const Life &other : spares_) {
        require(other.stage != Stage::trial || other.started >= life.started, "takeover-order",
                "by a spare that has not waited longest");
    }
    const uint32_t number = worker / 2;
    const uint64_t key = queue_.front().key;
    const auto is_it = [=](const Waiting &one) { return one.slot == number && one.key == key; };
    const auto found = std::find_if(queue_.begin(), queue_.end(), is_it);
    require(found != queue_.end(), "takeover-order", "of a slot whose turn it is not");
    require(is_wanted(number), "takeover", "of a slot that nobody wants");
    queue_.erase(found);
    if (queue_.empty()) {
        start_withdrawn_ = true; // as far as deadlines go
        reopen_starts_if_unused();
    }
    deadline_known_ = false;
    return can;
}

void Model::not_taken_over(uint32_t spare, uint32_t worker) {
    queue_.push_back(Waiting{worker / 2, ++next_key_});
    Life &life = life_of(spare);
    life.stage = Stage::dying;
    life.slain = true;
    life.told_now = false;
    sending_.push_back(Sending{spare, 9, false});
    conclude();
}

void Model::taken_over(uint32_t spare, uint32_t worker, Instant since) {
    Slot &slot = table_[worker / 2];
    const int32_t pid = life_of(spare).pid;
    life_of(spare) = Life{};
    spares_alive_ -= 1;
    require(slot.present < 0 || slot.second < 0, "one-worker", "a third process in a slot");
    require(slot.present < 0 || slot.pending == Pending::replacement, "one-worker",
            "a second process in a slot that is not being replaced");
    begin_life(worker, pid, since);
    conclude();
}

// ---- Ends -------------------------------------------------------------------------------------

void Model::spare_exited(uint32_t id, int32_t pid, const Exit &exit) {
    const Life life = life_of(id);
    require(life.stage != Stage::none && life.pid == pid, "instance", "an unknown spare ended");
    const bool asked =
        life.stage == Stage::asked || life.stage == Stage::killed || life.stage == Stage::left;
    const bool again = needs_spares() && busy_spares() <= spares_wanted_;
    deadline_known_ = false;
    if (starts_ == Starts::closed) {
        starts_ = Starts::probing;
        retry_at_ = never;
    }
    spares_left_ -= life.stage == Stage::left ? 1 : 0;
    if (phase_ == Phase::done) {
        unreported_ += 1;
    } else {
        if (again && !asked && spare_retry_ == never) {
            spare_retry_ = world.clock + draw_spare_delay(world.clock - life.started);
        }
        const bool normal = exit.normal() && life.stage != Stage::dying;
        core::Event event =
            event_of(EventType::spare_exited, asked || normal ? Level::information : Level::warning,
                     base::task_spare);
        event.pid = pid;
        event.reason = out_of_memory_ ? Reason::out_of_memory : life.why;
        event.will_restart = again;
        const bool later = again && spare_retry_ != never && spare_retry_ > world.clock;
        event.delay = later ? spare_retry_ - world.clock : 0;
        event.uptime = world.clock - life.started;
        event.exit = exit;
        tell(event);
    }
    life_of(id) = Life{};
    spares_alive_ -= 1;
    conclude();
}

// That of the pool, which counts no restart for it; never none.
Duration Model::draw_spare_delay(Duration uptime) {
    if (settings_.backoff_first > 0) {
        Slot of_spares;
        of_spares.backoff = uptime >= settings_.backoff_max ? 0 : spare_delay_;
        const Duration delay = draw_delay(of_spares);
        spare_delay_ = of_spares.backoff;
        return delay;
    }
    const bool first = spare_delay_ == 0 || uptime >= second;
    spare_delay_ = first ? 10 * millisecond : std::min(2 * spare_delay_, second);
    return spare_delay_;
}

} // namespace sim
