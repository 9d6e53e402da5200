// Histories out of seeds.
//
// SPDX-License-Identifier: MIT
#include "history.h"
#include "random.h"

namespace sim {

namespace core = prefork::core;
namespace os = prefork::os;
namespace runtime = prefork::runtime;

namespace {

// What a history is mostly about: its operations are drawn more often.
enum class Theme : uint8_t { any, ends, starts, control, host, signals, time, health, count };

struct Weight {
    Kind kind;
    uint32_t weight;
    Theme theme;
};

constexpr Weight weights[] = {
    {Kind::exit, 60, Theme::ends},
    {Kind::die, 50, Theme::ends},
    {Kind::storm, 8, Theme::ends},
    {Kind::pass, 60, Theme::time},
    {Kind::deadline, 40, Theme::time},
    {Kind::pause, 6, Theme::time},
    {Kind::clock_step, 1, Theme::time},
    {Kind::dispatch, 260, Theme::any},
    {Kind::run, 2, Theme::host},
    {Kind::pop, 40, Theme::any},
    {Kind::pop_all, 30, Theme::any},
    {Kind::stop, 1, Theme::control},
    {Kind::kill, 1, Theme::control},
    {Kind::resize, 12, Theme::control},
    {Kind::restart, 24, Theme::control},
    {Kind::signal, 4, Theme::signals},
    {Kind::signal_all, 2, Theme::signals},
    {Kind::own_signal, 4, Theme::signals},
    {Kind::temper, 10, Theme::ends},
    {Kind::doom, 6, Theme::ends},
    {Kind::fork_trouble, 6, Theme::starts},
    {Kind::watch_trouble, 4, Theme::starts},
    {Kind::room_trouble, 4, Theme::starts},
    {Kind::barrier, 3, Theme::starts},
    {Kind::newborn, 4, Theme::starts},
    {Kind::notice, 8, Theme::host},
    {Kind::unknown_status, 3, Theme::ends},
    {Kind::no_memory, 2, Theme::host},
    {Kind::in_callback, 8, Theme::host},
    {Kind::fork_cost, 3, Theme::starts},
    {Kind::enter_worker, 1, Theme::host},
    {Kind::ready, 30, Theme::health},
    {Kind::readiness, 6, Theme::health},
    {Kind::beat, 20, Theme::health},
    {Kind::hang, 6, Theme::health},
    {Kind::reload, 10, Theme::control},
    {Kind::freeze, 6, Theme::health},
    {Kind::answer, 0, Theme::host},
    {Kind::refuse, 3, Theme::ends},
    {Kind::refuse_wait, 1, Theme::control},
    {Kind::close_descriptors, 1, Theme::control},
    {Kind::wake, 4, Theme::host},
    {Kind::retire, 8, Theme::health},
    {Kind::stop_worker, 6, Theme::control},
    {Kind::manager_trouble, 4, Theme::host},
    {Kind::set_spares, 4, Theme::control},
    {Kind::takeover_trouble, 2, Theme::starts},
    {Kind::upgrade, 8, Theme::control},
    {Kind::noise, 6, Theme::health},
    {Kind::pipe_trouble, 3, Theme::starts},
    {Kind::trace, 5, Theme::ends},
};
static_assert(sizeof(weights) / sizeof(weights[0]) == static_cast<size_t>(Kind::count));

uint32_t weight_of(const Weight &entry, Theme theme, bool slow_host, int64_t host_fork) {
    if (entry.kind == Kind::answer) {
        constexpr uint32_t answers[] = {0, 20, 150};
        return answers[host_fork];
    }
    const bool takes = entry.kind == Kind::pop || entry.kind == Kind::pop_all;
    if (slow_host && takes) {
        return entry.kind == Kind::pop ? 3 : 1;
    }
    if (slow_host && entry.kind == Kind::resize) {
        return entry.weight * 4;
    }
    return entry.theme == theme && theme != Theme::any ? entry.weight * 4 : entry.weight;
}

void draw_operations(History *history, Random &random, uint32_t steps, bool endless) {
    const auto theme = static_cast<Theme>(random.below(static_cast<uint32_t>(Theme::count)));
    const bool slow_host = random.below(4) == 0;
    const int64_t host_fork = history->get(Choice::host_fork);
    // Every possible throw is in the table, so that drawing is quick.
    Kind table[2048];
    uint32_t total = 0;
    for (const Weight &entry : weights) {
        const bool stops = entry.kind == Kind::stop || entry.kind == Kind::kill ||
                           entry.kind == Kind::refuse_wait ||
                           entry.kind == Kind::close_descriptors ||
                           entry.kind == Kind::own_signal || entry.kind == Kind::enter_worker ||
                           entry.kind == Kind::run;
        const uint32_t drawn = weight_of(entry, theme, slow_host, host_fork);
        const uint32_t weight = endless && stops ? 0 : drawn;
        for (uint32_t count = 0; count < weight && total < 2048; count++) {
            table[total++] = entry.kind;
        }
    }
    history->operations.resize(steps);
    for (Operation &operation : history->operations) {
        const uint64_t first = random.next();
        const uint64_t second = random.next();
        operation.kind = table[(first >> 32) * total >> 32];
        operation.a = static_cast<uint32_t>(first) & 0xFFFFFFU;
        operation.b = static_cast<uint32_t>(second >> 32) & 0xFFFFFFU;
        operation.c = static_cast<uint32_t>(second) & 0xFFFFFFU;
    }
}

void draw_limits(History *history, Random &random) {
    constexpr int64_t limits[] = {0, 1, 2, 3, 5, 10, 30, 100, 1000};
    history->set(Choice::max_restarts,
                 random.below(3) == 0 ? random.pick(limits) : core::restarts_unlimited);
    if (random.below(4) == 0) {
        constexpr int64_t windows_ms[] = {1, 100, 1000, 3000, 60'000};
        history->set(Choice::window_max, 1 + random.below(random.below(3) == 0 ? 40 : 5));
        history->set(Choice::window_ms, random.pick(windows_ms));
    }
    if (random.below(2) == 0) {
        constexpr int64_t firsts_ms[] = {1, 5, 100, 1000};
        const int64_t first_ms = random.pick(firsts_ms);
        history->set(Choice::backoff_first_ms, first_ms);
        history->set(Choice::backoff_max_ms, first_ms * (1 + random.below(20)));
    }
    history->set(Choice::boot_limit, random.below(4) == 0 ? 1 + random.below(8) : 0);
    history->set(Choice::on_limit, random.below(2));
    const auto fatal_of_3 = static_cast<uint32_t>(core::ExitAction::fatal) << 6;
    history->set(Choice::exit_actions, random.below(4) == 0   ? random.below(1024)
                                       : random.below(6) == 0 ? fatal_of_3
                                                              : 0);
}

void draw_health(History *history, Random &random) {
    constexpr int64_t timeouts_ms[] = {1, 40, 900, 5000};
    constexpr int64_t lifetimes_ms[] = {1, 300, 2000, 30'000};
    constexpr int64_t uptimes_ms[] = {1000, 1000, 0, 1, 50, 4000};
    history->set(Choice::minimum_uptime_ms, random.pick(uptimes_ms));
    if (random.below(2) == 0) {
        history->set(Choice::ready_timeout_ms, random.pick(timeouts_ms));
    }
    if (random.below(3) == 0) {
        history->set(Choice::heartbeat_timeout_ms, random.pick(timeouts_ms));
    }
    if (random.below(3) == 0) {
        const int64_t lifetime_ms = random.pick(lifetimes_ms);
        history->set(Choice::lifetime_ms, lifetime_ms);
        history->set(Choice::lifetime_jitter_ms, lifetime_ms * random.below(3) / 2);
    }
    history->set(Choice::reload_order, random.below(3) == 0 ? 1 : 0);
    history->set(Choice::reload_width, random.below(2) == 0 ? 1 : 1 + random.below(5));
}

} // namespace

// The statuses that workers exit with: perform.cc.
constexpr int32_t drawn_statuses[] = {0, 1, 2, 3, 255};

int64_t plain_value(Choice choice) {
    switch (choice) {
    case Choice::workers:
    case Choice::reload_width:
    case Choice::stop_fd:
        return 1;
    case Choice::max_restarts:
        return core::restarts_unlimited;
    case Choice::stop_signal:
        return core::signal_terminate;
    case Choice::stop_timeout_ms:
        return 10'000;
    case Choice::minimum_uptime_ms:
        return 1000;
    case Choice::spares:
    case Choice::restart:
    case Choice::window_max:
    case Choice::window_ms:
    case Choice::backoff_first_ms:
    case Choice::backoff_max_ms:
    case Choice::boot_limit:
    case Choice::on_limit:
    case Choice::exit_actions:
    case Choice::jitter_seed:
    case Choice::ready_timeout_ms:
    case Choice::heartbeat_timeout_ms:
    case Choice::lifetime_ms:
    case Choice::lifetime_jitter_ms:
    case Choice::reload_order:
    case Choice::callback:
    case Choice::signals:
    case Choice::backend:
    case Choice::host_fork:
    case Choice::exec:
    case Choice::statuses:
    case Choice::manager:
    case Choice::open_fails:
    case Choice::ending:
    case Choice::count:
        return 0;
    }
    return 0;
}

void draw(History *history, uint64_t seed, uint32_t steps) {
    Random random(seed);
    for (size_t choice = 0; choice < static_cast<size_t>(Choice::count); choice++) {
        history->choices[choice] = plain_value(static_cast<Choice>(choice));
    }
    constexpr int64_t timeouts_ms[] = {0, 1, 20, 500, 3000, 10'000, 10'000};
    constexpr int64_t signals[] = {15, 15, 15, 2, 10, 0};
    constexpr int64_t modes[] = {0, 0, 0, 1, 1, 2};
    history->set(Choice::workers, random.below(400) == 0 ? 200 : 1 + random.below(12));
    history->set(Choice::restart, random.pick(modes));
    draw_limits(history, random);
    history->set(Choice::jitter_seed, static_cast<int64_t>(random.next() >> 1));
    history->set(Choice::stop_signal, random.pick(signals));
    history->set(Choice::stop_timeout_ms, random.pick(timeouts_ms));
    draw_health(history, random);
    history->set(Choice::host_fork, random.below(5) == 0 ? 1 + random.below(2) : 0);
    const bool pulled = history->get(Choice::host_fork) != 0;
    history->set(Choice::callback, pulled ? 0 : random.below(2));
    history->set(Choice::signals, random.below(3));
    history->set(Choice::backend, 1 + random.below(2));
    history->set(Choice::exec, !pulled && random.below(4) == 0 ? 1 : 0);
    history->set(Choice::manager, random.below(3) == 0 ? 1 + random.below(2) : 0);
    history->set(Choice::stop_fd, random.below(3) == 0 ? 0 : 1);
    history->set(Choice::statuses, random.below(3) == 0 ? 1 : 0);
    history->set(Choice::open_fails, random.below(30) == 0 ? 1 + random.below(29) : 0);
    history->set(Choice::ending, random.below(8));
    // Half are not stopped by anybody, and of these half do not end by themselves either.
    const bool endless = random.below(2) == 0;
    if (endless && random.below(2) == 0) {
        history->set(Choice::restart, static_cast<int64_t>(core::RestartWhen::always));
        history->set(Choice::max_restarts, core::restarts_unlimited);
        history->set(Choice::window_max, 0);
        history->set(Choice::window_ms, 0);
        history->set(Choice::exit_actions, 0);
        history->set(Choice::boot_limit, 0);
    }
    history->set(Choice::spares, random.below(2) == 0 ? random.below(5) : 0);
    draw_operations(history, random, steps, endless);
}

runtime::PoolOptions options_of(const History &history) {
    constexpr core::Duration millisecond = core::millisecond;
    const auto number = [&](Choice choice) { return static_cast<int32_t>(history.get(choice)); };
    const auto duration = [&](Choice choice) {
        return static_cast<core::Duration>(history.get(choice)) * millisecond;
    };
    runtime::PoolOptions options;
    core::Settings &settings = options.settings;
    settings.workers = static_cast<uint32_t>(history.get(Choice::workers));
    settings.spares = static_cast<uint32_t>(history.get(Choice::spares));
    settings.restart = static_cast<core::RestartWhen>(history.get(Choice::restart));
    settings.max_restarts = number(Choice::max_restarts);
    settings.window_max = static_cast<uint32_t>(history.get(Choice::window_max));
    settings.window = duration(Choice::window_ms);
    settings.backoff_first = duration(Choice::backoff_first_ms);
    settings.backoff_max = duration(Choice::backoff_max_ms);
    settings.boot_limit = static_cast<uint32_t>(history.get(Choice::boot_limit));
    settings.on_limit = static_cast<core::OnLimit>(history.get(Choice::on_limit));
    for (uint32_t index = 0; index < 5; index++) {
        const auto action = history.get(Choice::exit_actions) >> 2 * index & 3;
        settings.exit_actions.set(drawn_statuses[index], static_cast<core::ExitAction>(action));
    }
    settings.seed = static_cast<uint64_t>(history.get(Choice::jitter_seed));
    settings.stop_signal = number(Choice::stop_signal);
    settings.stop_timeout = duration(Choice::stop_timeout_ms);
    settings.minimum_uptime = duration(Choice::minimum_uptime_ms);
    settings.ready_timeout = duration(Choice::ready_timeout_ms);
    settings.heartbeat_timeout = duration(Choice::heartbeat_timeout_ms);
    settings.lifetime = duration(Choice::lifetime_ms);
    settings.lifetime_jitter = duration(Choice::lifetime_jitter_ms);
    settings.reload_order = static_cast<core::ReloadOrder>(history.get(Choice::reload_order));
    settings.reload_width = static_cast<uint32_t>(history.get(Choice::reload_width));
    options.signals = static_cast<os::SignalSet>(history.get(Choice::signals));
    options.backend = static_cast<os::Backend>(history.get(Choice::backend));
    options.host_fork = history.get(Choice::host_fork) != 0;
    options.stop_descriptors = history.get(Choice::stop_fd) != 0;
    options.notify = history.get(Choice::manager) != 0;
    options.exec = history.get(Choice::exec) != 0 ? simulated_exec() : nullptr;
    return options;
}

} // namespace sim
