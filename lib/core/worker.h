// A worker and its slot.
//
// SPDX-License-Identifier: MIT
//
// A slot has two seats. Usually one holds its worker and the other is empty; while the worker is
// being replaced the other seat holds the new one, or, once that is good, the old one on its way
// out. The states of a seat:
//
//              begin            taken              started           ready, or at once
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
// A worker in state starting is out of the core's hands: its result comes as started or
// start_failed, also after a stop. A stop makes a done worker empty only when its slot is given up.
// The end of a worker in state aborting is abnormal whatever its status.
//
// Where the host forks, a worker goes from waiting to requested, when the event that asks for it is
// queued, and to starting once the host has taken that. A request can still be withdrawn; a start
// whose result does not come in time has failed.
//
// SIGKILL that could not be sent is tried again. A pool that stops gives up such a worker after
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
    uint32_t beats;           // at the last look
    uint32_t pending_signals; // that it gets once it is ready: a bit for each number
    int32_t pid;
    State state;
    bool killed;        // aborting: SIGKILL has been sent
    uint8_t refusals;   // of SIGKILL, in a row
    bool retires;       // it has asked to be replaced
    bool kill_reported; // by KILLED, or by the failure in its place
    uint8_t renewals;   // of its time to stop
    Reason start_reason;
    Reason end_reason; // why it was to end; none: nobody wanted that
};

// Why a slot's worker is being replaced. What a reload had begun before it failed goes on.
enum class Plan : uint8_t { none, host, lifetime, reload, failed_reload, retire };

constexpr Reason reason_of(Plan plan) {
    switch (plan) {
    case Plan::none:
        return Reason::none;
    case Plan::host:
        return Reason::replace;
    case Plan::lifetime:
        return Reason::lifetime;
    case Plan::retire:
        return Reason::retire;
    case Plan::reload:
    case Plan::failed_reload:
        return Reason::reload;
    }
    return Reason::none;
}

// The reasons for which a replacement can be waited for.
inline constexpr uint32_t replacement_reasons = 4;
constexpr uint8_t request_bit(Plan reason) {
    return static_cast<uint8_t>(1U << static_cast<unsigned>(reason));
}

struct Replacement {
    uint32_t slot;
    Plan reason;
};

inline constexpr uint32_t seats = 2;
inline constexpr uint32_t no_worker = UINT32_MAX;

struct Slot {
    Worker workers[seats];
    Duration backoff; // the last delay, before it was drawn
    int32_t restarts; // counted ones, of this slot
    uint8_t current;  // the seat that the slot's worker has
    Plan plan;        // of the replacement that is under way
    uint8_t requests; // that wait in the queue
    bool replacing;   // it has a part of the budget
    bool unproven;    // a replacement that was not good yet has ended in it
    bool given_up;    // its worker was not restarted because of a limit

    [[nodiscard]] bool wants(Plan reason) const { return (requests & request_bit(reason)) != 0; }
    void count(bool restart) { restarts += restart && restarts < INT32_MAX ? 1 : 0; }
};

constexpr uint32_t seat_of(uint32_t slot, uint32_t seat) { return slot * seats + seat; }
constexpr uint32_t slot_of(uint32_t worker) { return worker / seats; }
constexpr uint32_t other_seat(uint32_t worker) { return worker ^ 1U; }

// A process exists.
constexpr bool is_alive(State state) {
    return state == State::running || state == State::ready || state == State::aborting ||
           state == State::stopping || state == State::killing || state == State::abandoned;
}

// Somebody else is to bring the process about.
constexpr bool is_under_way(State state) {
    return state == State::requested || state == State::starting;
}

// Something will come of it by itself: the pool is not done.
constexpr bool is_busy(State state) {
    return state != State::empty && state != State::done && state != State::abandoned;
}

} // namespace prefork::core
