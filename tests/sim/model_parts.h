// What the model keeps of slots, workers and spares.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <set>

#include "core/event.h"
#include "world.h"

namespace sim {

namespace core = prefork::core;
using core::EventType;
using core::Level;
using core::Reason;

struct ModelParts {
    enum class Phase : uint8_t { idle, running, stopping, done };
    enum class Stage : uint8_t { none, trial, serving, dying, asked, killed, left };
    enum class ReplacementReason : uint8_t { none, asked, lifetime, retire, reload, failed };
    enum class Pending : uint8_t { none, start, delay, replacement };
    enum class Starts : uint8_t { open, closed, probing };

    struct Life {
        int32_t pid = 0;
        Stage stage = Stage::none;
        Instant started = 0;
        Instant deadline = never; // when something comes of its stage by itself
        Instant expires = never;  // when it is too old
        Instant beat_at = never;  // when it was last seen to be well
        uint32_t beats = 0;
        bool well = false;         // it has said that it is ready
        bool floods = false;       // the pool with messages
        bool overdue = false;      // too old already
        bool retires = false;      // wants to be replaced
        bool look_due = false;     // its heartbeat has to be looked at
        bool slain = false;        // SIGKILL was sent for its silence
        bool kill_told = false;    // by an event, as sent or as refused
        bool told_now = false;     // with the SIGKILL that is being sent
        uint32_t refusals = 0;     // of SIGKILL
        Reason why = Reason::none; // it was to end
        int renewals = 0;          // of its minimum uptime, then of its time to stop
        std::set<int> passed_on;   // signals that it gets once it is ready
    };
    struct Slot {
        Life lives[2];
        int present = -1; // the slot's worker
        int second = -1;  // the one that replaces it, or that was replaced by it
        Pending pending = Pending::none;
        ReplacementReason replaced_for = ReplacementReason::none; // why it is being replaced
        bool takes_part = false;   // in what the host allows at a time
        bool given_up = false;     // at a limit
        Reason why = Reason::none; // a worker is started in it
        bool stopped = false;      // by the host, which wants none
        Reason again_why = Reason::replace;
        bool wanted_again = false;    // by the host, once the one that it stopped has ended
        bool underway = false;        // a start has begun, and its result is not known
        bool unproven = false;        // a replacement has failed that had the slot already
        bool finished = false;        // its worker has ended normally
        bool asked = false;           // the host is asked to fork, and has not heard of it yet
        Instant result_until = never; // the host has heard of it
        std::set<int> passed_on;      // meanwhile
        Instant due = 0;
        Duration backoff = 0;
        int32_t restarts = 0;
    };
    struct Request {
        uint32_t slot;
        ReplacementReason reason;
    };
    struct Waiting {
        uint32_t slot;
        uint64_t key; // equal for those whose order is open
    };
    struct Sending {
        uint32_t worker;
        int32_t number; // 0: only its descriptor tells
        bool asks;
        bool told = false;
    };
    struct Told {
        core::Event event;
        bool late;        // told when there was room again
        Instant tie;      // events of the same moment and deadline may come in any order
        uint64_t key = 0; // as in Waiting
    };
    struct Due {
        Instant deadline;
        uint32_t slot;
        int life; // or one of these
    };
    struct SpareStart {
        bool underway = false;
        bool asked = false;    // the host is, and has not heard of it yet
        bool unwanted = false; // it ends as soon as it has begun
        Instant result_until = never;
        size_t place = 0;
    };
    enum : int { number_cont = 18 };
    enum : int {
        of_spare = 2,   // the spare in the place of that number
        of_delay = -1,  // the slot's
        of_answer = -2, // of a fork that is pending
        of_spare_answer = -3,
    };
};

} // namespace sim
