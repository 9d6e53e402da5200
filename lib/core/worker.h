// A worker and its slot.
//
// SPDX-License-Identifier: MIT
//
// A slot has room for two instances of its worker. Usually one is the slot's worker and the other
// is empty. While the worker is being replaced, the other instance is the new worker or, once that
// has taken over, the old one until it has ended. The states of an instance:
//
//              begin            popped             started           ready, or at once
//     empty ----------> waiting -------> starting ----------> running ------------> ready
//      ^ ^ ^             | ^  ^             |                    |                    |
//      | | |  stop       | |  |start_failed |                    | time-out           | no beat
//      | | +-------------+ |  +-------------+                    v                    v
//      | |                 |                                     +----> aborting <----+
//      | |                 |                                     |          |         |
//      | |                 | at once                             +----------+---------+
//      | |                 +----------------- exited, to be restarted --+-- exited --> done
//      | |                 | delay over              | after a delay    |    normally
//      | |  stop           |                         v                  |
//      | +------------- backing_off <----------------+                  | stop
//      |                                                                v
//      |            exited                                           stopping
//      +---------------------------------------------+------------------+
//                                                    |                  | time-out
//                                                    +--- killing <-----+--- kill, at any time
//
// The core does not decide about a worker in state starting: its result comes as started or
// start_failed, also after a stop. A stop makes a done worker empty only when its slot is removed.
// The end of a worker in state aborting is abnormal, whatever its status.
//
// Where the host forks, a worker goes from waiting to requested when the event that asks for it is
// queued, and to starting when the host has popped this event. A request can still be cancelled. A
// start whose result does not come in time has failed.
//
// Spares have states as well, see spares.cc.
//
// SIGKILL that could not be sent is tried again. A pool that stops abandons such a worker after
// some tries: killing -> abandoned. Its process lives on and may still end.
#pragma once

#include <cstdint>

#include "core/event.h"
#include "core/values.h"

namespace prefork::core {

enum class State : uint8_t {
    empty,
    waiting,
    requested,
    starting,
    running,
    ready,
    aborting,
    stopping,
    killing,
    abandoned,
    backing_off,
    done,
};

struct Worker {
    Instant started;
    Instant expires;          // when it is old enough to be replaced
    Instant last_beat;        // never: the clock has not begun
    uint32_t beats;           // at the last check
    uint32_t pending_signals; // that it gets once it is ready: a bit for each number
    int32_t pid;
    State state;
    bool killed;      // aborting: SIGKILL has been sent
    uint8_t refusals; // of SIGKILL, in a row
    bool said_ready;
    bool retires;       // it has requested its replacement
    bool kill_reported; // by KILLED, or by the failure in its place
    uint8_t renewals;   // of its minimum uptime, then of its time to stop
    Reason start_reason;
    Reason end_reason; // why it was to end; none: nobody wanted that
};

// Why a slot's worker is being replaced. What a reload had begun before it failed continues.
enum class ReplacementReason : uint8_t { none, host, lifetime, reload, failed_reload, retire };

constexpr Reason reason_of(ReplacementReason reason) {
    switch (reason) {
    case ReplacementReason::none:
        return Reason::none;
    case ReplacementReason::host:
        return Reason::replace;
    case ReplacementReason::lifetime:
        return Reason::lifetime;
    case ReplacementReason::retire:
        return Reason::retire;
    case ReplacementReason::reload:
    case ReplacementReason::failed_reload:
        return Reason::reload;
    }
    return Reason::none;
}

// The reasons for which a replacement can be waited for.
inline constexpr uint32_t replacement_reasons = 4;
constexpr uint8_t request_bit(ReplacementReason reason) {
    return static_cast<uint8_t>(1U << static_cast<unsigned>(reason));
}

struct Replacement {
    uint32_t slot;
    ReplacementReason reason;
};

inline constexpr uint32_t instances = 2;
inline constexpr uint32_t no_worker = UINT32_MAX;

struct Slot {
    Worker workers[instances];
    Duration backoff;               // the last delay, before it was drawn
    int32_t restarts;               // counted ones, of this slot
    uint8_t current;                // which instance is the slot's worker
    ReplacementReason replaced_for; // of the replacement that is under way
    uint8_t requests;               // that wait in the queue
    bool replacing;                 // it has a part of the budget
    bool unproven;                  // a replacement that was not good yet has ended in it
    bool given_up;                  // its worker was not restarted because of a limit
    bool stopped;                   // the host wants no worker in it
    Reason again; // why it gets a worker once the one that was stopped has ended; none: not so

    [[nodiscard]] bool wants(ReplacementReason reason) const {
        return (requests & request_bit(reason)) != 0;
    }
    void count(bool restart) { restarts += restart && restarts < INT32_MAX ? 1 : 0; }
};

constexpr uint32_t instance_of(uint32_t slot, uint32_t instance) {
    return slot * instances + instance;
}
constexpr uint32_t slot_of(uint32_t worker) { return worker / instances; }
constexpr uint32_t other_instance(uint32_t worker) { return worker ^ 1U; }

// A process exists.
constexpr bool is_alive(State state) {
    return state == State::running || state == State::ready || state == State::aborting ||
           state == State::stopping || state == State::killing || state == State::abandoned;
}

// Somebody else is to bring the process about.
constexpr bool is_under_way(State state) {
    return state == State::requested || state == State::starting;
}

// The worker has a next state without a request of the host: the pool is not done.
constexpr bool is_busy(State state) {
    return state != State::empty && state != State::done && state != State::abandoned;
}

} // namespace prefork::core
