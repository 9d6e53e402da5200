// SPDX-License-Identifier: MIT
#include "host.h"

#include <cerrno>
#include <new>
#include <utility>

#include "channel.h"
#include "epoll.h"
#include "manager.h"
#include "model.h"
#include "pipes.h"
#include "violation.h"
#include "witness.h"

namespace sim {

namespace runtime = prefork::runtime;
namespace os = prefork::os;
using prefork::core::EventType;
using prefork::runtime::Pool;
using Request = os::SignalRequest;

Host host;

namespace {

alignas(Pool) unsigned char pool_memory[sizeof(Pool)];

struct OwnSignal {
    int number;
    bool in_stops;
    bool in_standard;
    Request::Kind kind; // of the standard set
};

// As prefork.h has them.
constexpr OwnSignal own_signals[] = {
    {15, true, true, Request::Kind::stop},      {2, true, true, Request::Kind::quick_stop},
    {3, true, true, Request::Kind::quick_stop}, {1, true, true, Request::Kind::reload},
    {21, false, true, Request::Kind::grow},     {22, false, true, Request::Kind::shrink},
    {10, false, true, Request::Kind::pass_on},  {12, false, true, Request::Kind::pass_on},
};
constexpr uint32_t allocations_max = 14; // that may fail in open
constexpr uint32_t no_pipe = 15;         // else a call of the event loop fails
constexpr uint32_t own_signal_count = sizeof(own_signals) / sizeof(own_signals[0]);

} // namespace

void Host::clear() {
    world.reaping = true;
    if (pool_ != nullptr) {
        std::exchange(pool_, nullptr)->~Pool();
    }
    *this = Host{};
}

void Host::play(const History &history) {
    clear();
    callback_ = history.get(Choice::callback) != 0;
    host_fork_ = history.get(Choice::host_fork);
    executes_ = history.get(Choice::exec) != 0;
    if (!open(history)) {
        return;
    }
    for (const Operation &operation : history.operations) {
        if (left_ || (model.done() && !model.has_events())) {
            break;
        }
        if (tracing) {
            print(operation);
        }
        outcome_.operations += 1;
        perform(operation);
        check();
    }
    if (!left_) {
        end(static_cast<uint32_t>(history.get(Choice::ending)));
    }
    if (world.in_child && !world.disowned) {
        pool_->disown(); // as a worker does that frees its copy
    }
    std::exchange(pool_, nullptr)->~Pool(); // in which a check can fail, too
    require(world.in_child || (world.living.empty() && world.ended.empty()), "left-alive",
            "workers outlive their pool");
    require(world.in_child || world.reaped == world.processes, "reaped-once",
            "not as many processes reaped as forked");
    require(world.in_child || pipes.open_count() + epoll.open_count() == 0, "descriptors",
            "some outlive their pool");
    outcome_.processes += world.processes;
}

// Returns false if there was no memory or no descriptor, which must have had no other effect.
bool Host::open(const History &history) {
    runtime::PoolOptions options = options_of(history);
    options.dispatched = !callback_;
    if (callback_) {
        options.on_event = on_event;
        options.event_user = this;
    }
    world.begin();
    epoll.begin();
    world.keeps_statuses = history.get(Choice::statuses) != 0;
    manager.begin(static_cast<Manager::Mode>(history.get(Choice::manager)));
    witness.begin(options.settings);
    model.begin(options.settings, !callback_, options.backend == os::Backend::pidfd,
                options.host_fork);
    const auto fails = static_cast<uint32_t>(history.get(Choice::open_fails));
    const bool has_none = fails > allocations_max; // descriptors
    if (fails == no_pipe) {
        world.pipe_trouble = Trouble{-EMFILE, 1};
    } else if (has_none) {
        world.open_trouble = Trouble{-EMFILE, 1, fails - no_pipe - 1};
    }
    world.may_allocate = true;
    world.allocations_left = fails > 0 && !has_none ? fails - 1 : UINT32_MAX;
    pool_ = new (pool_memory) Pool();
    const int result = pool_->open(options);
    world.may_allocate = false;
    world.allocations_left = UINT32_MAX;
    const bool is_refused = has_none && world.open_trouble.count == 0;
    if (world.allocation_failed || is_refused) {
        require(result == (is_refused ? -EMFILE : -ENOMEM), "open",
                "it succeeds without memory or descriptors");
        require(world.processes == 0, "open", "a pool that was not opened has forked");
        std::exchange(pool_, nullptr)->~Pool();
        require(pipes.open_count() + epoll.open_count() == 0, "descriptors",
                "some outlive their pool");
        return false;
    }
    world.open_trouble = Trouble{}; // there were fewer calls
    require(result == 0, "open", "it fails");
    options_ = options;
    model.open();
    check();
    return true;
}

void Host::check() {
    if (left_) {
        return;
    }
    channel.check_descriptors();
    require(pool_->supervisor().audit(), "audit", "the counts are not those of the slots");
    model.check_counts(pool_->supervisor());
    model.check_armed();
    if (outcome_.operations % 16 == 0) {
        model.check_slots(pool_->supervisor());
    }
}

// ---- Events ---------------------------------------------------------------------------------

void Host::on_event(const pf_event *event, void *user) {
    Host &self = *static_cast<Host *>(user);
    world.unflushed = true;
    require(world.signals_blocked == 0, "signal-mask", "a callback with signals held back");
    self.see(*event);
    if (self.planned_in_ > 0) {
        self.planned_in_ -= 1;
        if (self.planned_in_ == 0) {
            self.act_in_callback();
        }
    }
    // Where signals are not blocked after each batch of callbacks, its end is seen here.
    if (self.running_ && !world.in_child && world.keeps_statuses && !model.has_events()) {
        model.handle_requests();
    }
}

void Host::see(const pf_event &event) {
    const prefork::core::Event &value = event.value;
    const char *message = prefork::runtime::message_of(event);
    SIM_TRACE("event: %s", message);
    model.told(value);
    outcome_.events += 1;
    require(message[0] != '\0', "event-message", "there is none");
    witness.told(value);
    done_seen_ = value.type == EventType::done;
}

// ---- The wait -------------------------------------------------------------------------------

bool Host::block(int timeout_ms) {
    world.interrupted = false;
    if (world.waits_left == 0) {
        end_run();
    } else {
        world.waits_left -= 1;
    }
    const bool blocks = !world.readable() && timeout_ms != 0;
    const Happening happening = happening_;
    happening_ = Happening::nothing;
    if (happening == Happening::interrupt) {
        world.interrupted = true;
    } else if (blocks && happening == Happening::stop) {
        world.interrupted = true;
        request_stop();
    } else if (blocks && happening == Happening::kill) {
        world.interrupted = true;
        request_kill();
    } else if (blocks && happening == Happening::exit) {
        end_process(happening_number_, exit_of(happening_number_ / 16));
    } else if (blocks && happening == Happening::own_signal) {
        world.interrupted = true;
        raise_own(happening_number_);
    } else if (blocks && happening == Happening::wake) {
        wake();
    }
    if (world.readable()) {
        return true;
    }
    if (!world.interrupted && timeout_ms != 0) {
        const Duration longest = static_cast<Duration>(timeout_ms) * millisecond;
        const Instant timeout = timeout_ms < 0 ? never : world.clock + longest;
        const Instant until = epoll.timer() < timeout ? epoll.timer() : timeout;
        if (until == never) {
            world.interrupted = true; // by something of the host's, or for ever
        } else {
            world.clock = until;
        }
    }
    return !world.interrupted;
}

// A run goes on after interruptions and wake-ups: only its pool's end ends it.
void Host::end_run() {
    require(running_, "wait", "a dispatch waits more than once");
    if (model.can_change()) {
        request_kill();
    } else if (world.timer == never || world.timer == manager.deadline() ||
               world.timer == channel.deadline()) {
        while (!world.living.empty()) {
            world.end(world.living.back(), exit_with(0));
        }
    }
    world.held_back = 0; // all is noticed now
    world.order = 0;
    world.release_traced();
}

bool Host::next_own_signal(Request *ret_request) {
    for (uint32_t index = 0; world.own_signals != 0 && index < own_signal_count; index++) {
        if ((world.own_signals & (1U << index)) == 0) {
            continue;
        }
        world.own_signals &= ~(1U << index);
        const bool only_stops = world.signals_claimed == os::SignalSet::stops;
        ret_request->kind = only_stops ? Request::Kind::stop : own_signals[index].kind;
        ret_request->number = own_signals[index].number;
        world.may_allocate = world.may_allocate || ret_request->kind == Request::Kind::grow;
        SIM_TRACE("signal %d is obeyed", ret_request->number);
        return true;
    }
    return false;
}

// A signal that the pool does not take is not the pool's affair.
void Host::raise_own(uint32_t which) {
    const uint32_t index = which % own_signal_count;
    const bool stops = world.signals_claimed == os::SignalSet::stops && own_signals[index].in_stops;
    const bool standard =
        world.signals_claimed == os::SignalSet::standard && own_signals[index].in_standard;
    if (world.signals_held && (stops || standard)) {
        SIM_TRACE("signal %d comes", own_signals[index].number);
        if (own_signals[index].kind == Request::Kind::reload && standard) {
            witness.wants_reload();
        }
        world.own_signals |= 1U << index;
        world.woken = true;
    }
}

// ---- The end --------------------------------------------------------------------------------

void Host::end(uint32_t way) {
    SIM_TRACE("the end: way %u", way);
    if (way == 0) {
        return; // freed while it runs
    }
    world.calls = 0;
    world.held_back = 0;
    world.slow_to_die = false;
    world.release_traced();
    for (size_t index = world.living.size(); index > 0; index--) {
        const uint32_t worker = world.living[index - 1];
        if (world.instances[worker].doomed) {
            world.end(worker, killed_by(9));
        }
    }
    constexpr Temper tempers[] = {Temper::dies, Temper::dies,    Temper::ignores, Temper::later,
                                  Temper::dies, Temper::ignores, Temper::exits,   Temper::dies};
    world.temper = tempers[way % 8];
    if (way == 3) {
        request_kill();
    } else if (way == 5 && world.signals_held && world.signals_claimed != os::SignalSet::none) {
        raise_own(0);
    } else {
        request_stop();
    }
    wait_for_end(way);
    if (!left_) {
        check_end();
    }
}

void Host::wait_for_end(uint32_t way) {
    const size_t rounds = 8 + (world.living.size() + world.ended.size()) / 16;
    for (size_t round = 0; round < rounds && !model.done(); round++) {
        dispatch(0);
        if (left_) {
            return;
        }
        check();
        if (way != 7) { // a host that takes none must not keep the pool from ending
            while (!callback_ && pop()) {
            }
        }
        if (way == 4 && round == 1) {
            request_stop();
            request_kill();
        }
        if (way == 5 && round == 1) {
            world.clock += 200 * millisecond;
            raise_own(0);
        }
        // Seen in time where workers are left, or a pause would give them more.
        if (!world.living.empty() && world.timer != never && world.timer > world.clock) {
            world.clock = world.timer;
        } else {
            world.clock += pool_->supervisor().done() ? 0 : 10 * second;
        }
        if (world.timer == never || round >= 3) {
            // Nobody asks them, or nobody will kill them: they end when they like.
            while (!world.living.empty()) {
                world.end(world.living.back(), exit_with(0));
            }
        }
    }
    require(model.done(), "termination", "a pool that was stopped does not end");
}

void Host::check_end() {
    dispatch(0); // once more has no effect
    if (left_) {
        return;
    }
    while (!callback_ && pop()) {
    }
    check();
    model.check_slots(pool_->supervisor());
    require(done_seen_, "done-last", "DONE is not told");
    require(world.living.size() + world.ended.size() == model.left(), "left-alive",
            "workers after the end");
    require(world.timer == never || world.timer_failed, "timer", "armed after the end");
    require(world.retired, "retire", "a pool that is done still watches");
    require(!world.signals_held, "own-signals", "not given back after the end");
    require(witness.ends_missing() == model.left() + model.unreported(), "told-once",
            "not as many ends as starts");
    require(pool_->finished(), "done", "it does not say that it has finished");
    outcome_.done = true;
}

} // namespace sim
