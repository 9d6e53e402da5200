// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>

#include "witness.h"

#include "model.h"
#include "violation.h"

namespace sim {

namespace core = prefork::core;
using core::EventType;

Witness witness;

namespace {

// Nobody has asked it to end, or made it.
bool is_at_work(const Process &process) {
    return process.pid != 0 && !process.asked && !process.condemned;
}

} // namespace

void Witness::begin(const core::Settings &settings) {
    std::vector<uint8_t> seen = std::move(seen_);
    *this = Witness{};
    seen_ = std::move(seen);
    seen_.clear();
    settings_ = settings;
}

void Witness::wants_restart(uint32_t slot) {
    host_wanted_any_ = true;
    if (slot >= host_wants_.size()) {
        host_wants_.resize(slot + 1);
    }
    host_wants_[slot] = true;
}

void Witness::wants_stop(uint32_t slot) {
    if (slot >= host_stops_.size()) {
        host_stops_.resize(slot + 1);
    }
    host_stops_[slot] = true;
}

// It may take over: it has said that it is ready, or lived long enough where nobody has to say so.
bool Witness::is_good(const Process &process, uint32_t worker) const {
    return world.shares[worker].ready ||
           (settings_.ready_timeout == 0 && world.clock - process.born >= settings_.minimum_uptime);
}

// Somebody wants another worker in the place of this one.
bool Witness::is_to_be_replaced(uint32_t worker) const {
    const uint32_t slot = worker / 2;
    const Process &process = world.instances[worker];
    const bool asked_for = slot < host_wants_.size() && host_wants_[slot];
    const bool is_old = settings_.lifetime > 0 && world.clock - process.born >= settings_.lifetime;
    return asked_for || is_old || world.shares[worker].retires || reloads_wanted_ > 0;
}

// A second process in a slot has a reason, and there are not too many of them: those that are on
// their way out count too.
void Witness::started(uint32_t worker) {
    if (prefork::base::is_spare(worker)) {
        const auto is_there = [](const Process &process) { return process.pid != 0; };
        const std::vector<Process> &spares = world.instances.spares;
        const auto count = std::count_if(spares.begin(), spares.end(), is_there);
        require(static_cast<uint32_t>(count) <= model.most_spares(), "spare-bound",
                "more spares than the host ever wanted");
        return;
    }
    if (world.instances[worker ^ 1U].pid == 0) {
        return;
    }
    require(settings_.reload_order == core::ReloadOrder::start_first, "second-worker",
            "in a slot whose old worker has to end first");
    require(!is_at_work(world.instances[worker ^ 1U]) || is_to_be_replaced(worker ^ 1U),
            "second-worker", "in a slot, for no reason");
    size_t pairs = 0;
    const std::vector<Process> &workers = world.instances.workers;
    for (size_t instance = 0; instance + 1 < workers.size(); instance += 2) {
        pairs += workers[instance].pid != 0 && workers[instance + 1].pid != 0 ? 1U : 0U;
    }
    require(pairs <= settings_.reload_width, "second-workers",
            "more are replaced at once than may be");
}

// A worker of a slot that is still wanted only has to go for one that has taken its place.
void Witness::asked(uint32_t worker, bool running, uint32_t slots) {
    Process &process = world.instances[worker];
    require(process.pid != 0, "asked", "somebody who is not there");
    require(!process.asked, "asked-once", "a worker is asked to stop again");
    process.asked = true;
    if (prefork::base::is_spare(worker) || world.upgrading) {
        return; // it serves nobody; or replacements under way begin anew
    }
    if (!running || worker / 2 >= slots ||
        (worker / 2 < host_stops_.size() && host_stops_[worker / 2])) {
        return;
    }
    const uint32_t other = worker ^ 1U;
    const Process &next = world.instances[other];
    const bool taken_over = next.pid != 0 && !next.asked && is_good(next, other);
    const bool stops_first =
        settings_.reload_order == core::ReloadOrder::stop_first && is_to_be_replaced(worker);
    // The slot was given up, and is wanted again before its end; the host has forked meanwhile.
    const bool given_up = model.host_fork() && next.pid != 0 && !is_at_work(next);
    require(taken_over || stops_first || given_up, "asked-early",
            "a worker is asked to stop before its new one is good");
}

void Witness::told(const core::Event &event) {
    require((event.type == EventType::starting) == !any_, "starting-first",
            "STARTING is the first event and no other");
    require(!done_, "done-last", "an event after DONE");
    any_ = true;
    reloading_ = reloading_ && event.type != EventType::adopted; // it begins anew
    done_ = event.type == EventType::done;
    stopping_ = stopping_ || event.type == EventType::stopping;
    if (event.pid != 0) {
        told_of_worker(event);
    }
    told_of_reload(event);
}

void Witness::told_of_worker(const core::Event &event) {
    const auto place = static_cast<size_t>(event.pid - 100);
    if (place >= seen_.size()) {
        seen_.resize(place + 64);
    }
    uint8_t now = 0;
    uint8_t not_after = seen_end;
    switch (event.type) {
    case EventType::started:
        now = seen_start;
        starts_ += (seen_[place] & seen_spare) == 0 ? 1U : 0U; // else it had begun before
        break;
    case EventType::spare_started:
        now = seen_spare;
        not_after |= seen_start;
        starts_ += 1;
        break;
    case EventType::spare_exited:
        now = seen_end;
        not_after |= seen_start;
        ends_ += 1;
        break;
    case EventType::ready:
        now = seen_ready;
        not_after |= seen_silence | seen_kill;
        break;
    case EventType::unresponsive:
        // A signal that could not be sent is told once as well, but with anything else.
        now = event.error == -EPERM ? seen_refusal : seen_silence;
        not_after |= event.error == -EPERM ? 0 : seen_kill;
        break;
    case EventType::killed:
        now = seen_kill;
        break;
    case EventType::exited:
        now = seen_end;
        ends_ += 1;
        break;
    default:
        violate("event-pid", "an event of type %d about a process", static_cast<int>(event.type));
    }
    const uint8_t seen = seen_[place];
    require((seen & now) == 0, "told-once", "what happened to a worker is told twice");
    require((seen & (seen_start | seen_spare)) != 0 || now == seen_start || now == seen_spare,
            "told-order", "before its start");
    require(event.type != EventType::exited || (seen & seen_start) != 0, "told-order",
            "a spare ends as a worker");
    require((seen & not_after) == 0, "told-order", "what cannot come any more");
    seen_[place] |= now;
}

void Witness::told_of_reload(const core::Event &event) {
    switch (event.type) {
    case EventType::reloading:
        require(!reloading_ || perhaps_failed_, "reload-order", "one begins during another");
        perhaps_failed_ = false;
        require(!stopping_, "reload-order", "one begins in a pool that stops");
        reloads_begun_ += 1;
        require(reloads_begun_ <= reloads_wanted_, "reload-order", "more than were asked for");
        reloading_ = true;
        break;
    case EventType::reloaded:
        require(reloading_ && !stopping_, "reload-order", "the end of none");
        reloading_ = false;
        break;
    case EventType::reload_failed:
        require(!stopping_, "reload-order", "it fails in a pool that stops");
        require(reloading_ || replaces_one(), "reload-order", "the end of none");
        // That of a single worker ends no reload, but whose this was is not told.
        perhaps_failed_ = reloading_ && replaces_one();
        reloading_ = perhaps_failed_;
        break;
    default:
        break;
    }
}

} // namespace sim
