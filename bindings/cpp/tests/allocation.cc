// Each function is called again and again, and an allocation in it fails, each time a later one.
//
// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <dirent.h>
#include <new>

#include "harness.hpp"

// Negative: none fails.
static int allocations_left = -1;
static bool has_failed = false;

void *operator new(std::size_t size) {
    if (allocations_left == 0) {
        has_failed = true;
        throw std::bad_alloc();
    }
    allocations_left -= allocations_left > 0;
    if (void *memory = std::malloc(size == 0 ? 1 : size)) {
        return memory;
    }
    throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }

using namespace harness;
using prefork::Event;
using prefork::Pool;
using prefork::Settings;
namespace this_worker = prefork::this_worker;

static int open_files() {
    DIR *directory = ::opendir("/proc/self/fd");
    int count = 0;
    while (::readdir(directory) != nullptr) {
        count++;
    }
    ::closedir(directory);
    return count;
}

/// Calls it until no allocation fails in it. Returns how many failed. What failed has left no
/// descriptor and no child; what it returns is gone by then as well.
template <typename Call>
static int fail_each_allocation(Call &&call) {
    const int before = open_files();
    for (int failed = 0;; failed++) {
        allocations_left = failed;
        has_failed = false;
        try {
            call();
        } catch (const std::bad_alloc &) {
        } catch (const std::system_error &error) { // as far as it was written
            allocations_left = -1;
            check(false, error.what(), __FILE__, __LINE__);
        }
        allocations_left = -1;
        CHECK(open_files() == before);
        CHECK(!has_child());
        if (!has_failed) {
            return failed;
        }
        CHECK(failed < 10000);
    }
}

static const std::string longer(60, 'n'); // than what a string holds in itself

static Settings all_settings() {
    Settings settings = stoppable(2);
    settings.name = longer;
    settings.descriptors = {{longer.substr(30), 1}};
    settings.exit_actions[3] = prefork::ExitAction::done;
    settings.backoff = Settings::Backoff{1ms, 2ms};
    settings.on_event = [text = longer](const Event &event) { CHECK(event.message != text); };
    return settings;
}

SCENARIO(sockets_have_an_owner_when_memory_is_short) {
    const std::string path =
        "/tmp/prefork-" + std::to_string(::getpid()) + "-allocation-test-socket";
    CHECK(fail_each_allocation([] { prefork::bind_sockets("127.0.0.1", 0); }) > 0);
    CHECK(fail_each_allocation([] {
              std::error_code error;
              prefork::bind_sockets("localhost", 0, {}, error);
          }) > 0);
    CHECK(fail_each_allocation([&] { prefork::bind_unix_socket(path); }) > 0);
    ::unlink(path.c_str());
    CHECK(fail_each_allocation([] { prefork::listen_fds(); }) > 0);
    const auto listener = std::move(prefork::bind_sockets("127.0.0.1", 0).at(0));
    CHECK(fail_each_allocation([&] { CHECK(!prefork::accept(listener.get())); }) == 0);
}

SCENARIO(pools_are_made_whole_or_not_at_all) {
    CHECK(fail_each_allocation([] { Pool pool(all_settings()); }) > 5);
    CHECK(fail_each_allocation([] {
              std::error_code error;
              Pool pool(all_settings(), error);
              CHECK(!error);
          }) > 5);
    CHECK(fail_each_allocation([] {
              Settings settings;
              settings.exec = prefork::Program{longer, {{longer, longer}}, {{"A=" + longer}}};
              Pool pool(settings);
              pool.set_exec({longer, {{longer}}, {}});
          }) > 5);
}

SCENARIO(errors_are_thrown_or_memory_is_short) {
    CHECK(fail_each_allocation([] {
              try {
                  Settings settings;
                  settings.workers = 65537;
                  Pool pool(settings);
              } catch (const std::system_error &error) {
                  CHECK(error.code() == std::errc::invalid_argument);
              }
          }) > 0);
    CHECK(fail_each_allocation([] {
              try {
                  this_worker::descriptor(longer);
              } catch (const std::system_error &error) {
                  CHECK(error.code() == std::errc::no_child_process);
              }
          }) > 0);
    CHECK(fail_each_allocation([] { prefork::set_event_callback([text = longer](auto &) {}); }) >
          0);
    prefork::set_event_callback({});
}

// The pool ends, whatever fails: an event that cannot be copied is an exception of the callback.
SCENARIO(pools_end_when_memory_is_short) {
    CHECK(fail_each_allocation([] {
              Pool pool(all_settings());
              pool.run([] { return 0; });
          }) > 5);
    CHECK(fail_each_allocation([] {
              Pool pool(all_settings());
              pool.start([text = longer](int) { return text.empty() ? 1 : 0; });
              while (pool.dispatch()) {
              }
              CHECK(pool.workers().size() == 2);
          }) > 5);
    CHECK(fail_each_allocation([] {
              Settings settings = all_settings();
              settings.on_event = nullptr;
              Pool pool(settings);
              pool.start([] {});
              for (const Event &event : pool.events()) {
                  CHECK(!event.name().empty());
              }
          }) > 5);
}

SCENARIO(a_function_of_the_host_that_throws_has_not_forked) {
    Settings settings = stoppable(1);
    settings.host_fork = true;
    Pool pool(settings);
    pool.start();
    int thrown = 0;
    for (const Event &event : pool.events()) {
        if (event.type == prefork::EventType::fork_wanted) {
            try {
                if (thrown < 2) {
                    pool.fork_worker(event.task_id, idle, []() -> pid_t { throw 7; });
                }
                pool.fork_worker(
                    event.task_id, [] {}, []() -> pid_t { return ::fork(); });
            } catch (int) {
                thrown++;
            }
        }
    }
    CHECK(thrown == 2 && pool.counter(prefork::Counter::exited) == 1);
    CHECK(pool.counter(prefork::Counter::start_failed) == 2);
}

int main(int argc, char **argv) { return harness::main(argc, argv); }
