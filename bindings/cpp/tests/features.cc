// What a pool, a worker and the process can do beside the scenarios.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstring>
#include <iterator>
#include <set>
#include <sys/stat.h>

#include "harness.hpp"

using namespace harness;
using prefork::Event;
using prefork::EventType;
using prefork::Pool;
using prefork::Program;
using prefork::Settings;
namespace this_worker = prefork::this_worker;

static std::vector<std::string> self_as(const std::string &role) { return {"features", role}; }

// The role that exec gives this program: it runs its pool.
static int exec_worker() {
    Settings settings;
    settings.name = "executed";
    Pool pool(settings);
    pool.run([](int task_id) {
        const std::string line = std::to_string(task_id) + " " +
                                 std::string(this_worker::pool_name().value_or("?")) + "\n";
        const int report = this_worker::descriptor("report");
        if (::write(report, line.data(), line.size()) < 0) {
            return 1;
        }
        this_worker::ready();
        return this_worker::wait_for_stop() ? 0 : 1;
    });
    return 99; // a worker never comes here
}

SCENARIO(workers_by_exec) {
    Report report;
    Settings settings = stoppable(2);
    settings.name = "executed";
    settings.exec = Program{"", self_as("exec_worker"), {}};
    settings.ready_timeout = 10s;
    settings.descriptors = {{"report", report.fd()}};
    Pool pool(settings);
    pool.start();
    std::set<std::string> lines;
    int ready = 0;
    for (const Event &event : pool.events()) {
        ready += event.type == EventType::ready;
        if (event.type == EventType::ready && ready == 2) {
            lines = {report.line(), report.line()};
            pool.set_exec(Program{"/nonexistent", {}, {}});
            pool.stop();
        }
        CHECK(event.type != EventType::exited || event.exit_status == 0);
    }
    CHECK((lines == std::set<std::string>{"0 executed", "1 executed"}));
}

SCENARIO(foreign_workers) {
    Settings settings = settings_of(1);
    settings.exec = Program{"/bin/sleep", std::vector<std::string>{"sleep", "1000"},
                            std::vector<std::string>{"A=b"}};
    settings.foreign_workers = true;
    Pool pool(settings);
    pool.start();
    int signal = 0;
    for (const Event &event : pool.events()) {
        if (event.type == EventType::started) {
            pool.stop();
        }
        signal = event.type == EventType::exited ? event.signal : signal;
    }
    CHECK(signal == SIGTERM);
}

SCENARIO(the_host_forks) {
    Report report;
    Settings settings = settings_of(2);
    settings.host_fork = true;
    Pool pool(settings);
    pool.start();
    int wanted = 0;
    for (const Event &event : pool.events()) {
        if (event.type == EventType::fork_wanted) {
            wanted++;
            const bool forked = pool.fork_worker(event.task_id, [&](int task_id) {
                report.say(std::to_string(task_id));
                return wanted == 1 ? 4 : 0;
            });
            CHECK(forked);
            CHECK(!pool.fork_worker(event.task_id, [] {}));
        }
    }
    CHECK(wanted == 3); // the first ended with status 4
    CHECK(pool.counter(prefork::Counter::restarted) == 1);
    CHECK(code_of([&] { pool.fork_worker(9, [] {}); }) == std::errc::invalid_argument);
}

SCENARIO(spares_take_slots) {
    Settings settings = stoppable(1);
    settings.spares = 1;
    Pool pool(settings);
    pool.start(idle);
    bool killed = false;
    int spares = 0;
    for (const Event &event : pool.events()) {
        spares += event.type == EventType::spare_started;
        if (event.type == EventType::spare_started && !killed) {
            CHECK(event.task_id == PF_TASK_SPARE);
            killed = true;
            pool.send_signal(0, SIGKILL);
        } else if (event.type == EventType::spare_started) {
            CHECK(pool.counter(prefork::Counter::spares) == 1);
            pool.set_spares(0);
            pool.stop();
        }
    }
    CHECK(spares == 2);
}

SCENARIO(worker_calls) {
    Report report;
    Settings settings = stoppable(1);
    settings.ready_timeout = 10s;
    settings.heartbeat_timeout = 10s;
    settings.min_uptime = 0ms;
    settings.descriptors = {{"report", report.fd()}};
    Pool pool(settings);
    pool.start([&] {
        this_worker::heartbeat();
        this_worker::ready();
        CHECK(!this_worker::is_spare());
        CHECK(this_worker::descriptor("report") == report.fd());
        std::error_code error;
        CHECK(this_worker::descriptor("another", error) < 0);
        CHECK(error == std::errc::no_such_file_or_directory);
        this_worker::retire();
        idle();
        CHECK(this_worker::should_stop());
    });
    int reason_retire = 0;
    for (const Event &event : pool.events()) {
        CHECK(event.type != EventType::exited || event.exit_status == 0);
        if (event.type == EventType::started && event.reason == prefork::Reason::retire) {
            reason_retire++;
            pool.stop();
        }
    }
    CHECK(reason_retire == 1);
}

SCENARIO(waiting_in_a_worker) {
    Report report;
    Report input;
    Pool pool(stoppable(1));
    pool.start([&] {
        std::signal(SIGUSR1, [](int) {});
        CHECK(!this_worker::should_stop());
        CHECK(this_worker::wait(-1, 1ms) == prefork::Wake::timeout);
        CHECK(this_worker::wait(input.read_fd(), 1ms) == prefork::Wake::timeout);
        // Longer than the clock can count. A signal does not end it.
        std::thread signal([main = ::pthread_self(), &input] {
            std::this_thread::sleep_for(20ms);
            ::pthread_kill(main, SIGUSR1);
            std::this_thread::sleep_for(20ms);
            input.say("x");
        });
        CHECK(this_worker::wait(input.read_fd(), 24h * 365 * 300) == prefork::Wake::readable);
        signal.join();
        CHECK(this_worker::wait(input.read_fd()) == prefork::Wake::readable);
        report.say("waited");
        CHECK(this_worker::wait_for_stop());
        CHECK(this_worker::wait(input.read_fd()) == prefork::Wake::stop);
    });
    for (const Event &event : pool.events()) {
        if (event.type == EventType::started) {
            CHECK(report.line() == "waited");
            pool.stop();
        }
        CHECK(event.type != EventType::exited || event.exit_status == 0);
    }
}

SCENARIO(one_worker_is_replaced_and_stopped) {
    Settings settings = stoppable(2);
    settings.min_uptime = 0ms;
    Pool pool(settings);
    pool.start(idle);
    std::vector<prefork::Reason> reasons;
    for (const Event &event : pool.events()) {
        if (event.type == EventType::started) {
            reasons.push_back(event.reason);
        }
        if (event.type == EventType::started && reasons.size() == 2) {
            pool.replace(0);
        } else if (event.type == EventType::exited && event.reason == prefork::Reason::replace) {
            pool.stop_worker(1);
            CHECK(code_of([&] { pool.stop_worker(1); }) ==
                  std::errc::connection_already_in_progress);
        } else if (event.type == EventType::exited && event.task_id == 1) {
            pool.stop();
        }
    }
    CHECK(reasons.size() == 3 && reasons[2] == prefork::Reason::replace);
}

SCENARIO(any_thread_wakes_and_stops) {
    Settings settings = stoppable(1);
    settings.threads = prefork::Threads::allow;
    Pool pool(settings);
    pool.start(idle);
    while (pool.alive_count() == 0) {
        pool.dispatch();
        const auto pending = pool.pending();
        CHECK(std::distance(pending.begin(), pending.end()) > 0);
    }
    CHECK(pool.descriptor() >= 0);
    std::thread other([&] {
        std::error_code error;
        pool.wake(error);
        pool.handle_signal(SIGTERM, error);
    });
    while (pool.dispatch()) {
        for (const Event &event : pool.pending()) {
            CHECK(event.type != EventType::gave_up);
        }
    }
    other.join();
    CHECK(pool.stop_signal() == SIGTERM);
    CHECK(code_of([&] { pool.handle_signal(SIGSEGV); }) == std::errc::invalid_argument);
}

SCENARIO(run_without_a_function_returns_in_workers) {
    Report report;
    Process supervisor([&] {
        Pool pool(settings_of(2));
        if (const auto task_id = pool.run()) {
            report.say(std::to_string(*task_id));
        }
        return 0;
    });
    CHECK(supervisor.exit_status() == 0);
    const int first = report.number();
    CHECK(first + report.number() == 1);
}

SCENARIO(sockets) {
    const std::string path = "/tmp/prefork-cpp-" + std::to_string(::getpid());
    {
        const auto socket = prefork::bind_unix_socket(path, 0600, 4);
        struct stat status {};
        CHECK(::stat(path.c_str(), &status) == 0 && (status.st_mode & 0777) == 0600);
        CHECK(!prefork::accept(socket.get()));
        CHECK(code_of([&] { prefork::bind_unix_socket(path); }) == std::errc::address_in_use);
    }
    ::unlink(path.c_str());
    CHECK(code_of([] { prefork::accept(-1); }) == std::errc::bad_file_descriptor);
    CHECK(prefork::listen_fds().empty());
    prefork::BindOptions options;
    options.family = AF_INET;
    options.reuse_port = true;
    CHECK(prefork::bind_sockets("", 0, options).size() == 1);
}

SCENARIO(a_daemon) {
    const std::string path = "/tmp/prefork-cpp-pid-" + std::to_string(::getpid());
    Report report;
    Process launcher([&]() -> int {
        prefork::daemonize(path);
        report.say(std::to_string(::getpid()));
        prefork::daemon_ready();
        prefork::die_of_signal(SIGTERM);
    });
    CHECK(launcher.exit_status() == 0);
    const int daemon = report.number();
    wait_until("the daemon ends", [&] { return !is_alive(daemon); });
    CHECK(::access(path.c_str(), F_OK) != 0);
}

// The role of a supervisor whose program is replaced once: both have the same pool.
static int upgrading(const char *role) {
    const int out = STDOUT_FILENO;
    Settings settings = stoppable(1);
    settings.name = "upgraded";
    settings.signals = prefork::Signals::standard;
    Pool pool(settings);
    pool.start(idle);
    while (pool.dispatch()) {
        for (const Event &event : pool.pending()) {
            ::dprintf(out, "%s\n", std::string(event.name()).c_str());
            if (event.type == EventType::adopted) {
                pool.stop();
            }
        }
        if (pool.alive_count() == 1 && std::strcmp(role, "old") == 0) {
            prefork::upgrade({"", self_as("new"), {}});
        }
    }
    for (const Event &event : pool.pending()) {
        ::dprintf(out, "%s\n", std::string(event.name()).c_str());
    }
    return 0;
}

SCENARIO(an_upgrade_keeps_the_workers) {
    Report report;
    Process supervisor([&] {
        ::dup2(report.fd(), STDOUT_FILENO);
        ::execl("/proc/self/exe", "features", "old", nullptr);
        return 1;
    });
    std::vector<std::string> names;
    while (names.empty() || names.back() != to_string(EventType::done)) {
        names.push_back(report.line());
    }
    CHECK(supervisor.exit_status() == 0);
    CHECK(std::count(names.begin(), names.end(), to_string(EventType::adopted)) == 1);
    CHECK(std::count(names.begin(), names.end(), to_string(EventType::started)) == 1);
}

SCENARIO(process_facts) {
    CHECK(prefork::cpu_count() >= 1);
    CHECK(prefork::version_number() >= 200);
    CHECK(prefork::version() == std::to_string(prefork::version_number() / 10000) + "." +
                                    std::to_string(prefork::version_number() / 100 % 100) + "." +
                                    std::to_string(prefork::version_number() % 100));
    CHECK(to_string(static_cast<EventType>(9999)).empty());
}

// Each standard adds: C++20 views and designated initializers, C++23 std::expected.
SCENARIO(what_newer_standards_add) {
#if defined(__cpp_lib_ranges)
    static_assert(std::ranges::input_range<prefork::Events> && std::ranges::view<prefork::Events>);
    Pool pool({.restart = prefork::Restart::never, .workers = 2});
    pool.start([](int task_id) { return task_id + 5; });
    int sum = 0;
    const auto ended = [](const Event &event) { return event.exit_status.has_value(); };
    const auto status_of = [](const Event &event) { return event.exit_status.value(); };
#if defined(__clang__) && __clang_major__ < 16
    // It cannot compile the views of libstdc++.
    for (const Event &event : pool.events()) {
        sum += ended(event) ? status_of(event) : 0;
    }
#else
    for (const int status :
         pool.events() | std::views::filter(ended) | std::views::transform(status_of)) {
        sum += status;
    }
#endif
    CHECK(sum == 11);
#endif
#if defined(__cpp_lib_expected)
    Pool expecting({.workers = 1});
    const auto dispatched =
        prefork::attempt([&](std::error_code &error) { return expecting.dispatch(0ms, error); });
    CHECK(!dispatched && dispatched.error() == std::errc::invalid_argument);
    CHECK(
        prefork::attempt([&](std::error_code &error) { expecting.run([] {}, error); }).has_value());
#endif
    Pool collected(settings_of(1));
    collected.start([] {});
    const auto range = collected.events();
    const std::vector<Event> all(range.begin(), range.end());
    CHECK(all.size() == 4 && all.back().type == EventType::done);
}

int main(int argc, char **argv) {
    const std::string role = argc == 2 ? argv[1] : "";
    if (role == "exec_worker") {
        return exec_worker();
    }
    return role == "old" || role == "new" ? upgrading(argv[1]) : harness::main(argc, argv);
}
