// A history: the settings of a pool and what happens to it, all drawn from a seed before it begins.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdio>
#include <vector>

#include "runtime/pool.h"

namespace sim {

// Each a number, so that a history can be printed, read and made simpler without knowing them.
enum class Choice : uint8_t {
    workers,
    spares,
    restart,
    max_restarts,
    window_max,
    window_ms,
    backoff_first_ms,
    backoff_max_ms,
    boot_limit,
    on_limit,
    exit_actions, // of the statuses that are drawn: two bits each
    jitter_seed,
    stop_signal,
    stop_timeout_ms,
    minimum_uptime_ms,
    ready_timeout_ms,
    heartbeat_timeout_ms,
    lifetime_ms,
    lifetime_jitter_ms,
    reload_order,
    reload_width,
    callback, // events are told by callback, else they are taken
    signals,
    backend,
    host_fork,  // 0: the library forks; 1: the host, at once; 2: whenever it likes
    exec,       // workers are executed
    statuses,   // 1: the kernel keeps each status, whoever waits for it
    manager,    // of services: 1: it is notified; 2: with signs of life, too
    stop_fd,    // workers have a stop descriptor
    open_fails, // 0: open succeeds; to 14: its so-maniest allocation fails; from 15: descriptors
    ending,     // how the history ends
    count
};

// What happens. The numbers mean something relative to the state at that time.
enum class Kind : uint8_t {
    exit,
    die,
    storm,
    pass,
    deadline,
    pause,
    clock_step,
    dispatch,
    run,
    pop,
    pop_all,
    stop,
    kill,
    resize,
    restart,
    signal,
    signal_all,
    own_signal,
    temper,
    doom,
    fork_trouble,
    watch_trouble,
    room_trouble,
    barrier,
    newborn,
    notice,
    unknown_status,
    no_memory,
    in_callback,
    fork_cost,
    enter_worker,
    ready,
    readiness,
    beat,
    hang,
    reload,
    freeze,
    answer,
    refuse,
    refuse_wait,
    close_descriptors,
    wake,
    retire,
    stop_worker,
    manager_trouble,
    set_spares,
    takeover_trouble,
    upgrade,
    noise,
    pipe_trouble,
    trace,
    count
};

struct Operation {
    Kind kind = Kind::dispatch;
    uint32_t a = 0;
    uint32_t b = 0;
    uint32_t c = 0;
};

struct History {
    int64_t choices[static_cast<size_t>(Choice::count)] = {};
    std::vector<Operation> operations;

    [[nodiscard]] int64_t get(Choice choice) const { return choices[static_cast<size_t>(choice)]; }
    void set(Choice choice, int64_t value) { choices[static_cast<size_t>(choice)] = value; }
};

// The value of a choice that says the least.
int64_t plain_value(Choice choice);

void draw(History *history, uint64_t seed, uint32_t steps);
prefork::runtime::PoolOptions options_of(const History &history);
prefork::os::Exec *simulated_exec();

void print(const Operation &operation);
void print_choices(const History &history);
// Reads what was printed; returns false, after a word to stderr, if it is none.
bool read(FILE *file, History *history);

struct Outcome {
    bool failed = false;
    uint64_t operations = 0;
    uint64_t events = 0;
    uint64_t processes = 0;
    bool done = false;
};

// Runs a history. What was violated is in last_violation.
Outcome play(const History &history);

// Leaves out and simplifies whatever the failure does not need.
void shrink(History *history);

} // namespace sim
