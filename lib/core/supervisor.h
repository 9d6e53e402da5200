// The supervisor's policy: a pure state machine. Time, pids and statuses come in as arguments,
// decisions go out as signals to send, workers to start and events to tell.
//
// SPDX-License-Identifier: MIT
//
// A worker's states:
//
//              start            taken              started
//     empty ----------> waiting -------> starting ----------> running
//       ^                | ^  ^             |                 |  |  | exited with status 0
//       |      stop      | |  |start_failed |                 |  |  +----------------> done
//       +----------------+ |  +-------------+                 |  |
//                          |       exited abnormally          |  | stop       exited
//                          +----------------------------------+  +-> stopping ------> done
//                                                                |      | time-out
//                                                           kill |      v      exited
//                                                                +-> killing -------> done
//
// A worker in state starting is out of the core's hands: its result comes as started or
// start_failed, also after a stop.
//
// The pool's phases: idle -start-> running -stop, kill, limit or failure-> stopping -> done; it
// is done when no worker is alive and none is to be started.
//
// One step takes one input. What it decided is left to be taken: signals (all of them before the
// next step), workers to start, events, the next deadline, the result.
#pragma once

#include "base/array.h"
#include "base/ring.h"
#include "core/deadlines.h"
#include "core/event_queue.h"
#include "core/input.h"
#include "core/settings.h"
#include "core/start_queue.h"

namespace prefork::core {

struct Signal {
    uint32_t worker;
    int32_t number;
};

class Supervisor {
  public:
    // Takes all the memory that it will ever need; returns false if there is none.
    [[nodiscard]] bool open(const Settings &settings);

    void step(const Input &input, Instant now);

    // What the last steps decided.
    bool take_signal(Signal *ret_signal);
    [[nodiscard]] size_t startable() const;
    uint32_t take_start();
    bool take_event(Event *ret_event);
    [[nodiscard]] Instant next_deadline() const;

    // The end: 0, or the negative code that the pool failed with.
    [[nodiscard]] bool done() const { return phase_ == Phase::done; }
    [[nodiscard]] int32_t result() const { return result_; }
    [[nodiscard]] int32_t stop_signal() const { return stop_signal_; }

    // An invariant was broken: nothing that this object says holds any more.
    [[nodiscard]] bool broken() const { return broken_; }

    [[nodiscard]] uint32_t slots() const { return settings_.workers; }
    [[nodiscard]] uint32_t alive() const { return alive_; }

  private:
    enum class Phase : uint8_t { idle, running, stopping, done };
    enum class State : uint8_t { empty, waiting, starting, running, stopping, killing, done };

    struct Worker {
        Instant started;
        int32_t pid;
        State state;
    };

    // The pool's inputs.
    void start(Instant now);
    void stop(int32_t signal, Instant now);
    void kill(Instant now);
    void tick(Instant now);
    void fail_with(int32_t error, Instant now);
    void begin_stopping(int32_t signal, Instant now);
    void ask_all_to_stop(Instant now);
    void kill_all();
    void finish_if_all_ended(Instant now);

    // A worker's inputs, each only in the states that allow it.
    void begin(uint32_t worker);
    void started(uint32_t worker, int32_t pid, Instant now);
    void start_failed(const Input &input, Instant now);
    void exited(const Input &input, Instant now);
    void ask_to_stop(uint32_t worker, Instant now);
    void send_kill(uint32_t worker);
    void stop_overdue(uint32_t worker, Instant now);

    bool may_restart();
    [[nodiscard]] bool is_alive(State state) const;
    void send(uint32_t worker, int32_t signal);
    void report_exit(const Input &input, bool asked, bool will_restart, Instant now);
    void report_start_failed(const Input &input, bool will_restart, Instant now);
    void report_pool(EventType type, Level level, int32_t error, Instant now);
    [[nodiscard]] Event event_of(EventType type, uint32_t worker, Instant now) const;
    bool expect(bool condition);

    Settings settings_;
    base::Array<Worker> workers_;
    base::Ring<Signal> signals_;
    StartQueue start_queue_;
    Deadlines deadlines_;
    EventQueue events_;
    Instant last_start_failed_ = never;
    Instant stop_signal_time_ = 0;
    uint32_t alive_ = 0;
    uint32_t open_slots_ = 0; // neither done nor empty
    int32_t restarts_ = 0;
    int32_t result_ = 0;
    int32_t stop_signal_ = 0;
    Phase phase_ = Phase::idle;
    bool some_worker_ran_ = false;
    bool broken_ = false;
};

} // namespace prefork::core
