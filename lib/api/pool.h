// What a pool handle points to.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "os/process/process_id.h"
#include "os/spawn/exec.h"
#include "os/spawn/worker_process.h"
#include "os/spawn/worker_resources.h"
#include "runtime/pool.h"

namespace prefork::api {

// A value of the host's and what it wants called when the library no longer needs it.
struct HostData {
    void *user = nullptr;
    void (*free_user)(void *) = nullptr;

    // The host's function may call the library, which is as it should be by then.
    void release() {
        const HostData released = *this;
        *this = HostData{};
        if (released.free_user != nullptr) {
            released.free_user(released.user);
        }
    }
};

// In a worker by exec, the pool that it belongs to does nothing any more.
enum class Stage : uint8_t { settings, running, ended, of_worker };

// Who has a pool to itself: a call that starts, runs or frees it, another call, which calls nothing
// of the host's, or an upgrade of this process.
enum class Holder : uint8_t { none, call, short_call, upgrade };

} // namespace prefork::api

struct pf_pool {
    prefork::os::ProcessId owner = 0;
    std::atomic<prefork::api::Stage> stage{prefork::api::Stage::settings}; // any thread looks at it
    std::atomic<prefork::api::Holder> holder{prefork::api::Holder::none};
    bool is_being_freed = false;  // also in a child that a free_user function has forked
    pf_pool *next = nullptr;      // of the pools that are listed
    pf_pool *next_held = nullptr; // of those that the upgrade under way holds
    int result = 0;               // at the end
    prefork::runtime::PoolOptions options;
    prefork::api::HostData event_data;
    prefork::api::HostData worker_data;
    prefork::os::WorkerResources *resources = nullptr; // outlives the pool in its workers
    prefork::os::Program program;
    prefork::os::Exec exec; // of the options, if workers run the program
    prefork::runtime::Pool pool;
    pf_event event; // the last that pf_pool_next_event gave
};

namespace prefork::api {

// Whether this process supervises with the pool, or may come to.
inline bool is_supervisor(const pf_pool *pool) {
    return os::is_this_process(pool->owner) && pool->stage != Stage::of_worker;
}

// Whether the pool was started, and this process may use it: 0, or what the caller returns.
int check_started(const pf_pool *pool);

// Holds the pool. Waits for a short call, and for an upgrade that another thread is in: it fails,
// or ends this thread. Returns 0, or -EBUSY while another call holds the pool.
[[nodiscard]] int hold(pf_pool *pool, Holder holder = Holder::call);
inline void let_go(pf_pool *pool) { pool->holder = Holder::none; }

// Holds the pool in a call that a callback may make, too: there the call around it holds the pool.
class Hold {
  public:
    explicit Hold(pf_pool *pool) : pool_(hold(pool, Holder::short_call) == 0 ? pool : nullptr) {}
    ~Hold() {
        if (pool_ != nullptr) {
            let_go(pool_);
        }
    }
    Hold(const Hold &) = delete;
    Hold &operator=(const Hold &) = delete;

  private:
    pf_pool *pool_;
};

// As hold(), for a pool that is about to start, and lists it: no upgrade overlooks it.
[[nodiscard]] int hold_and_list(pf_pool *pool);
void unlist(pf_pool *pool);

// Whether pf_fork_processes() has not come to its end in this process.
bool is_in_fork_processes();

// Opens a pool, with what the former program of this process has handed over to one of that name.
// Returns 0 or a negative errno.
inline int open_pool(const char *name, runtime::PoolOptions *options, runtime::Pool *pool) {
    if (int r = os::handed_over_error(); r < 0) {
        return r;
    }
    options->handed = os::claim_handed_pool(name);
    options->host_mask = os::held_mask();
    const int result = pool->open(*options);
    os::end_claim(options->handed);
    return result;
}

// Whether a setting may be made now: 0, or what the setter returns.
int check_setting(const pf_pool *pool);
// The same for one that may also be made while the pool runs.
int check_change(const pf_pool *pool);

} // namespace prefork::api
