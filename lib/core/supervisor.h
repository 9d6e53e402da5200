// The supervisor's policy: a pure state machine. Time, pids and statuses come in as arguments,
// decisions go out as signals to send, workers to start and events to report.
//
// SPDX-License-Identifier: MIT
//
// The states of a worker are drawn in core/worker.h. The pool's phases: idle -start-> running
// -stop, kill, limit or failure-> stopping -> done; it is done when nothing is busy any more.
//
// One step handles one input. What it decided is then popped: signals (all of them before the
// next step), workers to start, events, the next deadline, the result.
#pragma once

#include <span>

#include "base/ring.h"
#include "core/boot_limit.h"
#include "core/deadlines.h"
#include "core/exit_policy.h"
#include "core/input.h"
#include "core/reporter.h"
#include "core/rollout.h"
#include "core/settings.h"
#include "core/slot_table.h"
#include "core/snapshot.h"
#include "core/start_queue.h"

namespace prefork::core {

struct Signal {
    uint32_t worker;
    int32_t number;     // 0: none
    uint32_t passed_on; // others that come before it: a bit for each number
    bool asks_to_stop;
    bool resumes;  // SIGCONT follows: one that is stopped acts on nothing but SIGKILL
    bool reported; // by an event of the same step, which is wrong if it cannot be sent
};

class Supervisor {
  public:
    // Takes all the memory that is needed for the workers of the settings; returns false if there
    // is none.
    [[nodiscard]] bool open(const Settings &settings);

    // Takes the memory for more slots, before an input to resize, or for more spares, before an
    // input to set them. Less than before changes nothing.
    [[nodiscard]] bool reserve(uint32_t slots, uint32_t spares);

    void step(const Input &input, Instant now);

    // For a supervisor whose program is replaced: what there is, without starts under way, ...
    [[nodiscard]] PoolSnapshot snapshot() const;
    [[nodiscard]] SlotSnapshot snapshot(uint32_t slot) const;
    [[nodiscard]] WorkerSnapshot worker_snapshot(uint32_t id) const; // of a spare, too
    // ... and in the new program, instead of the input to start: goes on with it. There is memory
    // for all slots and spares. The spares are stopped: they run the old program.
    void adopt(const PoolSnapshot &pool, std::span<const SlotSnapshot> slots,
               std::span<const WorkerSnapshot> spares, Instant now);
    // Stops a worker of a pool that the new program does not have, as one beyond the pool's slots.
    void absorb(uint32_t id, int32_t pid, Instant now);

    // What the last steps decided.
    bool pop_signal(Signal *ret_signal);
    [[nodiscard]] size_t startable() const;
    uint32_t pop_start();
    // A worker that is to be started, and the spare that becomes it. Comes before other starts; the
    // host answers with an input. Returns false if there is none.
    bool pop_takeover(uint32_t *ret_worker, uint32_t *ret_spare);
    [[nodiscard]] bool has_takeover() const {
        return slot_table_.spares_waiting() > 0 && !start_queue_.empty();
    }
    void request_start(Instant now); // instead of popping it: an event requests the host's fork
    // Pops a worker whose heartbeat is due. The host answers with its count as an input.
    bool pop_heartbeat_check(uint32_t *ret_worker);
    bool pop_event(Event *ret_event) { return reporter_.pop(ret_event); }
    [[nodiscard]] bool has_event() const { return reporter_.has_event(); }
    [[nodiscard]] Instant next_deadline() const;

    // The end: 0, or the negative code that the pool failed with.
    [[nodiscard]] bool running() const { return phase_ == Phase::running; }
    [[nodiscard]] bool done() const { return phase_ == Phase::done; }
    [[nodiscard]] int32_t result() const { return result_; }
    [[nodiscard]] int32_t stop_signal() const { return stop_signal_; }

    // Counts everything again and compares. For tests, after each step: it visits every slot.
    [[nodiscard]] bool audit() const;

    // An invariant was broken: the state of this object is not valid any more.
    [[nodiscard]] bool broken() const { return broken_; }

    // Whether a slot's worker is being replaced already.
    [[nodiscard]] bool is_being_replaced(uint32_t slot) const;
    // Whether the host has stopped the slot's worker and not started another one.
    [[nodiscard]] bool is_stopped(uint32_t slot) const { return slot_table_[slot].stopped; }

    // Reloads that have begun, and whether the last one has not ended.
    [[nodiscard]] uint32_t reloads() const { return rollout_.reloads(); }
    [[nodiscard]] bool reloading() const { return rollout_.reloading(); }

    // The worker of a slot whose request to fork the host has popped; no_worker: none.
    [[nodiscard]] uint32_t pending_fork(uint32_t slot) const {
        return slot_table_.find(slot, State::starting);
    }
    // The same for a spare.
    [[nodiscard]] uint32_t pending_spare_fork() const {
        return slot_table_.find_spare(State::starting);
    }
    [[nodiscard]] uint32_t requested_spare() const {
        return slot_table_.find_spare(State::requested);
    }
    [[nodiscard]] bool has_starts_under_way() const {
        return slot_table_.under_way() > 0 || slot_table_.spares_under_way() > 0;
    }

    [[nodiscard]] uint32_t slots() const { return slot_table_.slots(); }
    [[nodiscard]] uint32_t alive() const { return slot_table_.alive(); }
    [[nodiscard]] uint32_t ready() const { return slot_table_.ready(); }
    // Whether each slot's worker is ready, or has finished already; or no other is to be expected,
    // for the rest was given up.
    [[nodiscard]] bool all_ready() const {
        return ready() + slot_table_.done() + slot_table_.stopped() >= slot_table_.slots() ||
               (ready() > 0 && ready() == slot_table_.busy());
    }
    [[nodiscard]] uint32_t current(uint32_t slot) const { return slot_table_.current(slot); }
    [[nodiscard]] const Worker &worker(uint32_t worker) const { return slot_table_.worker(worker); }
    [[nodiscard]] uint64_t counter(Counter which) const {
        switch (which) {
        case Counter::ready:
            return ready();
        case Counter::alive:
            return alive();
        case Counter::spares:
            return slot_table_.spares_alive();
        default:
            return reporter_.counter(which);
        }
    }
    [[nodiscard]] int32_t restarts() const { return policy_.counted(); }
    [[nodiscard]] int32_t restarts(uint32_t slot) const { return slot_table_[slot].restarts; }
    // Workers that there is memory for.
    [[nodiscard]] uint32_t capacity() const { return slot_table_.capacity(); }
    [[nodiscard]] uint32_t spare_places() const { return slot_table_.spare_places(); }

  private:
    enum class Phase : uint8_t { idle, running, stopping, done };

    // The pool's inputs: supervisor.cc.
    void apply(const Input &input, Instant now);
    void start(Instant now);
    void stop(const Input &input, Instant now);
    void kill(Instant now);
    void resize(uint32_t count, Instant now);
    void stop_worker(uint32_t slot, Instant now);
    void leave_slot(uint32_t slot, Reason reason, Instant now);
    [[nodiscard]] bool is_wanted(uint32_t slot) const {
        return phase_ == Phase::running && slot < slot_table_.slots() && !slot_table_[slot].stopped;
    }
    void tick(Instant now);
    void fail_with(int32_t error, Instant now);
    void end_by_force(const Input &input, Instant now);
    void finish(Instant now);
    void step_broken(const Input &input, Instant now);
    void begin_stopping(Reason reason, Instant now);
    void ask_all_to_stop(Instant now);
    void kill_all(Instant now);
    void remove_cancelled_starts();
    void finish_if_nothing_is_busy(Instant now);

    // A worker's inputs: lifecycle.cc. Each comes only in the states that allow it.
    void apply_to_worker(const Input &input, Instant now);
    void started(const Input &input, Instant now);
    void begin_life(const Input &input, Instant now);
    void start_failed(const Input &input, Instant now);
    void start_cancelled(uint32_t worker);
    void ready(uint32_t worker, Instant now);
    void due(uint32_t worker, Instant now);

    void begin(uint32_t worker, Reason reason);
    void ask_to_stop(uint32_t worker, Reason reason, Instant now);
    void note_end_reason(uint32_t worker, Reason reason);
    void become_ready(uint32_t worker, Instant now);
    [[nodiscard]] bool is_replacement(uint32_t id) const { return slot_table_.is_replacement(id); }
    [[nodiscard]] bool has_replacement(uint32_t id) const {
        return slot_table_.has_replacement(id);
    }
    [[nodiscard]] State state_of(uint32_t id) const { return slot_table_.state_of(id); }
    Worker &instance(uint32_t id) { return slot_table_.worker(id); }
    void set_state(uint32_t worker, State state) { slot_table_.set_state(worker, state); }

    // Spares: spares.cc.
    [[nodiscard]] bool wants_spares() const;
    [[nodiscard]] bool can_start_spare() const;
    uint32_t pop_spare_start();
    void apply_to_spares(const Input &input, Instant now);
    void spare_started(const Input &input, Instant now);
    void spare_start_failed(const Input &input, Instant now);
    void taken_over(const Input &input, Instant now);
    void not_taken_over(const Input &input);
    void set_spares(uint32_t count, Instant now);
    void renew_spares(Reason reason, Instant now);
    void end_spares(Reason reason, Instant now);
    void end_spare(uint32_t spare, Reason reason, Instant now);
    void spare_exited(const Input &input, Instant now);
    Duration draw_spare_delay(Duration uptime);

    // Signals, and those that could not be sent: signals.cc.
    void send_kill(uint32_t worker, bool reported);
    void send(uint32_t worker, int32_t signal, bool reported);
    void pass_on(int32_t signal);
    void pass_on_pending(uint32_t worker);
    void signal_failed(const Input &input, Instant now);

    // Ends of workers: ends.cc.
    void exited(const Input &input, Instant now);
    void end_asked(uint32_t worker, Instant now);
    void end_replacement(const Input &input, Instant now);
    void end_current(const Input &input, Instant now);
    void end_replaced(const Input &input, Instant now);
    void decide_restart(const Input &input, Instant now);
    void end_for_good(uint32_t worker, bool fatal, Instant now);
    void report_exit(const Input &input, bool will_restart, Duration delay, Instant now);
    [[nodiscard]] ExitAction action_of(const Input &input) const;
    [[nodiscard]] bool ended_normally(const Input &input) const;

    // A program that cannot start: boot.cc.
    [[nodiscard]] bool has_booted(uint32_t id, Instant now) const;
    bool has_booted_worker(Instant now);
    bool is_last_boot(Instant now);
    void give_up_boot(Instant now);
    void end_last_boot(const Input &input, Instant now);

    // Starts by the host's own fork: host_fork.cc.
    void request_delivered(uint32_t slot, Instant now);
    void unanswered(uint32_t worker, Instant now);

    // Workers of another program of the same supervisor: adoption.cc.
    void restore(uint32_t number, const SlotSnapshot &saved);
    void continue_slot(uint32_t number, const SlotSnapshot &saved, Instant now);
    void continue_worker(uint32_t id, const WorkerSnapshot &saved, Instant now);
    void restore_worker(uint32_t id, const WorkerSnapshot &saved);

    // Signs of life: health.cc.
    void expect_ready(uint32_t worker, Instant since, Instant now);
    void expect_heartbeat(uint32_t worker, Instant now);
    void heartbeat(uint32_t worker, uint32_t beats, Instant now);
    void abort_working(uint32_t worker, Reason reason, Instant now);
    void retire(uint32_t worker, Instant now);
    void request_retirement(uint32_t worker, Instant now);
    void abort(uint32_t worker, Reason reason, Instant now);
    void renew_after_pause(Duration late, Instant now);

    // Replacements: replacements.cc.
    void reload();
    void replace(uint32_t slot, Instant now);
    void resume_slot(uint32_t slot, Instant now);
    void advance_replacements(Instant now);
    void begin_replacement(const Replacement &request, Instant now);
    void begin_anew(uint32_t slot, Reason reason);
    void finish_replacement(uint32_t number, bool good, int32_t error, Instant now);
    [[nodiscard]] bool can_begin_reload() const {
        return rollout_.can_begin_reload() && reporter_.has_room_for_extra();
    }
    void begin_reload(Instant now);
    void finish_reload(Instant now);
    bool promote_replacement(uint32_t worker, Instant now);
    void expire(uint32_t worker);

    bool expect(bool condition);

    Settings settings_;
    RestartPolicy policy_;
    BootLimit boot_;
    SlotTable slot_table_;
    Rollout rollout_{slot_table_};
    base::Ring<Signal> signals_;
    base::Ring<uint32_t> heartbeat_checks_;
    StartQueue start_queue_;
    Deadlines deadlines_;
    Reporter reporter_{slot_table_, policy_};
    Instant stop_signal_time_ = 0;
    Instant spare_retry_ = never; // when spares are started again
    Duration spare_delay_ = 0;    // the last delay of that
    uint32_t spares_wanted_ = 0;
    uint32_t booted_worker_ = 0; // the last one that was found, if it still is
    int32_t result_ = 0;
    int32_t stop_signal_ = 0;
    int32_t abandon_error_ = 0; // of the last SIGKILL to a worker that was given up
    Phase phase_ = Phase::idle;
    Reason stop_reason_ = Reason::none;
    bool killing_ = false; // also workers that are still being started
    bool some_worker_ran_ = false;
    bool some_slot_given_up_ = false;
    bool starts_cancelled_ = false; // the start queue holds workers that wait no more
    bool broken_ = false;
};

} // namespace prefork::core
