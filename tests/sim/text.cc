// Histories as text: one line an operation, with comments behind #.
//
// SPDX-License-Identifier: MIT
#include <cinttypes>
#include <cstring>

#include "history.h"

namespace sim {

namespace {

constexpr const char *choice_names[] = {
    "workers",
    "spares",
    "restart",
    "max_restarts",
    "window_max",
    "window_ms",
    "backoff_ms",
    "backoff_max_ms",
    "boot_limit",
    "on_limit",
    "exit_actions",
    "jitter_seed",
    "stop_signal",
    "stop_timeout_ms",
    "min_uptime_ms",
    "ready_timeout_ms",
    "heartbeat_timeout_ms",
    "lifetime_ms",
    "lifetime_jitter_ms",
    "reload_order",
    "reload_width",
    "callback",
    "signals",
    "backend",
    "host_fork",
    "exec",
    "statuses",
    "manager",
    "stop_fd",
    "open_fails",
    "ending",
};
static_assert(sizeof(choice_names) / sizeof(choice_names[0]) == static_cast<size_t>(Choice::count));

constexpr const char *kind_names[] = {
    "exit",
    "die",
    "storm",
    "pass",
    "deadline",
    "pause",
    "clock_step",
    "dispatch",
    "run",
    "pop",
    "pop_all",
    "stop",
    "kill",
    "resize",
    "restart",
    "signal",
    "signal_all",
    "own_signal",
    "temper",
    "doom",
    "fork_trouble",
    "watch_trouble",
    "room_trouble",
    "barrier",
    "newborn",
    "notice",
    "unknown_status",
    "no_memory",
    "in_callback",
    "fork_cost",
    "enter_worker",
    "ready",
    "readiness",
    "beat",
    "hang",
    "reload",
    "freeze",
    "answer",
    "refuse",
    "refuse_wait",
    "close_descriptors",
    "wake",
    "retire",
    "stop_worker",
    "manager_trouble",
    "set_spares",
    "takeover_trouble",
    "upgrade",
    "noise",
    "pipe_trouble",
    "trace",
};
static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == static_cast<size_t>(Kind::count));

bool read_choice(const char *name, int64_t value, History *history) {
    for (size_t choice = 0; choice < static_cast<size_t>(Choice::count); choice++) {
        if (std::strcmp(choice_names[choice], name) == 0) {
            history->choices[choice] = value;
            return true;
        }
    }
    return false;
}

bool read_operation(const char *name, uint32_t a, uint32_t b, uint32_t c, History *history) {
    for (size_t kind = 0; kind < static_cast<size_t>(Kind::count); kind++) {
        if (std::strcmp(kind_names[kind], name) == 0) {
            history->operations.push_back(Operation{static_cast<Kind>(kind), a, b, c});
            return true;
        }
    }
    return false;
}

bool read_line(const char *line, History *history) {
    char name[32];
    int64_t value = 0;
    uint32_t a = 0;
    uint32_t b = 0;
    uint32_t c = 0;
    if (std::sscanf(line, "set %31s %" SCNd64, name, &value) == 2) {
        return read_choice(name, value, history);
    }
    return std::sscanf(line, "%31s %" SCNu32 " %" SCNu32 " %" SCNu32, name, &a, &b, &c) == 4 &&
           read_operation(name, a, b, c, history);
}

} // namespace

void print(const Operation &operation) {
    std::printf("%s %" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
                kind_names[static_cast<size_t>(operation.kind)], operation.a, operation.b,
                operation.c);
}

void print_choices(const History &history) {
    for (size_t choice = 0; choice < static_cast<size_t>(Choice::count); choice++) {
        const bool plain = history.choices[choice] == plain_value(static_cast<Choice>(choice));
        std::printf("%sset %s %" PRId64 "\n", plain ? "# " : "", choice_names[choice],
                    history.choices[choice]);
    }
}

bool read(FILE *file, History *history) {
    *history = History{};
    for (size_t choice = 0; choice < static_cast<size_t>(Choice::count); choice++) {
        history->choices[choice] = plain_value(static_cast<Choice>(choice));
    }
    char line[512];
    while (std::fgets(line, sizeof(line), file) != nullptr) {
        const char *start = line + std::strspn(line, " \t");
        if (*start == '#' || *start == '\n' || *start == '\0') {
            continue;
        }
        if (!read_line(start, history)) {
            std::fprintf(stderr, "sim: not a line of a history: %s", start);
            return false;
        }
    }
    return true;
}

} // namespace sim
