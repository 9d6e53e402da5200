// SPDX-License-Identifier: MIT
#include "world.h"

#include <cerrno>
#include <csignal>
#include <utility>

#include "base/codes.h"
#include "channel.h"
#include "epoll.h"
#include "violation.h"

namespace sim {

namespace os = prefork::os;

World world;

Exit exit_with(int32_t status) {
    Exit exit;
    exit.kind = Exit::Kind::exited;
    exit.code = status;
    return exit;
}

Exit killed_by(int32_t signal, bool core_dumped) {
    Exit exit;
    exit.kind = Exit::Kind::signaled;
    exit.code = signal;
    exit.core_dumped = core_dumped;
    return exit;
}

Exit with_announced(uint32_t worker, const Exit &exit) {
    Exit known = exit;
    const int announced = channel.announced_exit(worker);
    if (exit.kind == Exit::Kind::unknown && announced >= 0) {
        known.kind = Exit::Kind::exited;
        known.code = announced;
    }
    return known;
}

void World::begin() {
    // The lists keep their memory, so that histories follow each other quickly.
    Seats<Process> old_seats = std::move(instances);
    std::vector<uint32_t> old_living = std::move(living);
    std::vector<uint32_t> old_ended = std::move(ended);
    std::vector<Process> old_newborn = std::move(newborn);
    Seats<Share> old_shares = std::move(shares);
    std::vector<uint32_t> old_seats_of = std::move(seats);
    *this = World{};
    instances = std::move(old_seats);
    living = std::move(old_living);
    ended = std::move(old_ended);
    newborn = std::move(old_newborn);
    shares = std::move(old_shares);
    seats = std::move(old_seats_of);
    seats.clear();
    instances.clear();
    living.clear();
    ended.clear();
    newborn.clear();
    hang_reports.clear();
    shares.clear();
    clock = 1000 * second;
    real_time = 1'000'000 * second;
    reaping = false;
}

void touch(const char *what) {
    world.called();
    if (!world.reaping) {
        require(!world.in_child, "detached-child-acts", what);
    }
}

void World::called() {
    constexpr uint32_t calls_max = 200'000;
    calls += 1;
    if (!reaping) {
        require(calls < calls_max, "ends", "one operation goes on without end");
    }
}

void World::make_seats(uint32_t workers, uint32_t spares) {
    instances.grow(workers, spares);
    shares.grow(workers, spares);
}

// A spare has got a slot, and is a worker like any other from here on.
void World::move(uint32_t from, uint32_t worker) {
    Process &process = instances[worker];
    process = instances[from];
    instances[from] = Process{};
    (process.ended ? ended : living)[process.place] = worker;
    note_seat(worker);
    process.task_id = worker / 2;
    process.born = shares[worker].begun;
    process.said_ready = false;
    if (readiness == Readiness::at_once && !process.ended) {
        say_ready(worker);
    }
}

// One that will be seen to have ended.
bool World::has_announced() const {
    for (const uint32_t worker : ended) {
        if (instances[worker].announced && is_noticed(instances[worker])) {
            return true;
        }
    }
    return false;
}

void World::remove(std::vector<uint32_t> &list, uint32_t worker) {
    const uint32_t place = instances[worker].place;
    list[place] = list.back();
    instances[list[place]].place = place;
    list.pop_back();
}

void World::settle_in(uint32_t worker, const Process &process, Instant since) {
    instances[worker] = process;
    instances[worker].born = since;
    std::vector<uint32_t> &list = process.ended ? ended : living;
    instances[worker].place = static_cast<uint32_t>(list.size());
    list.push_back(worker);
    note_seat(worker);
    if (process.ended) {
        note_child_signal();
    }
    const bool is_worker = !prefork::base::is_spare(worker);
    if (is_worker && readiness == Readiness::at_once && !process.ended) {
        say_ready(worker);
    }
}

// What is late is not noticed by itself. But who writes and then exits is not seen to have exited
// before what it has written is there.
bool World::has_message() const { return !messages_late && channel.is_readable(); }

void World::introduce(uint32_t worker, const os::WorkerLink &link, uint32_t pipe) {
    const bool is_spare = prefork::base::is_spare(worker);
    instances[worker].introduce(link, is_spare || channel.options().stop_descriptors ? pipe : 0);
    if (readiness == Readiness::at_once && !is_spare && !instances[worker].ended) {
        say_ready(worker);
    }
}

void World::say_ready(uint32_t worker) {
    if (shares[worker].sent < Share::sent_max &&
        channel.write(instances[worker], RecordKind::ready, 0)) {
        SIM_TRACE("pid %d says that it is ready", instances[worker].pid);
        shares[worker].ready = true;
        shares[worker].sent += 1;
    }
}

// More of a kind than a correct worker sends.
void World::flood(uint32_t worker, uint32_t number) {
    constexpr uint32_t records = 12;
    const auto kind = static_cast<RecordKind>(1 + number % 4);
    SIM_TRACE("pid %d floods the pool with messages", instances[worker].pid);
    for (uint32_t left = records; left > 0; left--) {
        const bool written = channel.write(instances[worker], kind, static_cast<uint8_t>(left));
        shares[worker].ready = shares[worker].ready || (written && kind == RecordKind::ready);
        shares[worker].retires = shares[worker].retires || (written && kind == RecordKind::retire);
    }
}

void World::report_hang(uint32_t worker) {
    if (!shares[worker].hangs) {
        SIM_TRACE("pid %d reports that it hangs", instances[worker].pid);
        shares[worker].hangs = true;
        hang_reports.push_back(instances[worker].pid);
    }
}

void World::retire(uint32_t worker) {
    if (shares[worker].sent < Share::sent_max &&
        channel.write(instances[worker], RecordKind::retire, 0)) {
        SIM_TRACE("pid %d asks to be replaced", instances[worker].pid);
        shares[worker].retires = true;
        shares[worker].sent += 1;
    }
}

// Where nobody looks, nothing is sent; nor sooner than it is wanted.
void World::beat(uint32_t worker) {
    Process &process = instances[worker];
    const Duration interval = channel.heartbeat_interval();
    const bool is_due = process.beaten == 0 || clock - process.beaten >= interval;
    if (interval != 0 && is_due && channel.write(process, RecordKind::heartbeat, 0)) {
        process.beaten = clock;
    }
}

void World::beat_all() {
    for (const uint32_t worker : living) {
        if (!instances[worker].hung && !prefork::base::is_spare(worker)) {
            beat(worker);
        }
    }
}

void World::end(uint32_t worker, const Exit &exit) {
    Process &process = instances[worker];
    remove(living, worker);
    const bool says_so = announces && process.announces_exit && exit.kind == Exit::Kind::exited;
    process.announced =
        says_so && channel.write(process, RecordKind::exit_code, static_cast<uint8_t>(exit.code));
    process.ended = true;
    process.exit = exit;
    process.place = static_cast<uint32_t>(ended.size());
    ended.push_back(worker);
    if (is_noticed(process)) {
        note_child_signal();
    }
    SIM_TRACE("pid %d of slot %u ends: %s %d", process.pid, process.task_id,
              exit.kind == Exit::Kind::exited ? "status" : "signal", exit.code);
}

void World::reap(uint32_t worker, Exit *ret_exit) {
    Process &process = instances[worker];
    *ret_exit = status_unknown && !keeps_statuses ? Exit{} : process.exit;
    // Numbers to be found again in the event.
    ret_exit->user_us = static_cast<uint64_t>(process.pid) * 7;
    ret_exit->system_us = static_cast<uint64_t>(process.pid) * 3;
    ret_exit->max_rss_kib = static_cast<uint64_t>(process.pid) + 1;
    std::erase(hang_reports, process.pid);
    remove(ended, worker);
    process = Process{};
    reaped += 1;
}

void World::deliver(uint32_t worker, int32_t signal) {
    Process &process = instances[worker];
    if (process.ended || signal == 0 || signal == SIGCONT) {
        return;
    }
    if (signal == prefork::base::signal_kill) {
        if (slow_to_die) {
            process.doomed = true;
        } else {
            end(worker, killed_by(signal));
        }
        return;
    }
    const bool aborts = signal == prefork::base::signal_abort;
    if (aborts && temper == Temper::exits) {
        end(worker, exit_with(0)); // which makes it no better
    } else if (dies_of_others || (aborts && temper == Temper::dies)) {
        end(worker, killed_by(signal, aborts));
    }
}

// A signal that asks it to end.
void World::handle_signal(uint32_t worker, int32_t signal) {
    if (instances[worker].ended) {
        return;
    }
    switch (temper) {
    case Temper::dies:
        end(worker, killed_by(signal));
        break;
    case Temper::exits:
        end(worker, exit_with(0));
        break;
    case Temper::later:
    case Temper::ignores:
        break;
    }
}

// ---- What watches them ------------------------------------------------------------------------

bool World::readable() const { return epoll.is_readable(); }

void World::note_child_signal() { woken = woken || (!by_pidfd && wakeup >= 0); }

void World::trace(uint32_t which, bool begins) {
    if (!begins) {
        release_traced();
        return;
    }
    std::vector<uint32_t> &list = ended.empty() || which % 2 == 0 ? living : ended;
    if (!list.empty()) {
        Process &process = instances[list[which / 2 % list.size()]];
        SIM_TRACE("pid %d is traced", process.pid);
        process.traced = true;
    }
}

void World::release_traced() {
    bool any = false;
    for (const std::vector<uint32_t> *list : {&living, &ended}) {
        for (const uint32_t worker : *list) {
            any = any || instances[worker].traced;
            instances[worker].traced = false;
        }
    }
    if (any) {
        note_child_signal();
    }
}

int32_t World::trouble_of_pidfd() {
    return std::exchange(has_free_number, false) ? 0 : watch_trouble.next();
}

// The kernel has another error for each thing that there may be too many of.
int32_t World::trouble_of_watching() {
    if (opening) {
        return open_trouble.next();
    }
    const int32_t error = adding || upgrading ? watch_trouble.next() : 0;
    return error == -EMFILE || error == -ENFILE ? -ENOSPC : error;
}

void World::free_spare(int descriptor) {
    if (spare && descriptor == spare_number) {
        spare = false;
        has_free_number = adding;
    }
}

void World::note_seat(uint32_t worker) {
    const auto index = static_cast<size_t>(instances[worker].pid - first_pid);
    seats.resize(std::max(seats.size(), index + 1));
    seats[index] = worker;
}

uint32_t find_worker(int32_t pid) {
    const auto index = static_cast<size_t>(pid - World::first_pid);
    if (pid < World::first_pid || index >= world.seats.size()) {
        return UINT32_MAX;
    }
    const uint32_t worker = world.seats[index];
    const bool is_there = world.instances.has(worker) && world.instances[worker].pid == pid;
    return is_there ? worker : UINT32_MAX;
}

} // namespace sim
