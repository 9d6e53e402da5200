// SPDX-License-Identifier: MIT
#include "runtime/pool.h"

#include <errno.h>

#include "os/clock.h"
#include "os/gate.h"

namespace prefork::runtime {

namespace {

// Errors that pass: the start is tried again.
bool is_transient(int error) {
    return error == -EAGAIN || error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

core::Input input_of(core::Input::Kind kind, uint32_t worker = 0) {
    core::Input input;
    input.kind = kind;
    input.worker = worker;
    return input;
}

} // namespace

int Pool::open(const PoolOptions &options) {
    const uint32_t workers = options.settings.workers;
    options_ = options;
    owner_ = os::own_pid();
    if (!supervisor_.open(options.settings) || !batch_workers_.allocate(workers) ||
        !batch_pids_.allocate(workers)) {
        return -ENOMEM;
    }
    if (int r = watch_.open(workers); r < 0) {
        return r;
    }
    if (options.reap_orphans) {
        orphans_.open();
    }
    return 0;
}

int Pool::run(int *ret_task_id) {
    const os::SignalBlock block;
    if (!begun_) {
        begun_ = true;
        signals_.take(block.host_mask(), options_.reap_orphans, watch_.wake_descriptor());
        step(input_of(core::Input::Kind::start));
    }
    for (;;) {
        switch (act(block)) {
        case Role::worker:
            *ret_task_id = task_id_;
            return 0;
        case Role::stranger:
            signals_.give_back();
            os::close_noted_descriptors();
            watch_.disown();
            return -ECHILD;
        case Role::supervisor:
            break;
        }
        if (supervisor_.done() || supervisor_.broken()) {
            *ret_task_id = -1;
            return finish();
        }
        if (int r = wait_for_inputs(block); r < 0) {
            return r;
        }
    }
}

Pool::Role Pool::act(const os::SignalBlock &block) {
    // Events before starts: the host hears that a worker ended before the next one begins.
    Role role = deliver_events(block);
    while (role == Role::supervisor && supervisor_.startable() > 0) {
        role = start_workers();
        if (role == Role::supervisor) {
            role = deliver_events(block);
        }
    }
    return role;
}

Pool::Role Pool::deliver_events(const os::SignalBlock &block) {
    core::Event fact;
    if (!supervisor_.take_event(&fact)) {
        return Role::supervisor;
    }
    const bool host_code = options_.on_event != report_to_stderr;
    if (host_code) {
        if (options_.reap_orphans) {
            orphans_.before_host_code();
        }
        block.lift();
    }
    do {
        pf_event event;
        describe(fact, &event);
        options_.on_event(&event, options_.user);
        if (host_code && os::own_pid() != owner_) {
            return Role::stranger;
        }
    } while (supervisor_.take_event(&fact));
    if (host_code) {
        block.impose();
        if (options_.reap_orphans) {
            orphans_.after_host_code(watch_);
        }
    }
    return Role::supervisor;
}

Pool::Role Pool::start_workers() {
    const bool threads = os::has_threads();
    if (!threads) {
        os::flush_stdio();
    }
    const size_t wanted = supervisor_.startable();
    const int room = watch_.room({&batch_pids_[0], wanted});
    if (room < 0) {
        start_failed(supervisor_.take_start(), room);
        return Role::supervisor;
    }
    return os::children_may_vanish(threads) ? start_behind_gate()
                                            : start_batch(static_cast<uint32_t>(room));
}

// Forks all first and opens their pidfds afterwards, because each fork copies the table of
// descriptors. None can vanish meanwhile: nobody else reaps them.
Pool::Role Pool::start_batch(uint32_t room) {
    uint32_t count = 0;
    uint32_t worker = 0;
    int32_t pid = 1;
    while (count < room && pid > 0) {
        worker = supervisor_.take_start();
        pid = fork_worker(worker, -1);
        if (pid == 0) {
            return Role::worker;
        }
        if (pid > 0) {
            batch_workers_[count] = worker;
            batch_pids_[count] = pid;
            count += 1;
        }
    }
    for (uint32_t index = 0; index < count; index++) {
        watch_started(batch_workers_[index], batch_pids_[index]);
    }
    // Told last, so that the starts that succeeded before do not speak for the time after it.
    if (pid < 0) {
        start_failed(worker, pid);
    }
    return Role::supervisor;
}

// Where SIGCHLD is ignored, or another thread may wait for any child, a worker that ended at once
// could be gone before its pidfd is open. So it does nothing until then.
Pool::Role Pool::start_behind_gate() {
    const uint32_t worker = supervisor_.take_start();
    os::Gate gate;
    if (int r = gate.open(); r < 0) {
        start_failed(worker, r);
        return Role::supervisor;
    }
    const int32_t pid = fork_worker(worker, gate.waiting_end());
    if (pid == 0) {
        gate.disown();
        return Role::worker;
    }
    if (pid < 0) {
        start_failed(worker, pid);
    } else {
        watch_started(worker, pid);
        gate.let_through();
    }
    return Role::supervisor;
}

int32_t Pool::fork_worker(uint32_t worker, int gate) {
    os::Birth birth;
    birth.task_id = worker;
    birth.supervisor = owner_;
    birth.supervisor_pidfd = watch_.supervisor_pidfd();
    // The kernel sends it when the thread that forked ends: only the main one lasts as long as the
    // process.
    birth.death_signal = os::is_main_thread() ? options_.death_signal : 0;
    birth.threads = os::has_threads();
    birth.gate = gate;
    birth.signals = &signals_;
    const int32_t pid = os::fork_worker(birth);
    if (pid == 0) {
        task_id_ = static_cast<int>(worker);
        watch_.disown();
        signals_.disown();
    }
    return pid;
}

void Pool::watch_started(uint32_t worker, int32_t pid) {
    if (int r = watch_.add(worker, pid); r < 0) {
        os::discard_worker(pid);
        start_failed(worker, r);
        return;
    }
    core::Input input = input_of(core::Input::Kind::started, worker);
    input.pid = pid;
    step(input);
}

void Pool::start_failed(uint32_t worker, int error) {
    core::Input input = input_of(core::Input::Kind::start_failed, worker);
    input.error = error;
    input.transient = is_transient(error);
    step(input);
}

int Pool::wait_for_inputs(const os::SignalBlock &block) {
    watch_.set_deadline(supervisor_.next_deadline());
    os::Wakeup wakeup;
    if (int r = watch_.wait(-1, block, &wakeup); r < 0) {
        return r;
    }
    bool requested = false;
    // Requests before exits: Ctrl-C reaches the supervisor and its workers together.
    for (int signal = signals_.next_request(); signal != 0; signal = signals_.next_request()) {
        core::Input input = input_of(core::Input::Kind::stop);
        input.signal = signal;
        step(input);
        requested = true;
    }
    for (uint32_t index = 0; index < wakeup.ended_count; index++) {
        core::Input input = input_of(core::Input::Kind::exited, wakeup.ended[index]);
        if (watch_.collect(input.worker, &input.exit)) {
            step(input);
        }
    }
    if (wakeup.timer) {
        step(input_of(core::Input::Kind::tick));
    }
    const bool child_ended = signals_.child_ended();
    if (child_ended) {
        orphans_.reap(watch_);
    }
    return wakeup.interrupted && !requested && !child_ended ? -EINTR : 0;
}

int Pool::finish() {
    signals_.give_back();
    if (supervisor_.broken()) {
        watch_.abandon();
        return -ENOTRECOVERABLE;
    }
    return supervisor_.result();
}

void Pool::step(const core::Input &input) {
    supervisor_.step(input, os::now());
    core::Signal signal{};
    while (supervisor_.take_signal(&signal)) {
        watch_.send(signal.worker, signal.number);
    }
}

} // namespace prefork::runtime
