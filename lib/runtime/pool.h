// A pool at work: carries out what the core decides and reports to it what happens.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>

#include "base/array.h"
#include "core/supervisor.h"
#include "os/channel/notify_socket.h"
#include "os/channel/supervisor_channel.h"
#include "os/fd/pidfd.h"
#include "os/process/main_thread.h"
#include "os/process/process_id.h"
#include "os/service/notify.h"
#include "os/signals/pool_signals.h"
#include "os/signals/signals.h"
#include "os/spawn/worker_process.h"
#include "os/upgrade/reader.h"
#include "os/upgrade/writer.h"
#include "os/watch/event_loop.h"
#include "os/watch/oom_count.h"
#include "os/watch/orphans.h"
#include "runtime/event.h"
#include "runtime/options.h"

namespace prefork::runtime {

// What the former program says of the policy.
struct AdoptedPolicy {
    core::PoolSnapshot pool{};
    base::Array<core::SlotSnapshot> slots;
    base::Array<core::WorkerSnapshot> spares;

    [[nodiscard]] uint32_t slot_count() const { return static_cast<uint32_t>(slots.size()); }
    [[nodiscard]] uint32_t spare_count() const { return static_cast<uint32_t>(spares.size()); }
    // Returns 1, 0 if a pool cannot go on with it, or -ENOMEM.
    [[nodiscard]] int read(const os::UpgradePoolView &view);
};

// Belongs to one thread at a time of the process that opened it. In a worker it is left as it was
// at the fork: disown() comes before its end there.
class Pool {
  public:
    Pool() = default;
    ~Pool();
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    // Gets memory and descriptors, and decides on the first starts, which the first run() or
    // dispatch() carries out. Returns 0 or a negative errno, with which nothing has happened.
    [[nodiscard]] int open(const PoolOptions &chosen);

    // Supervises to the end. Returns 0 in a worker, whose id is then in ret_task_id, and in the
    // supervisor when the pool is done, with -1; a negative code if the pool failed; -ECHILD in a
    // child that an event callback made.
    int run(int *ret_task_id);

    // One wait, which ends early after a signal handler of the host and by wake(): 1 while the
    // pool lives, otherwise as run().
    int dispatch(int timeout_ms);

    // Pops the oldest event; returns false if there is none.
    bool next_event(pf_event *ret_event);

    // For any thread and for signal handlers.
    void request_stop() { request(stop_requested); }
    void request_kill() { request(kill_requested); }
    void request_reload() { request(reload_requested); }
    // Makes the descriptor readable, so that the dispatch under way, or the next one, returns.
    void wake();
    // What the standard set has a signal do, by its index there.
    void request_signal(uint32_t index) { request(first_signal_requested << index); }

    // Returns 0 or a negative errno.
    int resize(uint32_t count);
    int set_spares(uint32_t count);
    void renew_spares(); // the program of workers is another one now
    int restart(uint32_t slot);
    int stop_worker(uint32_t slot);
    int signal(uint32_t slot, int number);
    int signal_all(int number); // tries all, and returns the first error

    // Around a fork of the host's. Each returns 0 or a negative errno. Blocks all signals, if a
    // worker of the slot is wanted.
    int fork_prepare(int32_t task_id);
    // The host's answer to a request: the pid, or the negative errno of its fork.
    int fork_parent(int32_t task_id, int32_t pid);
    // In the child, which is a worker then, and can use nothing but disown(). Returns the task id.
    int fork_child(int32_t task_id);
    // In both processes, last: the signals are as they were before fork_prepare().
    void fork_done() { held_signals_.release(); }

    // Before the program of this process is replaced, with all signals blocked. Returns 0, or a
    // negative errno if that cannot be now.
    [[nodiscard]] int prepare_upgrade();
    void hand_over(const char *name, os::UpgradeWriter *writer) const;
    // To the service manager; without a beginning: it did not happen.
    void announce_upgrade(bool begins);

    [[nodiscard]] bool is_of_this_process() const { return os::is_this_process(process_); }
    // In a process that did not open it: lets go of everything but memory.
    void disown();

    // Whether a callback has not returned yet, also in a child that it has forked.
    [[nodiscard]] bool is_in_callback() const { return in_callback_; }

    // -EBADF: the host has closed it.
    [[nodiscard]] int descriptor() const;
    [[nodiscard]] const core::Supervisor &supervisor() const { return supervisor_; }
    [[nodiscard]] bool finished() const { return finished_; }

  private:
    enum class Role : uint8_t { supervisor, worker, detached_child };
    static constexpr uint32_t stop_requested = 1;
    static constexpr uint32_t kill_requested = 2;
    static constexpr uint32_t reload_requested = 4;
    static constexpr uint32_t first_signal_requested = 8;

    int open_resources(const AdoptedPolicy &policy, bool adopts);
    [[nodiscard]] bool grow(uint32_t slots, uint32_t spares);
    void request(uint32_t what);
    int run_once(int timeout_ms, os::SignalBlock &block, Role *ret_role);
    int wait_once(int timeout_ms, os::SignalBlock &block);
    Role run_actions(os::SignalBlock &block);
    Role deliver_events(os::SignalBlock &block);
    Role end_workers(os::SignalBlock &block);
    [[nodiscard]] bool has_failed() const { return supervisor_.broken() || failure_ != 0; }
    [[nodiscard]] bool reaps() const { return options_.reap_orphans != os::ReapMode::none; }
    void note_kill(int number);
    void before_host_code();
    void after_host_code();
    bool look_for_loss();
    bool look_for_loss_in_child() const;
    void check_late();
    void lose_descriptors();
    int leave_as_detached_child();
    int finish();
    int change_slot(core::Input::Kind kind, uint32_t slot, bool has_been_asked);

    // Starting workers: start.cc.
    [[nodiscard]] os::SpawnParameters common_parameters() const;
    void take_over();
    Role start_workers(os::SignalBlock &block);
    void deliver_signals(os::SignalBlock &block);
    Role start_one(os::SpawnParameters *parameters, os::SignalBlock &block);
    Role start_batch(uint32_t room, os::SpawnParameters *parameters, os::SignalBlock &block);
    Role start_with_barrier(os::SpawnParameters *parameters, os::SignalBlock &block);
    int32_t fork_worker(uint32_t worker, os::SpawnParameters *parameters, os::SignalBlock &block);
    int32_t execute_worker(uint32_t worker, os::SpawnParameters *parameters, os::SignalBlock &block,
                           os::Pidfd *ret_pidfd);
    int watch_started(uint32_t worker, int32_t pid, os::Pidfd *pidfd, base::Instant since);
    void start_failed(uint32_t worker, int error);

    // Notifying the service manager: manager.cc.
    void notify_manager();
    void report_left_workers();
    void notify_manager_of_reload();
    [[nodiscard]] base::Instant next_deadline() const;

    // Starting workers that the host forks: host_fork.cc.
    void request_forks();
    [[nodiscard]] uint32_t pending_fork(int32_t task_id) const;
    int expect_fork(int32_t task_id);
    void note_pending_forks(bool pending);
    int attach_child(uint32_t worker, int32_t pid);

    // Workers of the former program of this process: adoption.cc.
    int read_handed_over(AdoptedPolicy *ret_policy) const;
    void adopt(const AdoptedPolicy &policy);
    void give_back();
    int open_channel(bool adopts);
    int open_notifications(bool adopts);
    void absorb_unclaimed();

    // What has come: inputs.cc.
    int wait_for_inputs(int timeout_ms, os::SignalBlock &block);
    bool handle_all_requests();
    bool handle_requests();
    void end(uint32_t worker, const base::Exit &exit);
    void read_messages();
    bool read_notifications();
    void use_announced_exit(core::Input *input) const;
    void check_heartbeats();
    bool handle_own_signals();
    void handle_signal(const os::SignalRequest &request);
    void arm();
    void step(const core::Input &input);
    void step(core::Input::Kind kind);
    void send_signals();
    void send(const core::Signal &signal, int32_t number);

    PoolOptions options_;
    core::Supervisor supervisor_;
    os::SupervisorChannel channel_;
    os::NotifySocket notifications_; // of workers whose program does not use this library
    os::EventLoop loop_;
    os::OwnSignals signals_;
    os::HeldSignals held_signals_;
    os::OrphanReaper orphans_;
    os::OomCount oom_count_;
    os::Notifier notifier_;
    os::MainThread main_thread_; // as far as it was needed
    base::Array<int32_t> batch_; // pairs: a worker that is being started, and its pid
    std::atomic<uint32_t> requests_{0};
    int32_t owner_ = 0;
    os::ProcessId process_ = 0;      // the owner, whatever its pid says
    bool forks_pending_ = false;     // the host has been asked, and other pools know
    bool in_callback_ = false;       // of the host
    bool host_code_ran_ = false;     // since stdio was flushed
    bool ends_wait_ = false;         // a handler of the host may have run between starts
    bool checks_late_ = false;       // what callbacks may have changed
    bool unchecked_ = false;         // a callback has run since
    bool started_unchecked_ = false; // and a worker was started after it
    bool host_has_threads_ = false;  // when it was asked to fork
    bool opened_ = false;
    bool finished_ = false;
    int failure_ = 0;        // -EBADF: the host has closed descriptors of the library; else it may
                             // not wait any more
    bool was_ready_ = false; // all workers at one time
    bool awaited_ = false;   // by who launched the daemon
    bool reload_reported_ = false;
    uint32_t reloads_reported_ = 0;
    base::Instant messages_resume_ = base::never; // when the channel is read again
};

core::Input input_of(core::Input::Kind kind, uint32_t worker = 0);

inline int32_t task_id_of(uint32_t worker) {
    return base::is_spare(worker) ? base::task_spare : static_cast<int32_t>(core::slot_of(worker));
}

} // namespace prefork::runtime
