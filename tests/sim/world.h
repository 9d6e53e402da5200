// The world around a simulated pool: processes, a clock, a timer, and all that may go wrong.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/exit.h"
#include "base/time.h"
#include "base/worker_array.h"
#include "os/channel/worker_link.h"
#include "os/signals/pool_signals.h"

namespace sim {

using prefork::base::Duration;
using prefork::base::Exit;
using prefork::base::Instant;
using prefork::base::millisecond;
using prefork::base::never;
using prefork::base::second;

// When a worker says that it is ready.
enum class Readiness : uint8_t { at_once, later, count };

// What a worker has sent to the pool, which may not have read it yet.
struct Share {
    static constexpr uint32_t sent_max = 8;
    bool ready = false;
    bool hangs = false; // it says so itself
    bool retires = false;
    Instant begun = 0;     // as the slot's worker, if it was a spare
    uint32_t sent = 0;     // messages that are sent once by a correct one
    bool is_begun = false; // and its end is not known to the channel
};

// What a process does when it is asked to end.
enum class Temper : uint8_t { later, dies, exits, ignores };

struct Process {
    int32_t pid = 0;      // 0: there is none
    uint32_t task_id = 0; // or that of a spare
    uint32_t place = 0;   // in the list of the living or the ended
    bool ended = false;   // and not reaped yet
    bool doomed = false;  // killed, and about to end
    bool hung = false;    // it gives no sign of life
    bool said_ready = false;
    bool asked = false;     // to end
    bool condemned = false; // sent a signal that ends it for its silence
    bool announced = false; // with which code it exits
    bool noticed = false;   // its end has been
    bool traced = false;    // nobody can reap it
    bool held = false;      // its pidfd wakes nobody: it is looked at in time
    int pidfd = -1;         // that of the event loop
    Instant born = 0;
    Instant beaten = 0;     // its last sign of life
    Instant refused_at = 0; // when it could not be reaped
    Exit exit;

    // What its supervisor has told it.
    uint32_t life = 0; // 0: nothing yet
    uint32_t worker = 0;
    uint64_t token = 0;
    uint32_t down = 0; // the pipe of its stop descriptor; 0: none
    bool announces_exit = false;

    void introduce(const prefork::os::WorkerLink &link, uint32_t pipe) {
        life = link.instance.life;
        worker = link.instance.worker;
        token = link.token;
        down = pipe;
        announces_exit = link.announces_exit;
    }
};

// A value for each worker and spare, by its number.
template <typename Value>
class Seats {
  public:
    Value &operator[](uint32_t id) {
        return prefork::base::is_spare(id) ? spares[id - prefork::base::first_spare] : workers[id];
    }
    const Value &operator[](uint32_t id) const { return const_cast<Seats &>(*this)[id]; }
    [[nodiscard]] bool has(uint32_t id) const {
        return prefork::base::is_spare(id) ? id - prefork::base::first_spare < spares.size()
                                           : id < workers.size();
    }
    void clear() {
        workers.clear();
        spares.clear();
    }
    void grow(size_t of_workers, size_t of_spares) {
        workers.resize(std::max(workers.size(), of_workers));
        spares.resize(std::max(spares.size(), of_spares));
    }

    std::vector<Value> workers;
    std::vector<Value> spares;
};

// Some calls succeed, then so many fail.
struct Trouble {
    int32_t error = 0;
    uint32_t count = 0;
    uint32_t first = 0; // that succeed

    int32_t next() {
        if (count == 0) {
            return 0;
        }
        if (first > 0) {
            first -= 1;
            return 0;
        }
        count -= 1;
        return error;
    }
};

struct World {
    // As the real system calls would see it.
    Instant clock = 0;
    Instant real_time = 0; // steps; nobody may look at it
    Instant timer = never;
    bool woken = false;
    bool by_pidfd = true;   // ends are seen by pidfds, else by SIGCHLD
    bool opening = false;   // the event loop
    bool adding = false;    // a worker is about to be watched
    bool waiting = false;   // the event loop does
    int wakeup = -1;        // what a handler of signals writes to
    bool open = false;      // the pool's descriptors are
    bool disowned = false;  // by the copy of the pool in another process
    bool upgrading = false; // the new program adopts its workers
    bool in_child = false;  // this process did not open the pool
    bool retired = false;   // it watches nothing any more
    bool unflushed = true;  // the host may have written to stdio
    int task_id = -1;
    uint32_t signals_blocked = 0;
    Seats<Process> instances;
    std::vector<uint32_t> seats; // of workers, by pid
    std::vector<uint32_t> living;
    std::vector<uint32_t> ended;
    std::vector<Process> newborn; // forked and not watched
    Seats<Share> shares;
    std::vector<int32_t> hang_reports; // that came as those of services do, and are not read yet
    // Above those of the kernel, one of which is that of this process.
    static constexpr int32_t first_pid = 5'000'000;
    int32_t next_pid = first_pid;
    int32_t own_pid = 50;
    bool reaping = true; // nothing is checked any more: the rest is only cleared away

    int32_t admitted = 0; // the last child that was admitted

    // Signals for the supervisor itself.
    prefork::os::SignalSet signals_claimed = prefork::os::SignalSet::none;
    bool signals_held = false;
    uint32_t own_signals = 0; // a bit for each that has come

    // What goes wrong, or is out of the ordinary.
    Temper temper = Temper::dies;
    Readiness readiness = Readiness::at_once;
    bool all_beat = true;       // who is not hung has beaten whenever somebody looks
    bool messages_late = false; // they are not noticed by themselves
    bool slow_to_die = false;   // SIGKILL takes its time
    bool dies_of_others = false;
    bool status_unknown = false;
    uint64_t oom_kills = 0; // by the kernel, in the supervisor's control group
    uint64_t oom_seen = 0;
    bool host_signals = false;  // it sends a signal by itself
    bool announces = false;     // who exits says before with which code
    uint32_t kills_refused = 0; // how many of the next
    bool closed = false;        // what the event loop has open, by the host
    int32_t wait_error = 0;     // of the next wait
    int32_t timer_error = 0;    // when the timer is set next
    bool timer_failed = false;  // so the next wait fails
    bool timer_refused = false; // in the call under way
    int32_t expected_error = 0; // with this
    int32_t failure = 0;        // of the last one: the pool has not acted on it yet
    bool may_vanish = false;
    uint32_t held_back = 0; // which ends are noticed late
    uint32_t order = 0;     // of those that are noticed
    uint32_t spurious = 0;  // how many are noticed for nothing
    Duration fork_cost = 0;
    Trouble fork_trouble;
    Trouble watch_trouble;
    Trouble room_trouble;
    Trouble barrier_trouble;
    Trouble takeover_trouble; // spares that do not listen
    Trouble pipe_trouble;
    Trouble open_trouble; // of the event loop
    uint32_t room = UINT32_MAX;
    size_t promised = 0; // descriptors, to the starts under way
    uint32_t descriptors_each = 1;
    bool spare = false; // the library has its spare descriptor
    int spare_number = -1;
    bool has_free_number = false; // that was the spare descriptor's
    bool retrying = false;        // a start by exec, with that one given up
    bool keeps_statuses = false;
    uint32_t newborn_ends = 0; // the next so many workers end at once
    Exit newborn_exit;

    // Memory: only where it is allowed, and only so often.
    bool may_allocate = false;
    uint32_t allocations_left = UINT32_MAX;
    bool allocation_failed = false;

    // The wait under way.
    bool interrupted = false;
    uint32_t waits_left = 0; // then each is interrupted
    uint32_t calls = 0;      // since the operation began

    // The signal that is being sent.
    uint32_t sent_to = 0;
    bool sent_asks = false;

    // To be compared at the end.
    uint64_t processes = 0;
    uint64_t reaped = 0;

    void begin();
    // Counts a call of the library, to find out when it does not come to an end.
    void called();
    void make_seats(uint32_t workers, uint32_t spares);
    void move(uint32_t from, uint32_t worker);
    [[nodiscard]] bool is_noticed(const Process &process) const {
        return held_back == 0 || static_cast<uint32_t>(process.pid) % 3 != held_back - 1;
    }
    [[nodiscard]] bool has_announced() const;
    [[nodiscard]] bool readable() const;
    [[nodiscard]] bool has_message() const;
    void begin_life(uint32_t worker) { shares[worker] = Share{}; }
    // The supervisor has told a child of the host that it is this worker.
    void introduce(uint32_t worker, const prefork::os::WorkerLink &link, uint32_t pipe);
    void say_ready(uint32_t worker);
    void flood(uint32_t worker, uint32_t number);
    void report_hang(uint32_t worker);
    void retire(uint32_t worker);
    void beat(uint32_t worker);
    void beat_all();

    void settle_in(uint32_t worker, const Process &process, Instant since);
    void end(uint32_t worker, const Exit &exit);
    void reap(uint32_t worker, Exit *ret_exit);
    // A signal has come, or is no longer held back.
    void note_child_signal();
    // A tracer begins to hold a process, or all are let go of.
    void trace(uint32_t which, bool begins);
    void release_traced();
    // Errors, or 0, of what is done to watch a worker.
    int32_t trouble_of_pidfd();
    int32_t trouble_of_watching();
    void free_spare(int descriptor);
    void deliver(uint32_t worker, int32_t signal);
    void handle_signal(uint32_t worker, int32_t signal);

  private:
    void remove(std::vector<uint32_t> &list, uint32_t worker);
    void note_seat(uint32_t worker);
};

// The worker that has this process; UINT32_MAX: none.
uint32_t find_worker(int32_t pid);
Exit exit_with(int32_t status);
// What nobody else knows is what the worker has announced.
Exit with_announced(uint32_t worker, const Exit &exit);
Exit killed_by(int32_t signal, bool core_dumped = false);

extern World world;

// The library does something; a copy of the pool in another process must not.
void touch(const char *what);

} // namespace sim
