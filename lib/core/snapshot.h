// A pool's policy as plain data, which another program can go on with: see pf_upgrade(3).
//
// SPDX-License-Identifier: MIT
//
// A new program may be of another build of the library. Whoever changes what these structures
// mean, or the numbers of the enumerations in them, changes the version of os/upgrade/layout.h.
#pragma once

#include <cstdint>

#include "core/worker.h"

namespace prefork::core {

struct WorkerSnapshot {
    Instant started;
    Instant expires;
    Instant deadline; // never: none
    uint32_t beats;
    uint32_t pending_signals;
    int32_t pid; // 0: there is no process
    uint8_t state;
    uint8_t flags;
    uint8_t start_reason;
    uint8_t end_reason;
    uint8_t refusals; // of SIGKILL
    uint8_t unused[7];

    // Whether a pool can go on with it, wherever it comes from.
    [[nodiscard]] bool is_valid() const;

    static constexpr uint8_t killed = 1;
    static constexpr uint8_t said_ready = 2;
    static constexpr uint8_t retires = 4;
    static constexpr uint8_t kill_reported = 8;
    static constexpr uint8_t beats_expected = 16;
    static constexpr uint8_t all_flags = 31;
};
static_assert(sizeof(WorkerSnapshot) == 48);

struct SlotSnapshot {
    WorkerSnapshot workers[instances];
    Duration backoff;
    int32_t restarts;
    uint8_t current;
    uint8_t requests; // of replacements, that of the one under way included
    uint8_t flags;
    uint8_t again;

    static constexpr uint8_t unproven = 1;
    static constexpr uint8_t given_up = 2;
    static constexpr uint8_t stopped = 4;
    static constexpr uint8_t all_flags = 7;

    // The same.
    [[nodiscard]] bool is_valid() const;
};
static_assert(sizeof(SlotSnapshot) == 112);

struct PoolSnapshot {
    static constexpr uint32_t counters_max = 32;

    uint64_t counters[counters_max];
    int32_t restarts; // that the limit has counted
    uint32_t slots;
    uint32_t flags;
    uint32_t unused;

    static constexpr uint32_t some_worker_ran = 1;
    static constexpr uint32_t reload_wanted = 2; // or under way
};
static_assert(sizeof(PoolSnapshot) == 272);

} // namespace prefork::core
