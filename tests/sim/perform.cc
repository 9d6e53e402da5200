// What each operation of a history does.
//
// SPDX-License-Identifier: MIT
#include <cerrno>

#include "channel.h"
#include "host.h"
#include "manager.h"
#include "model.h"
#include "violation.h"
#include "witness.h"

namespace sim {

namespace {

template <typename Value, uint32_t count>
Value pick(const Value (&values)[count], uint32_t choice) {
    return values[choice % count];
}

constexpr int timeouts_ms[] = {0, 0, 0, 1, 10, 1000, 60'000, -1};

constexpr int32_t start_errors[] = {-EAGAIN, -ENOMEM, -EAGAIN, -EMFILE,
                                    -ENFILE, -EPERM,  -ENOSYS, 0};

Trouble trouble_of(uint32_t error, uint32_t count) {
    return Trouble{pick(start_errors, error), error % 8 == 7 ? 0 : 1 + count, error / 8 % 4};
}

} // namespace

Exit exit_of(uint32_t choice) {
    constexpr int32_t statuses[] = {0, 1, 0, 1, 2, 3, 255, 0};
    return exit_with(pick(statuses, choice));
}

void Host::perform(const Operation &operation) {
    world.calls = 0;
    world.may_allocate = false;
    world.unflushed = true;
    switch (operation.kind) {
    case Kind::dispatch:
    case Kind::run:
    case Kind::pop:
    case Kind::pop_all:
    case Kind::stop:
    case Kind::kill:
    case Kind::resize:
    case Kind::restart:
    case Kind::stop_worker:
    case Kind::signal:
    case Kind::signal_all:
    case Kind::in_callback:
    case Kind::enter_worker:
    case Kind::reload:
    case Kind::wake:
    case Kind::answer:
    case Kind::set_spares:
        perform_on_pool(operation);
        break;
    case Kind::upgrade:
        upgrade(operation.a, operation.b);
        break;
    case Kind::exit:
    case Kind::die:
    case Kind::storm:
    case Kind::pass:
    case Kind::deadline:
    case Kind::pause:
    case Kind::clock_step:
    case Kind::own_signal:
    case Kind::temper:
    case Kind::doom:
    case Kind::notice:
    case Kind::unknown_status:
    case Kind::refuse:
    case Kind::trace:
        perform_on_world(operation);
        break;
    case Kind::ready:
    case Kind::readiness:
    case Kind::beat:
    case Kind::hang:
    case Kind::freeze:
    case Kind::retire:
    case Kind::noise:
        perform_on_health(operation);
        break;
    case Kind::fork_trouble:
    case Kind::watch_trouble:
    case Kind::room_trouble:
    case Kind::barrier:
    case Kind::newborn:
    case Kind::no_memory:
    case Kind::refuse_wait:
    case Kind::close_descriptors:
    case Kind::fork_cost:
    case Kind::manager_trouble:
    case Kind::takeover_trouble:
    case Kind::pipe_trouble:
        perform_trouble(operation);
        break;
    case Kind::count:
        break;
    }
}

void Host::plan_happening(const Operation &operation) {
    if (operation.b % 4 == 0) {
        const uint32_t count = static_cast<uint32_t>(Happening::count);
        happening_ = static_cast<Happening>(operation.b / 4 % count);
        // Few stops, or no history would be long.
        if ((happening_ == Happening::stop || happening_ == Happening::kill) &&
            operation.c % 64 != 0) {
            happening_ = Happening::exit;
        }
    }
    happening_number_ = operation.c;
}

void Host::perform_on_pool(const Operation &operation) {
    switch (operation.kind) {
    case Kind::dispatch:
        plan_happening(operation);
        dispatch(pick(timeouts_ms, operation.a));
        break;
    case Kind::run:
        run(operation.a % 8);
        break;
    case Kind::pop:
        for (uint32_t count = 1 + operation.a % 8; count > 0 && !callback_; count--) {
            pop();
        }
        break;
    case Kind::pop_all:
        while (!callback_ && pop()) {
        }
        break;
    case Kind::in_callback:
        planned_ = operation;
        planned_in_ = 1 + operation.a % 8;
        break;
    case Kind::enter_worker:
        enter_worker_ = true;
        break;
    case Kind::stop:
        request_stop();
        break;
    case Kind::kill:
        request_kill();
        break;
    case Kind::reload:
        for (uint32_t count = operation.a % 4 == 0 ? 2 : 1; count > 0; count--) {
            request_reload();
        }
        break;
    case Kind::wake:
        wake();
        break;
    case Kind::resize:
        resize(operation.a, operation.b);
        break;
    case Kind::set_spares:
        change_spares(operation.a % 4, operation.b);
        break;
    case Kind::restart:
        for (uint32_t count = operation.b % 4 == 0 ? 3 : 1; count > 0; count--) {
            restart(operation.a * count);
        }
        break;
    case Kind::stop_worker:
        stop_worker(operation.a);
        if (operation.b % 4 == 0) {
            restart(operation.a);
        }
        break;
    case Kind::signal:
        signal(operation.a, operation.b);
        break;
    case Kind::signal_all:
        signal_all(operation.a);
        break;
    case Kind::answer:
        answer(model.pending_fork(operation.a), operation.b);
        break;
    default:
        break;
    }
}

void Host::perform_on_world(const Operation &operation) {
    switch (operation.kind) {
    case Kind::exit:
        end_process(operation.a, exit_of(operation.b));
        break;
    case Kind::die: {
        constexpr int32_t numbers[] = {11, 6, 9, 15};
        world.oom_kills += operation.b / 4 % 4 == 0 ? 1 : 0;
        end_process(operation.a, killed_by(pick(numbers, operation.b), operation.c % 2 == 1));
        break;
    }
    case Kind::storm:
        storm(operation.a, operation.b);
        break;
    case Kind::pass: {
        constexpr Duration most[] = {1, 2, millisecond, 20 * millisecond, second, 4 * second};
        world.clock += uint64_t{operation.b} * 256 % pick(most, operation.a);
        break;
    }
    case Kind::deadline:
        // Just before it, at it, or just after it.
        if (world.timer != never && world.timer > world.clock) {
            world.clock = world.timer - (operation.a % 4 == 0 ? 1 : 0) +
                          (operation.a % 4 == 1 ? operation.b : 0);
        }
        break;
    case Kind::pause:
        world.clock += second * (1 + operation.a % 100'000);
        break;
    case Kind::clock_step:
        world.real_time += operation.a % 2 == 0 ? operation.b * second : 0 - operation.b * second;
        break;
    case Kind::own_signal:
        raise_any(operation.a);
        break;
    case Kind::temper:
        world.temper = static_cast<Temper>(operation.a % 4);
        world.slow_to_die = operation.b % 4 == 0;
        world.dies_of_others = operation.c % 4 == 0;
        break;
    case Kind::doom:
        for (size_t index = world.living.size(); index > 0; index--) {
            const uint32_t worker = world.living[index - 1];
            if (world.instances[worker].doomed) {
                world.end(worker, killed_by(9));
            }
        }
        break;
    case Kind::notice:
        world.held_back = operation.a % 8 < 4 ? 0 : operation.a % 4;
        world.order = operation.b % 64;
        world.spurious = operation.c % 4;
        world.note_child_signal();
        break;
    case Kind::unknown_status:
        world.status_unknown = operation.a % 3 == 0;
        world.announces = operation.b % 3 == 0;
        break;
    case Kind::trace:
        world.trace(operation.a, operation.b % 2 == 0);
        break;
    case Kind::refuse:
        world.kills_refused = operation.a % 4 == 0 ? 0 : operation.b % 12;
        break;
    default:
        break;
    }
}

// Few that stop the pool.
void Host::raise_any(uint32_t which) {
    if (which % 16 < 2) {
        raise_own(which);
    } else if (which % 16 < 6 && world.signals_claimed == prefork::os::SignalSet::standard) {
        raise_own(3);
    } else {
        raise_own(4 + which % 4);
    }
}

void Host::perform_trouble(const Operation &operation) {
    const uint32_t a = operation.a;
    const uint32_t b = operation.b;
    const uint32_t c = operation.c;
    switch (operation.kind) {
    case Kind::fork_trouble:
        world.fork_trouble = trouble_of(a, b % (c % 4 == 0 ? 60 : 3));
        break;
    case Kind::watch_trouble:
        world.watch_trouble = trouble_of(a, b % (c % 4 == 0 ? 20 : 3));
        break;
    case Kind::room_trouble:
        world.room = a % 2 == 0 ? UINT32_MAX : 1 + a / 2 % 4;
        world.room_trouble = trouble_of(b, c % 4);
        break;
    case Kind::barrier:
        world.may_vanish = a % 2 == 0;
        world.barrier_trouble = trouble_of(b, c % 4);
        break;
    case Kind::newborn:
        world.newborn_ends = 1 + (a % 8 == 0 ? b % 40 : b % 4);
        world.newborn_exit = c % 4 == 0 ? killed_by(11) : exit_of(c);
        break;
    case Kind::no_memory:
        world.allocations_left = a % 16;
        break;
    case Kind::pipe_trouble:
        channel.interrupt_reads(c % 8 == 0 ? 1 + c / 8 % 3 : 0);
        world.pipe_trouble = trouble_of(a, b % 3);
        break;
    case Kind::manager_trouble: {
        constexpr int errors[] = {EAGAIN, ENOBUFS, ECONNREFUSED, 0, ENOMEM, EINTR, EAGAIN, EAGAIN};
        manager.set_trouble(Trouble{errors[a % 8], 1 + b % 6});
        break;
    }
    case Kind::takeover_trouble:
        world.takeover_trouble = Trouble{-EPIPE, a % 4, b % 4};
        break;
    case Kind::fork_cost:
        world.fork_cost = a % 2 == 0 ? 0 : Duration{b} % (5 * millisecond);
        break;
    case Kind::refuse_wait:
        // A fork that the host has not answered for keeps its pool from the end.
        if (host_fork_ == 0) {
            (b % 2 == 0 ? world.wait_error : world.timer_error) = a % 2 == 0 ? -ENOMEM : -EPERM;
        }
        break;
    case Kind::close_descriptors:
        close_descriptors(a % 2 == 0, a % 4 < 2);
        dispatch(pick(timeouts_ms, b));
        break;
    default:
        break;
    }
}

// ---- Signs of life --------------------------------------------------------------------------

void Host::perform_on_health(const Operation &operation) {
    const uint32_t a = operation.a;
    const uint32_t b = operation.b;
    const size_t count = world.living.size();
    // One worker, or all of them.
    const size_t first = count == 0 || b % 4 == 0 ? 0 : a % count;
    const size_t end = count == 0 || b % 4 == 0 ? count : first + 1;
    switch (operation.kind) {
    case Kind::ready:
        for (size_t index = first; index < end; index++) {
            if (operation.c % 32 == 0) {
                witness.wants_retirement(); // it may be one of its messages
                world.flood(world.living[index], operation.c / 32);
            } else if (operation.c % 32 == 1) {
                world.report_hang(world.living[index]);
            } else {
                world.say_ready(world.living[index]);
            }
        }
        break;
    case Kind::beat:
        for (size_t index = first; index < end; index++) {
            world.beat(world.living[index]);
        }
        break;
    case Kind::hang:
        for (size_t index = first; index < end; index++) {
            world.instances[world.living[index]].hung = operation.c % 2 == 0;
        }
        break;
    case Kind::readiness:
        world.readiness = a % 2 == 0 ? Readiness::at_once : Readiness::later;
        world.all_beat = b % 4 != 0;
        world.messages_late = operation.c % 4 == 0;
        break;
    case Kind::noise:
        channel.make_noise(a, b, operation.c);
        break;
    case Kind::freeze:
        freeze(a, b);
        break;
    case Kind::retire:
        for (size_t index = first; index < end; index++) {
            witness.wants_retirement();
            world.retire(world.living[index]);
        }
        break;
    default:
        break;
    }
}

// ---- Processes ------------------------------------------------------------------------------

void Host::end_process(uint32_t which, const Exit &exit) {
    if (!world.living.empty()) {
        world.end(world.living[which % world.living.size()], exit);
    }
}

void Host::storm(uint32_t count, uint32_t how) {
    for (uint32_t left = 1 + count % 16; left > 0; left--) {
        end_process(how + left * 7, how % 2 == 0 ? killed_by(11) : exit_of(how / 2));
    }
}

} // namespace sim
