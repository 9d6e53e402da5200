// Errors: of values, of processes that may not, of workers and callbacks, of the loader.
//
// SPDX-License-Identifier: MIT
#include <atomic>
#include <optional>
#include <stdexcept>

#include "harness.hpp"

using namespace harness;
using namespace std::string_literals;
using prefork::Event;
using prefork::EventType;
using prefork::Pool;
using prefork::Settings;
namespace this_worker = prefork::this_worker;

static void refused(const char *name, const Settings &settings) {
    std::string what;
    CHECK(code_of([&] { Pool pool(settings); }, &what) == std::errc::invalid_argument);
    check(what.find("Settings::"s + name) != std::string::npos, what.c_str(), __FILE__, __LINE__);
}

SCENARIO(errors_as_the_languages_own) {
    Settings settings;
    settings.workers = 65537;
    refused("workers = 65537", settings);
    settings = {};
    settings.ready_timeout = -1ms;
    refused("ready_timeout = -1 ms", settings);
    settings = {};
    settings.restart = static_cast<prefork::Restart>(7);
    refused("restart = 7", settings);
    settings = {};
    settings.backoff = Settings::Backoff{2s, 1s};
    refused("backoff = {2000 ms, 1000 ms}", settings);
    settings = {};
    settings.stop_signal = 999;
    refused("stop_signal, stop_timeout = 999, 10000 ms", settings);
    settings = {};
    settings.restart_window = Settings::Window{-1, 1s};
    refused("restart_window", settings);
    settings = {};
    settings.exit_actions[256] = prefork::ExitAction::done;
    refused("exit_actions = 256", settings);
    settings = {};
    settings.descriptors = {{"a:b", 0}};
    refused("descriptors = a:b", settings);
    settings = {};
    settings.name = std::string(64, 'n');
    refused("name = n", settings);
    settings = {};
    settings.exec = prefork::Program{"", std::vector<std::string>{}, {}};
    refused("exec", settings);

    std::error_code error;
    settings = {};
    settings.spares = -1;
    Pool empty(settings, error);
    CHECK(error == std::errc::invalid_argument && empty.native_handle() == nullptr);
    CHECK(code_of([&] { empty.run(); }) == std::errc::invalid_argument);
    CHECK(code_of([&] { empty.start(); }) == std::errc::invalid_argument);
    CHECK(empty.worker_count() == 0 && empty.stop_signal() == 0);

    CHECK(prefork::error_of(PF_ERESOLVE) == prefork::errc::resolve);
    CHECK(prefork::error_of(-ENOENT) == std::errc::no_such_file_or_directory);
    CHECK(!prefork::error_of(1));
    CHECK(prefork::category().name() == "prefork"s);
    CHECK(code_of([] { this_worker::ready(); }) == std::errc::no_child_process);
    CHECK(code_of([] { this_worker::stop_descriptor(); }) == std::errc::no_child_process);
    CHECK(code_of([] { prefork::bind_sockets("prefork.invalid", 1); }) == prefork::errc::resolve);
    CHECK(code_of([] { prefork::die_of_signal(SIGCONT); }) == std::errc::invalid_argument);
    CHECK(code_of([] {
              prefork::upgrade({"/nonexistent", {}, {}});
          }) == std::errc::no_such_file_or_directory);
}

SCENARIO(strings_with_nul_are_refused) {
    const std::string bad("a\0b", 3);
    std::error_code error;
    Settings settings;
    settings.name = bad;
    refused("name", settings);
    settings = {};
    settings.descriptors = {{bad, 0}};
    refused("descriptors", settings);
    std::string what;
    settings = {};
    settings.exec = prefork::Program{"/bin/true", std::vector<std::string>{bad}, {}};
    CHECK(code_of([&] { Pool pool(settings); }, &what) == std::errc::invalid_argument);
    CHECK(what.find("Program::arguments contains a NUL") != std::string::npos);
    CHECK(code_of([&] { prefork::bind_sockets(bad, 0); }) == std::errc::invalid_argument);
    CHECK(code_of([&] { prefork::bind_unix_socket(bad); }) == std::errc::invalid_argument);
    CHECK(code_of([&] { prefork::daemonize(bad); }) == std::errc::invalid_argument);
    CHECK(code_of([&] { this_worker::descriptor(bad); }) == std::errc::invalid_argument);
    prefork::daemonize(bad, error);
    CHECK(error == std::errc::invalid_argument);
    CHECK(prefork::bind_sockets(bad, 0, {}, error).empty());
    CHECK(error == std::errc::invalid_argument);
    settings = {};
    settings.exec = prefork::Program{};
    Pool pool(settings);
    pool.set_exec({bad, {}, {}}, error);
    CHECK(error == std::errc::invalid_argument);
    error.clear();
    prefork::upgrade({bad, {}, {}}, error);
    CHECK(error == std::errc::invalid_argument);
    CHECK(this_worker::descriptor(bad, error) == -EINVAL && error == std::errc::invalid_argument);
    CHECK(!prefork::bind_unix_socket(bad, 0600, 0, error));
    CHECK(error == std::errc::invalid_argument);
}

SCENARIO(use_after_fork_refused) {
    Pool pool(stoppable(1));
    pool.start(idle);
    Process child([&] {
        std::error_code error;
        pool.stop(error);
        const bool stop = error == std::errc::no_child_process;
        const bool run = code_of([&] { pool.run(); }) == std::errc::no_child_process;
        const bool dispatch = code_of([&] { pool.dispatch(0ms); }) == std::errc::no_child_process;
        return stop && run && dispatch ? 0 : 1;
    });
    CHECK(child.exit_status() == 0);
    pool.stop();
    for (const Event &event : pool.events()) {
        CHECK(event.type != EventType::gave_up);
    }
    CHECK(code_of([&] { pool.run(idle); }) != std::error_code());
    CHECK(code_of([] { Pool(stoppable(1)).start(); }) == std::errc::invalid_argument);
}

// The worker's exception is a status, and its text is on stderr; destructors have run.
SCENARIO(a_worker_that_throws_ends_by_a_status) {
    struct Says {
        const Report &report;
        ~Says() { report.say("unwound"); }
    };
    Report report;
    Report error_output;
    Settings settings = settings_of(3);
    settings.restart = prefork::Restart::never;
    Pool pool(settings);
    const int saved = ::dup(STDERR_FILENO);
    ::dup2(error_output.fd(), STDERR_FILENO);
    pool.start([&](int task_id) -> int {
        const Says says{report};
        if (task_id == 0) {
            throw std::runtime_error("no luck");
        }
        if (task_id == 1) {
            throw 7;
        }
        throw std::system_error(prefork::errc::fatal);
    });
    int ends = 0;
    for (const Event &event : pool.events()) {
        if (event.type == EventType::exited) {
            CHECK(event.exit_status == prefork::exit_exception && event.signal == 0);
            ends++;
        }
    }
    ::dup2(saved, STDERR_FILENO);
    ::close(saved);
    CHECK(ends == 3);
    std::string all;
    for (int i = 0; i < 3; i++) {
        CHECK(report.line() == "unwound");
        all += error_output.line() + "\n";
    }
    CHECK(all.find("prefork: task 0 ends by an exception: no luck\n") != std::string::npos);
    CHECK(all.find("prefork: task 1 ends by an exception: not a std::exception\n") !=
          std::string::npos);
}

SCENARIO(an_exception_of_a_callback_stops_the_pool_and_comes_out) {
    Settings settings = stoppable(2);
    int calls = 0;
    settings.on_event = [&](const Event &event) {
        calls++;
        if (event.type == EventType::started) {
            throw std::out_of_range("from the callback");
        }
    };
    const auto thrown_by = [](const std::function<void()> &call) {
        try {
            call();
        } catch (const std::out_of_range &exception) {
            return exception.what() == "from the callback"s;
        }
        return false;
    };
    Pool pool(settings);
    Pool moved(std::move(pool));
    CHECK(pool.native_handle() == nullptr); // NOLINT(bugprone-use-after-move,clang-analyzer-*)
    CHECK(thrown_by([&] { moved.run(idle); }));
    CHECK(calls == 2 && !has_child());

    Pool stepwise(settings);
    stepwise.start(idle);
    CHECK(thrown_by([&] {
        while (stepwise.dispatch()) {
        }
    }));
    while (stepwise.dispatch()) {
    }
    Pool ranged(settings);
    ranged.start(idle);
    CHECK(thrown_by([&] {
        for (const Event &event : ranged.events()) {
            CHECK(event.task_id == -2); // none comes here
        }
    }));
}

SCENARIO(an_exception_of_the_callback_of_one_call_is_reported) {
    Report report;
    Process supervisor([&] {
        ::dup2(report.fd(), STDERR_FILENO);
        prefork::set_event_callback([](const Event &event) {
            if (event.type == EventType::starting) {
                throw std::runtime_error("heard");
            }
        });
        prefork::fork_processes(1);
        return 0;
    });
    CHECK(supervisor.exit_status() == 0);
    CHECK(report.line() == "prefork: an event callback throws: heard");
    prefork::set_event_callback({});
}

SCENARIO(a_pool_that_its_own_callback_destroys_aborts) {
    for (const bool assigns : {false, true}) {
        Report report;
        Process supervisor([&] {
            ::dup2(report.fd(), STDERR_FILENO);
            std::optional<Pool> pool;
            Settings settings = stoppable(1);
            settings.on_event = [&](const Event &) {
                if (assigns) {
                    *pool = Pool();
                }
                pool.reset();
            };
            pool.emplace(settings);
            pool->run(idle);
            return 0;
        });
        CHECK(supervisor.exit_status() == -SIGABRT);
        CHECK(report.line() == "prefork: a pool is destroyed in its own callback");
    }
}

SCENARIO(a_pool_that_was_moved_from_refuses_all) {
    Pool pool(stoppable(2));
    pool.start(idle);
    Pool other = std::move(pool);
    std::error_code error;
    // NOLINTBEGIN(bugprone-use-after-move,clang-analyzer-*)
    pool.dispatch(0ms, error);
    CHECK(error == std::errc::invalid_argument);
    CHECK(code_of([&] { pool.stop(); }) == std::errc::invalid_argument);
    CHECK(code_of([&] { pool.run(idle); }) == std::errc::invalid_argument);
    CHECK(code_of([&] { pool.start(idle); }) == std::errc::invalid_argument);
    CHECK(code_of([&] { pool.fork_worker(0, idle); }) == std::errc::invalid_argument);
    CHECK(code_of([&] { pool.events().begin(); }) == std::errc::invalid_argument);
    CHECK(pool.workers().empty() && pool.counter(prefork::Counter::alive) == 0);
    // NOLINTEND(bugprone-use-after-move,clang-analyzer-*)
    pool = std::move(other);
    pool.stop();
    while (pool.dispatch()) {
    }
}

// In this process, whose streams have buffers of their own.
SCENARIO(output_that_waits_is_written_once) {
    for (const bool has_callback : {false, true}) {
        Report report;
        Process supervisor([&] {
            ::dup2(report.fd(), STDOUT_FILENO);
            std::ios::sync_with_stdio(false);
            Settings settings = settings_of(3);
            if (has_callback) {
                settings.on_event = [](const Event &event) { std::cout << event.name() << '\n'; };
            }
            Pool pool(settings);
            pool.start([] {});
            if (!has_callback) {
                std::cout << "starting\n";
            }
            for (const Event &event : pool.events()) {
                CHECK(!event.name().empty());
            }
            std::cout << "end" << std::endl;
            return 0;
        });
        CHECK(supervisor.exit_status() == 0);
        int times = 0;
        for (std::string line; line != "end"; line = report.line()) {
            times += line == "starting";
        }
        CHECK(times == 1);
    }
}

SCENARIO(a_spare_of_the_host_that_is_not_needed_ends_well) {
    Settings settings = stoppable(1);
    settings.spares = 1;
    settings.host_fork = true;
    Pool pool(settings);
    pool.start();
    int ends = 0;
    for (const Event &event : pool.events()) {
        if (event.type == EventType::fork_wanted) {
            pool.fork_worker(event.task_id, idle);
        } else if (event.type == EventType::spare_started) {
            pool.stop();
        } else if (event.type == EventType::spare_exited) {
            ends++;
            CHECK(event.exit_status == 0);
        }
    }
    CHECK(ends == 1);
}

SCENARIO(other_threads_are_refused) {
    std::atomic<bool> is_over{false};
    std::thread other([&] {
        while (!is_over) {
            std::this_thread::sleep_for(1ms);
        }
    });
    Pool pool(settings_of(1));
    const auto error = code_of([&] { pool.run([] {}); });
    is_over = true;
    other.join();
    CHECK(error == prefork::errc::threads);
    bool again = false;
    wait_until("the thread is gone", [&] {
        again = !code_of([&] { pool.run([] {}); });
        return again;
    });
}

int main(int argc, char **argv) { return harness::main(argc, argv); }
