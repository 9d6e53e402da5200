// The scenarios that every binding has: bindings/README.md.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iterator>
#include <set>
#include <sys/socket.h>

#include "client.hpp"
#include "harness.hpp"

#if __cplusplus >= 202002L
#include <ranges>
#endif

using namespace harness;
using prefork::Event;
using prefork::EventType;
using prefork::Pool;
namespace this_worker = prefork::this_worker;

SCENARIO(task_ids) {
    CHECK(!this_worker::task_id());
    Report report;
    Pool pool(settings_of(4));
    pool.run([&](int task_id) {
        report.say(std::to_string(task_id == this_worker::task_id() ? task_id : -1));
    });
    std::set<int> ids;
    for (int i = 0; i < 4; i++) {
        ids.insert(report.number());
    }
    CHECK((ids == std::set<int>{0, 1, 2, 3}));

    Process one_call([&] {
        report.say(std::to_string(prefork::fork_processes(2)));
        return 0;
    });
    CHECK(one_call.exit_status() == 0);
    const int first = report.number();
    CHECK(first + report.number() == 1);
}

SCENARIO(restart_with_the_same_id) {
    Pool pool(stoppable(2));
    pool.start(idle);
    std::vector<pid_t> pids;
    for (const Event &event : pool.events()) {
        if (event.type == EventType::started && event.task_id == 1) {
            pids.push_back(event.pid);
            pids.size() == 1 ? pool.send_signal(1, SIGKILL) : pool.stop();
            CHECK(event.restarts == static_cast<int>(pids.size()) - 1);
        }
    }
    CHECK(pids.size() == 2 && pids[0] != pids[1]);
}

SCENARIO(clean_exit) {
    Pool pool(settings_of(3));
    pool.run([] { return 0; });
    CHECK(pool.counter(prefork::Counter::exited) == 3);
    CHECK(pool.counter(prefork::Counter::abnormal) == 0);
    CHECK(pool.worker(2).state == prefork::WorkerState::done);
}

SCENARIO(limit_gives_up) {
    prefork::Settings settings = stoppable(2);
    settings.max_restarts = 2;
    Pool pool(settings);
    pool.start([](int task_id) {
        if (task_id != 0) {
            idle();
        }
        return 3;
    });
    int abnormal = 0;
    const auto error = code_of([&] {
        for (const Event &event : pool.events()) {
            abnormal +=
                event.type == EventType::exited && event.exit_status == 3 && event.task_id == 0;
        }
    });
    CHECK(error == prefork::errc::gave_up);
    CHECK(error.message() == pf_strerror(PF_EGAVEUP));
    CHECK(abnormal == 3);
    CHECK(!has_child());

    settings.max_restarts = 0;
    std::error_code quiet;
    Pool(settings).run([] { return 1; }, quiet);
    CHECK(quiet == prefork::errc::gave_up);
}

static int supervise(const Report &report) {
    prefork::Settings settings = stoppable(2);
    settings.signals = prefork::Signals::standard;
    settings.on_event = [&](const Event &event) {
        if (event.type == EventType::stopping) {
            report.say("stopping");
        }
    };
    int signal = 0;
    {
        Pool pool(settings);
        pool.run([&] {
            report.say(std::to_string(::getpid()));
            idle();
        });
        signal = pool.stop_signal();
    }
    prefork::die_of_signal(signal);
}

SCENARIO(terminated_supervisor_leaves_nobody) {
    Report report;
    Process supervisor([&] { return supervise(report); });
    const int pids[] = {report.number(), report.number()};
    supervisor.signal(SIGTERM);
    CHECK(supervisor.exit_status() == -SIGTERM);
    CHECK(!is_alive(pids[0]) && !is_alive(pids[1]));
}

SCENARIO(killed_supervisor_leaves_nobody) {
    Report report;
    Process supervisor([&] { return supervise(report); });
    const int pids[] = {report.number(), report.number()};
    supervisor.signal(SIGKILL);
    CHECK(supervisor.exit_status() == -SIGKILL);
    wait_until("the workers end", [&] { return !is_alive(pids[0]) && !is_alive(pids[1]); });
}

SCENARIO(event_order_and_fields) {
    Report report;
    prefork::Settings settings = settings_of(1);
    settings.backoff = prefork::Settings::Backoff{50ms, 50ms};
    settings.ready_timeout = 10s;
    Pool pool(settings);
    const auto before = Clock::now();
    report.say("first");
    pool.start([&report] {
        this_worker::ready();
        if (report.line() == "first") {
            report.say("second");
            return 3;
        }
        report.say("end");
        ::raise(SIGKILL);
        return 0;
    });
    std::vector<Event> events;
    for (const Event &event : pool.events()) {
        events.push_back(event);
        if (event.signal == SIGKILL) {
            pool.stop();
        }
    }
    std::vector<std::string> names;
    for (const Event &event : events) {
        names.emplace_back(event.name());
        CHECK(event.time >= before && event.time <= Clock::now());
        CHECK(!event.message.empty());
    }
    const std::vector<std::string> begin(names.begin(), names.begin() + 6);
    const auto name = [](EventType type) { return std::string(to_string(type)); };
    CHECK((begin == std::vector<std::string>{name(EventType::starting), name(EventType::started),
                                             name(EventType::ready), name(EventType::exited),
                                             name(EventType::started), name(EventType::ready)}));
    CHECK(names.back() == name(EventType::done));
    CHECK(events[0].worker_count == 1 && events[0].task_id == -1 && events[0].pid == 0);
    CHECK(events[1].task_id == 0 && events[1].pid > 0);
    CHECK(events[1].reason == prefork::Reason::start);
    CHECK(events[3].pid == events[1].pid && events[3].exit_status == 3 && events[3].signal == 0);
    CHECK(events[3].will_restart && events[3].delay >= 25ms && events[3].delay <= 51ms);
    CHECK(events[3].max_rss_kib > 0 && !events[3].error && !events[3].core_dumped);
    CHECK(events[4].reason == prefork::Reason::restart && events[4].restarts == 1);
    CHECK(events[6].signal == SIGKILL && !events[6].exit_status);
}

SCENARIO(graceful_stop) {
    Report report;
    prefork::Settings settings = stoppable(2);
    settings.stop_timeout = 5s; // which worker 0 does not need
    Pool pool(settings);
    pool.start([&](int task_id) {
        report.say("runs");
        idle();
        report.say("finishes");
        if (task_id == 1) {
            std::this_thread::sleep_for(patience);
        }
    });
    int killed = -1;
    int running = 0;
    for (const Event &event : pool.events()) {
        if (event.type == EventType::started && ++running == 2) {
            CHECK(report.line() == "runs" && report.line() == "runs");
            pool.stop();
        }
        if (event.type == EventType::killed) {
            killed = event.task_id;
        }
    }
    CHECK(report.line() == "finishes" && report.line() == "finishes");
    CHECK(killed == 1);
}

SCENARIO(rolling_reload) {
    auto sockets = prefork::bind_sockets("127.0.0.1", 0);
    const int listener = sockets.at(0).get();
    prefork::Settings settings = stoppable(2);
    settings.ready_timeout = 10s;
    Pool pool(settings);
    pool.start([=] { serve(listener); });
    Client client(port_of(listener));
    std::pair<int, int> counts;
    std::set<pid_t> pids;
    int reloads = 0;
    bool busy = true; // with the start
    while (pool.dispatch(50ms)) {
        for (const Event &event : pool.pending()) {
            if (event.type == EventType::started) {
                pids.insert(event.pid);
            }
            busy = busy && event.type != EventType::reloaded;
            CHECK(event.type != EventType::reload_failed);
        }
        if (reloads == 0 && pool.counter(prefork::Counter::ready) == 2) {
            busy = false;
        }
        if (!busy && client.has_asked_since_reload()) {
            busy = true;
            if (reloads++ < 10) {
                pool.reload();
            } else {
                counts = client.end();
                pool.stop();
            }
        }
    }
    const auto [answered, lost] = counts;
    std::printf("%d answered, %d lost in 10 reloads\n", answered, lost);
    CHECK(pids.size() == 22);
    CHECK(answered > 10 && lost == 0);
}

SCENARIO(resize) {
    Pool pool(stoppable(1));
    pool.start(idle);
    std::vector<int> stopped;
    for (const Event &event : pool.events()) {
        if (event.type == EventType::started && event.task_id == 0) {
            pool.resize(3);
        } else if (event.type == EventType::started && event.task_id == 2) {
            CHECK(pool.worker_count() == 3);
            pool.resize(2);
        } else if (event.type == EventType::exited && stopped.empty()) {
            stopped.push_back(event.task_id);
            CHECK(pool.worker_count() == 2);
            pool.stop();
        }
    }
    CHECK(stopped.at(0) == 2);
    std::string what;
    CHECK(code_of([&] { Pool(stoppable(1)).resize(0); }, &what) == std::errc::invalid_argument);
    CHECK(what.find("resize(0)") != std::string::npos);
}

SCENARIO(pids_and_states) {
    Pool pool(stoppable(2));
    CHECK(pool.worker_count() == 0 && pool.workers().empty());
    pool.start(idle);
    while (pool.counter(prefork::Counter::ready) < 2) {
        pool.dispatch();
        for (const Event &event : pool.pending()) {
            if (event.type == EventType::started) {
                const prefork::WorkerInfo info = pool.worker(event.task_id);
                CHECK(info.pid == event.pid && is_alive(info.pid) && info.restarts == 0);
            }
        }
    }
    CHECK(pool.alive_count() == 2 && pool.workers().at(1).state == prefork::WorkerState::ready);
    CHECK(code_of([&] { pool.worker(2); }) == std::errc::invalid_argument);
    pool.send_signal(0, SIGKILL);
    wait_until("the restart", [&] {
        pool.dispatch(10ms);
        const auto pending = pool.pending();
        std::for_each(pending.begin(), pending.end(), [](const Event &) {});
        return pool.worker(0).restarts == 1;
    });
    pool.stop();
    for (const Event &event : pool.events()) {
        CHECK(event.type != EventType::gave_up);
    }
    CHECK(pool.worker(0).state == prefork::WorkerState::empty ||
          pool.worker(0).state == prefork::WorkerState::done);
}

SCENARIO(shared_listening_socket) {
    const auto sockets = prefork::bind_sockets("127.0.0.1", 0);
    const int listener = sockets.at(0).get();
    Pool pool(stoppable(2));
    pool.start([=] { serve(listener); });
    std::set<int> pids;
    while (pool.dispatch(10ms)) {
        for (const Event &event : pool.pending()) {
            CHECK(event.type != EventType::exited || event.exit_status == 0);
        }
        if (pids.size() < 2) {
            pids.insert(ask(port_of(listener)).value());
        } else {
            pool.stop();
        }
    }
    std::string what;
    const auto error =
        code_of([&] { prefork::bind_sockets("127.0.0.1", port_of(listener)); }, &what);
    CHECK(error == std::errc::address_in_use);
    CHECK(what.find("bind_sockets(127.0.0.1, ") != std::string::npos);
}

SCENARIO(ctrl_c_within_100_ms) {
    auto best = Clock::duration::max();
    for (int i = 0; i < 10 && best > 100ms; i++) { // the machine may be busy
        Report report;
        Process supervisor([&] { return supervise(report); });
        report.number();
        report.number();
        const auto sent = Clock::now();
        supervisor.signal(SIGINT);
        CHECK(report.line() == "stopping");
        best = std::min(best, Clock::now() - sent);
        CHECK(supervisor.exit_status() == -SIGINT);
    }
    CHECK(best <= 100ms);
}

int main(int argc, char **argv) { return harness::main(argc, argv); }
