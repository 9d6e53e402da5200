// SPDX-License-Identifier: MIT
#include "manager.h"

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "model.h"
#include "violation.h"

namespace sim {

namespace {

// The manager's limit is twice as long.
constexpr Duration sign_of_life_interval = 500 * millisecond;
constexpr Duration status_interval = second;
constexpr Duration retry_max = second;

} // namespace

Manager manager;

void Manager::begin(Mode mode) {
    *this = Manager{};
    mode_ = mode;
    alive_at_ = world.clock;
}

// A manager that listens at a new socket refuses once. One that goes on so is gone.
void Manager::set_trouble(const Trouble &trouble) {
    trouble_ = trouble;
    trouble_.count = trouble.error == ECONNREFUSED ? 1 : trouble.count;
}

void Manager::connect() {
    require(is_there() && !closed_, "manager", "a connection where nobody listens");
    connected_ = true;
}

int Manager::next_send_error() {
    require(connected_, "manager", "a message without a connection");
    const int error = trouble_.next();
    refused_ = refused_ || (error != 0 && error != ECONNREFUSED);
    connected_ = error != ECONNREFUSED;
    return error;
}

void Manager::move_to(State state) {
    require(state_ != State::stopping, "manager", "something else follows STOPPING");
    state_ = state;
}

void Manager::receive(const char *text) {
    SIM_TRACE("the manager is sent: %s", text);
    if (std::strcmp(text, "READY=1") == 0) {
        require(ready_expected_, "manager", "READY before all workers have been ready");
        move_to(State::ready);
    } else if (std::strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27) == 0) {
        require(reload_unreported_, "manager", "a reload is reported twice, or there is none");
        uint64_t time_us = 0;
        require(std::sscanf(text + 27, "%" SCNu64, &time_us) == 1 && time_us == world.clock / 1000,
                "manager", "a reload with another time");
        reload_unreported_ = false;
        move_to(State::reloading);
    } else if (std::strcmp(text, "STOPPING=1") == 0) {
        require(expected_ == State::stopping, "manager", "STOPPING, and the pool runs");
        move_to(State::stopping);
    } else if (std::strcmp(text, "WATCHDOG=1") == 0) {
        require(has_watchdog(), "manager", "a sign of life without a watchdog");
        alive_at_ = world.clock;
    } else {
        receive_status(text);
    }
}

void Manager::receive_status(const char *text) {
    int restarts = -1;
    const int found =
        std::sscanf(text, "STATUS=Workers ready: %u of %u, processes: %u, restarts: %d",
                    &status_[0], &status_[1], &status_[2], &restarts);
    require(found == 4, "manager", "a message of no known kind");
    require(statuses_ == 0 || world.clock - status_at_ >= status_interval, "manager",
            "two statuses within a second");
    statuses_ += 1;
    status_at_ = world.clock;
    require(is_status_current(), "manager", "a status with other counts");
}

bool Manager::is_status_current() const {
    return statuses_ > 0 && status_[0] == model.ready() && status_[1] == model.slots() &&
           status_[2] == model.alive();
}

// The reload during which a pool becomes ready is not reported.
void Manager::expect() {
    require(is_there(), "manager", "an update without a manager");
    refused_ = false;
    const uint64_t reloads = model.reloads();
    if (!ready_expected_) {
        reloads_seen_ = reloads;
        ready_expected_ = model.is_all_ready();
    }
    if (model.is_running()) {
        if (reloads != reloads_seen_) {
            reload_expected_ = true;
            reload_unreported_ = true;
            reloads_seen_ = reloads;
        }
        reload_expected_ = reload_expected_ && model.is_reloading();
        if (ready_expected_) {
            expected_ = reload_expected_ ? State::reloading : State::ready;
        }
    } else {
        expected_ = State::stopping;
    }
}

// What could not be sent is tried again.
void Manager::check() {
    const Instant now = world.clock;
    if (closed_) {
        return;
    }
    if (refused_) {
        status_retry_until_ = now + retry_max;
        return;
    }
    if (state_ != expected_) {
        violate("manager", "it is in state %u, not %u", static_cast<unsigned>(state_),
                static_cast<unsigned>(expected_));
    }
    require(!has_watchdog() || now - alive_at_ <= sign_of_life_interval, "manager",
            "no sign of life, though one was due");
    const bool has_time = (statuses_ > 0 && now - status_at_ < status_interval) ||
                          now < status_retry_until_; // the pause before it is tried again
    require(is_status_current() || has_time, "manager", "the status is not that of the pool");
}

void Manager::note_deadline(Instant deadline) {
    const Instant now = world.clock;
    deadline_ = deadline;
    if (world.in_child) {
        return; // whose copy has let go of it
    }
    if (!is_there() || closed_) {
        require(deadline == prefork::base::never, "manager", "a deadline without a manager");
        return;
    }
    if (has_watchdog()) {
        require(deadline <= now + sign_of_life_interval, "manager",
                "the next sign of life comes too late");
    }
    if (state_ != expected_) {
        require(deadline <= now + retry_max, "manager", "it is not tried again for long");
    }
}

void Manager::close() {
    closed_ = true;
    deadline_ = prefork::base::never;
}

} // namespace sim
