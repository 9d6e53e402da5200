// What a pool has to do, said once more and plainly: slots, counters and loops over all of them,
// without heaps, queues of inputs or states of instances. It hears of the world and of the host's
// calls what the pool hears of them, says what must follow, and compares.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "base/worker_array.h"
#include "core/counters.h"
#include "core/event.h"
#include "core/settings.h"
#include "core/supervisor.h"
#include "model_parts.h"
#include "os/signals/pool_signals.h"
#include "os/watch/event_loop.h"
#include "world.h"

namespace sim {

class Model : private ModelParts {
  public:
    void begin(const core::Settings &settings, bool pulled, bool by_pidfd, bool host_fork);
    void open(); // the pool has been opened
    // The program of the supervisor is to be replaced: what that returns; and then it is.
    int prepare_upgrade();
    void upgrade(const core::Settings &settings);
    void set_event_capacity(size_t capacity) { event_capacity_ = capacity; }
    [[nodiscard]] bool by_pidfd() const { return by_pidfd_; }
    [[nodiscard]] bool host_fork() const { return host_fork_; }

    // What the host asks for. Those with a result say what the call must return.
    void request_stop() { stop_requested_ = true; }
    void request_kill() { kill_requested_ = true; }
    void request_reload() { reload_requested_ = true; }
    [[nodiscard]] bool kills() const { return killing_ || kill_requested_; }
    [[nodiscard]] bool can_change() const { return phase_ == Phase::running; }
    void resize(uint32_t count);
    void grow(uint32_t count) { pending_growth_ = count; } // if there is memory for it
    void grow_spares(uint32_t count) { pending_spares_ = count; }
    int restart(uint32_t slot);
    int stop_worker(uint32_t slot);
    int signal(uint32_t slot, int number);
    void signal_all(int number);

    // What the library does.
    void begin_read(int timeout_ms);
    [[nodiscard]] int expected_result() const;
    void wait_failed(int32_t error); // what the pool does by itself then
    void pop_batch(size_t count);
    void forked(uint32_t slot);
    void fork_failed(uint32_t slot, int32_t error);
    void start_refused(int32_t error);
    void first_refused(int32_t error);
    void watch_failed(int32_t pid, int32_t error);
    void discarded(uint32_t slot, int32_t pid);
    void started(uint32_t worker, uint32_t slot, int32_t pid, Instant since);
    void said_ready(uint32_t worker);
    void flooded(uint32_t worker);
    void hangs(uint32_t worker);
    void retired(uint32_t worker);
    void no_more_messages();
    void looked(uint32_t worker, uint32_t beats);
    void collecting();
    void exited(uint32_t worker, int32_t pid, const Exit &exit);
    void looked_for_oom(); // whether the kernel has killed for lack of memory
    void told_to_stop(uint32_t worker);
    void resume(uint32_t worker);
    void pass_on(int number);
    void kill_refused(uint32_t worker);         // what was sent last
    bool sent(uint32_t worker, int32_t number); // whether it asks the worker to end
    void check_wait(int timeout_ms, Instant timer);
    void woke(const prefork::os::WaitResult &result);
    void handle_requests();
    void no_more_signals();
    void own_signal(const prefork::os::SignalRequest &request);
    void told(const core::Event &event);

    // Where the host forks: model_host_fork.cc.
    void expect_requests() { pending_requests_ = true; }
    void request_forks();
    [[nodiscard]] uint32_t pending_fork(uint32_t choice) const; // a slot with one, if any has
    [[nodiscard]] bool has_pending_fork(uint32_t slot) const {
        return result_until_of(slot) != never;
    }
    void request_failed(int32_t task_id, int32_t error);
    int answer(uint32_t slot, int32_t pid, bool is_child, bool is_known);
    [[nodiscard]] int32_t last_watch_error() const { return watch_error_; }

    // Spares: model_spares.cc.
    static constexpr uint32_t spare_slot = static_cast<uint32_t>(prefork::base::task_spare);
    void set_spares(uint32_t count);
    void spare_started(uint32_t id, int32_t pid, Instant since);
    void spare_exited(uint32_t id, int32_t pid, const Exit &exit);
    bool takes_over(uint32_t spare, uint32_t worker, bool can);
    void taken_over(uint32_t spare, uint32_t worker, Instant since);
    void not_taken_over(uint32_t spare, uint32_t worker);
    [[nodiscard]] bool has_takeover() const;
    [[nodiscard]] uint32_t spare_places() const { return static_cast<uint32_t>(spares_.size()); }
    [[nodiscard]] uint32_t most_spares() const { return most_spares_; }
    void renew() { // the host has set another program
        renew_spares();
        conclude();
    }

    // What has been noticed, but could not be acted upon until the library's next call.
    void settle();

    [[nodiscard]] size_t startable() const;
    // Whether it is known who is started next: of two whose delays end together either may be.
    [[nodiscard]] bool order_is_certain() const;
    [[nodiscard]] bool has_events() const { return first_event_ < events_.size(); }
    [[nodiscard]] bool done() const { return phase_ == Phase::done; }
    [[nodiscard]] int32_t result() const { return result_; }
    [[nodiscard]] uint32_t slots() const { return slots_; }
    [[nodiscard]] const core::Settings &settings() const { return settings_; }
    [[nodiscard]] uint32_t alive() const { return alive_; }
    // What the service manager is told of.
    [[nodiscard]] bool is_running() const { return phase_ == Phase::running; }
    [[nodiscard]] bool is_reloading() const { return reloading_; }
    [[nodiscard]] uint64_t reloads() const {
        return counts_[static_cast<size_t>(core::Counter::reloads)];
    }
    [[nodiscard]] uint32_t ready() const;
    [[nodiscard]] bool is_all_ready() const;
    [[nodiscard]] uint32_t left() const { return left_ + spares_left_; } // that could not be killed
    [[nodiscard]] uint32_t unreported() const { return unreported_; }

    // To be compared with what the pool says of itself.
    void check_armed();
    void check_counts(const core::Supervisor &supervisor);
    void check_slots(const core::Supervisor &supervisor);

  private:
    // model.cc: the pool.
    void stop(int32_t number, bool quick);
    void kill();
    void fail(int32_t error);
    void begin_stopping(Reason reason);
    void ask_slot(uint32_t slot, Reason reason);
    void reopen_starts_if_unused();
    void suspend_starts();
    void leave_slot(uint32_t slot, Reason reason);
    void resume_slot(uint32_t slot);
    void conclude();
    void finish_if_idle();

    // model_spares.cc
    Life &life_of(uint32_t id);
    static int task_of(uint32_t id);
    [[nodiscard]] Instant result_until_of(uint32_t slot) const {
        return slot == spare_slot ? spare_start_.result_until : table_[slot].result_until;
    }
    [[nodiscard]] bool needs_spares() const;
    [[nodiscard]] uint32_t busy_spares() const;
    [[nodiscard]] bool is_spare_startable() const;
    void renew_spares();
    void end_spares(Reason reason);
    void ask_spare(size_t place, Reason reason);
    void end_spare_start();
    void kill_spares();
    void begin_spare_start();
    void request_spare();
    void pop_spare_request();
    void spare_start_failed(int32_t error, Instant tie);
    Duration draw_spare_delay(Duration uptime);

    // model_upgrade.cc: the supervisor's memory is new.
    void upgrade_spares();
    void continue_slot(uint32_t number);
    void continue_life(uint32_t number, int instance);

    // model_time.cc: deadlines and signs of life.
    void tick();
    void life_due(const Due &due);
    void renew_after_pause();
    void expect_sign(Life &life);
    void retire_in_time(uint32_t number, Life &life);
    void be_silent(uint32_t id, Reason reason, Instant deadline, Instant tie);
    [[nodiscard]] Instant next_deadline() const;
    [[nodiscard]] Instant next_timer() const;

    // model_replacements.cc: replacements.
    void reload();
    void advance_replacements();
    void finish_reload();
    void request_replacement(uint32_t slot, ReplacementReason reason);
    void replace(uint32_t slot, ReplacementReason reason, bool takes_part);
    void replace(const Request &request);
    void fill(uint32_t slot, Reason reason);
    static Reason reason_of(ReplacementReason replaced_for);
    uint32_t count_replaced();
    void finish_replacement(uint32_t slot, bool good, int32_t error = 0);
    void replacement_takes_over(uint32_t slot);
    void tell_reload_failed(uint32_t slot, int32_t error, Reason reason);
    [[nodiscard]] bool can_begin_reload() const;
    [[nodiscard]] bool is_being_replaced(uint32_t slot) const;
    [[nodiscard]] bool is_requested(uint32_t slot, ReplacementReason reason) const;
    [[nodiscard]] bool has_reload_left() const;
    [[nodiscard]] bool has_to_wait(const Request &request) const;

    // model_worker.cc and model_ends.cc: one slot.
    void want_start(uint32_t slot, Reason reason, uint64_t key = 0);
    void withdraw(uint32_t slot);
    void withdraw_request(uint32_t slot);
    void request(const Waiting &waiting);
    void pop_told();
    void pop_request(uint32_t slot);
    void swap_tied_request(const core::Event &event);
    void skip_rest_of_batch();
    bool put_in_turn(uint32_t slot);
    void ask(uint32_t slot, int life, Reason reason);
    void ask_life(Life &life, uint32_t id, Reason reason);
    void kill_life(Life &life, uint32_t id);
    void begin_life(uint32_t worker, int32_t pid, Instant since);
    void get_ready(uint32_t slot, int number);
    void start_failed(uint32_t slot, int32_t error);
    void end_start(uint32_t slot, int32_t error, Instant tie = 0, uint64_t key = 0);
    void expect_oom_look(const Life &life, const Exit &exit);
    void ended_in_service(uint32_t slot, const Life &life, const Exit &exit, bool was_new);
    [[nodiscard]] core::ExitAction action_of(const Life &life, const Exit &exit) const;
    [[nodiscard]] bool is_restarted(core::ExitAction action, const Life &life,
                                    const Exit &exit) const;
    [[nodiscard]] bool counts(core::ExitAction action, const Life &life, const Exit &exit) const;
    void give_up(uint32_t slot, bool fatal);
    [[nodiscard]] bool has_booted(const Life &life) const;
    bool is_last_boot();
    void give_up_boot();
    bool allow_restart();
    Duration draw_delay(Slot &slot);
    Duration draw_lifetime();
    uint64_t draw_number();
    // Whether the second worker is the new one.
    [[nodiscard]] static bool has_new(const Slot &slot) {
        const Stage stage = slot.second < 0 ? Stage::none : slot.lives[slot.second].stage;
        return stage == Stage::trial || stage == Stage::dying;
    }
    [[nodiscard]] static bool is_at_work(const Life &life) {
        return life.stage == Stage::trial || life.stage == Stage::serving;
    }
    [[nodiscard]] bool is_wanted(uint32_t slot) const {
        return phase_ == Phase::running && slot < slots_ && !table_[slot].stopped;
    }

    // model_events.cc: what is told.
    void count(core::Counter counter) { counts_[static_cast<size_t>(counter)] += 1; }
    void count_event(const core::Event &event);
    void check_counters(const core::Supervisor &supervisor) const;
    void tell(core::Event event, bool late = false, Instant tie = 0);
    void tell_life(EventType type, int task_id, const Life &life, Instant tie);
    [[nodiscard]] bool has_room_for_extra() const;
    core::Event event_of(EventType type, Level level, int slot = -1) const;
    void tell_exit(uint32_t slot, const Life &life, const Exit &exit, bool restart, Duration delay,
                   bool done = false);
    void tell_start_failure(uint32_t slot, int32_t error, bool again, Instant tie);
    void tell_spare_start_failure(int32_t error, bool again, Instant tie);
    void tell_failed_start(core::Event event, Instant retry_at, Instant tie);
    [[nodiscard]] size_t reserved_room() const {
        return life_room * (alive_ + underway_ + spares_alive_) +
               (spare_start_.underway ? life_room + 1 : 0);
    }
    void tell_resized();
    void tell_stopping();
    void put_tied_event_first(const core::Event &event);
    [[nodiscard]] bool has_room_for_life() const;
    void check_event_capacity() const;
    [[nodiscard]] size_t room() const {
        const size_t waiting = events_.size() - first_event_;
        return waiting > event_capacity_ ? 0 : event_capacity_ - waiting;
    }

    // Room for one worker's life, and for what is told of the pool as a whole.
    static constexpr size_t life_room = 7;
    static constexpr size_t pool_room = 5;

    core::Settings settings_;
    std::vector<Life> spares_; // by their places
    SpareStart spare_start_;
    Instant spare_retry_ = never;
    Duration spare_delay_ = 0;
    uint32_t spares_wanted_ = 0;
    uint32_t most_spares_ = 0; // that were ever wanted
    uint32_t spares_alive_ = 0;
    uint32_t spares_left_ = 0; // of these, who could not be killed when the pool stopped
    std::vector<Slot> table_;
    std::vector<Waiting> queue_;
    std::vector<Waiting> batch_; // being started, the first forked_ of them forked
    std::vector<Sending> sending_;
    uint64_t counts_[11] = {}; // as PF_COUNT_* has them, but what is so now
    std::vector<Told> events_; // from first_event_ on they wait for the host
    std::vector<Instant> counted_at_;
    std::vector<Due> due_;
    std::vector<Request> requests_; // of replacements
    bool reloading_ = false;
    bool reload_wanted_ = false;
    size_t forked_ = 0;
    size_t first_event_ = 0;
    size_t event_capacity_ = 0;
    Phase phase_ = Phase::idle;
    Reason why_stopped_ = Reason::none;
    bool pulled_ = false;
    bool by_pidfd_ = true;
    bool host_fork_ = false;
    bool stopping_told_ = false;
    bool killing_ = false;
    uint32_t slots_ = 0;
    uint32_t alive_ = 0;
    uint32_t left_ = 0;       // of these, who could not be killed when the pool stopped
    uint32_t unreported_ = 0; // of those, who ended after the pool
    uint32_t underway_ = 0;
    uint32_t pending_ = 0; // slots with something pending
    uint64_t next_key_ = 0;
    uint64_t random_ = 0;
    int32_t counted_ = 0;
    uint32_t boots_failed_ = 0; // in a row
    int32_t result_ = 0;
    int32_t stop_signal_ = 0;
    Instant stop_signal_time_ = 0;
    bool some_ran_ = false;
    bool some_given_up_ = false;
    bool resize_untold_ = false;
    bool start_withdrawn_ = false;
    Instant start_failure_told_ = never;
    Instant last_told_ = 0;

    Starts starts_ = Starts::open;
    Duration retry_delay_ = 0;
    Instant retry_at_ = never;

    bool stop_requested_ = false;
    bool kill_requested_ = false;
    bool reload_requested_ = false;
    int timeout_ms_ = 0;
    uint32_t pending_collects_ = 0;
    bool pending_tick_ = false;
    bool signals_first_ = false;  // before it
    bool messages_first_ = false; // before it
    uint32_t pending_looks_ = 0;
    bool pending_oom_look_ = false;
    bool out_of_memory_ = false; // the end that is being told of
    uint32_t pending_growth_ = 0;
    uint32_t pending_spares_ = 0;
    uint32_t pending_fork_failure_ = 0; // the slot, plus 1
    int32_t fork_error_ = 0;
    bool pending_requests_ = false; // to the host, once what is known has had its effect
    int32_t pending_discard_ = 0;
    int32_t unwanted_ = 0; // a child of the host that is to be discarded
    int32_t watch_error_ = 0;
    mutable Instant deadline_ = never;
    mutable bool deadline_known_ = false;
};

extern Model model;

} // namespace sim
