// The host: drives a pool through a history and looks at everything that comes back.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "history.h"
#include "os/signals/pool_signals.h"
#include "world.h"

namespace sim {

class Host {
  public:
    // Leaves by violate() when a check fails; clear() brings the host back to its beginning.
    void play(const History &history);
    void clear();
    void fail() { outcome_.failed = true; }

    // What happens while the pool waits. Returns whether it is told of more than an interruption.
    bool block(int timeout_ms);
    bool next_own_signal(prefork::os::SignalRequest *ret_request);
    [[nodiscard]] bool wants_to_be_worker() const { return running_ && enter_worker_; }
    [[nodiscard]] bool runs() const { return running_; }
    [[nodiscard]] bool executes() const { return executes_; }

    [[nodiscard]] uint32_t capacity() const { return pool_->supervisor().capacity(); }
    [[nodiscard]] bool is_broken() const { return pool_->supervisor().broken(); }

    [[nodiscard]] const Outcome &outcome() const { return outcome_; }

  private:
    // What comes between a wait's begin and its end.
    enum class Happening : uint8_t {
        nothing,
        interrupt,
        stop,
        kill,
        exit,
        own_signal,
        wake,
        count
    };

    // fake_upgrade.cc
    void upgrade(uint32_t how, uint32_t seed);

    // host.cc
    bool open(const History &history);
    void check();
    void end(uint32_t way);
    void wait_for_end(uint32_t way);
    void check_end();
    void see(const pf_event &event);
    void raise_own(uint32_t which);
    static void on_event(const pf_event *event, void *user);
    void act_in_callback();

    // perform.cc
    void perform(const Operation &operation);
    void plan_happening(const Operation &operation);
    void perform_on_pool(const Operation &operation);
    void perform_on_world(const Operation &operation);
    void raise_any(uint32_t which);
    void perform_trouble(const Operation &operation);
    void end_process(uint32_t which, const Exit &exit);
    void storm(uint32_t count, uint32_t how);
    void end_run();
    void perform_on_health(const Operation &operation);

    // calls.cc
    void dispatch(int timeout_ms);
    void close_descriptors(bool reopens, bool also_pipes);
    void run(uint32_t waits);
    bool pop();
    void resize(uint32_t how, uint32_t much);
    static int refusal();
    void resize_to(uint32_t count);
    void change_spares(uint32_t how, uint32_t count);
    void set_spares(uint32_t count);
    void restart(uint32_t slot);
    void stop_worker(uint32_t choice);
    void signal(uint32_t slot, uint32_t choice);
    void signal_all(uint32_t choice);
    void answer(uint32_t slot, uint32_t how);
    bool prepare_fork(uint32_t slot);
    int32_t fork(uint32_t slot, uint32_t how);
    void request_stop();
    void request_kill();
    void request_reload();
    void freeze(uint32_t how, uint32_t much);
    void wake();
    void control(uint32_t what, uint32_t first, uint32_t second);

    prefork::runtime::Pool *pool_ = nullptr;
    prefork::runtime::PoolOptions options_; // of the program of this moment
    Outcome outcome_;
    bool callback_ = false;
    int64_t host_fork_ = 0;
    bool executes_ = false; // the library starts workers by exec
    bool running_ = false;  // inside run()
    bool enter_worker_ = false;
    bool left_ = false; // this process is no longer the supervisor
    Happening happening_ = Happening::nothing;
    uint32_t happening_number_ = 0;
    Operation planned_; // for a callback
    uint32_t planned_in_ = 0;
    bool done_seen_ = false;
};

extern Host host;

// What the library finds when it looks for one descriptor, where the host forks.
int look_for_descriptor();

Exit exit_of(uint32_t choice);

} // namespace sim
