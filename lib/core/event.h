// Events: what happened, in the order in which the host is to know it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "core/values.h"

namespace prefork::core {

// The numbers are those of PF_EVENT_* in prefork.h.
enum class EventType : uint8_t {
    starting = 1,
    started = 2,
    ready = 3,
    exited = 4,
    gave_up = 5,
    start_failed = 6,
    stopping = 7,
    killed = 8,
    unresponsive = 9,
    reloading = 10,
    reloaded = 11,
    reload_failed = 12,
    resized = 13,
    done = 14,
    fork_wanted = 15,
    signal_unavailable = 16,
    adopted = 17,
    spare_started = 18,
    spare_exited = 19,
};

// Why a worker was started, or was to end, or why the pool ends. The numbers are those of
// PF_REASON_* in prefork.h.
enum class Reason : uint8_t {
    none = 0,
    start = 1,
    restart = 2,
    replace = 3,
    reload = 4,
    lifetime = 5,
    retire = 6,
    resize = 7,
    stop = 8,
    ready_timeout = 9,
    heartbeat_timeout = 10,
    limit = 11,
    protocol = 12,
    out_of_memory = 13,
};

// The numbers are those of syslog(3).
enum class Level : uint8_t { error = 3, warning = 4, notice = 5, information = 6 };

struct Event {
    EventType type{};
    Level level = Level::information;
    Reason reason = Reason::none;
    bool will_restart : 1 = false;
    bool before_ready : 1 = false; // GAVE_UP: no worker became ready
    int32_t task_id = -1;          // -1: the whole pool; task_spare: a spare
    int32_t pid = 0;
    int32_t signal = 0; // STOPPING: that stopped the pool; SIGNAL_UNAVAILABLE: which; UNRESPONSIVE:
                        // that could not be sent
    int32_t error = 0;
    int32_t restarts = 0;
    int32_t count = 0;  // of workers: STARTING, STOPPING, RESIZED
    Duration delay = 0; // until the next attempt; KILLED: the time-out that ran out
    Duration uptime = 0;
    Instant time = 0;
    Exit exit; // EXITED, SPARE_EXITED
};

} // namespace prefork::core
