// Starting workers, by fork or by exec.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "base/codes.h"
#include "os/process/clock.h"
#include "os/process/standard_files.h"
#include "os/process/threads.h"
#include "os/spawn/identity.h"
#include "os/spawn/start_barrier.h"
#include "os/spawn/worker_process.h"
#include "os/watch/exit_status.h"
#include "runtime/pool.h"

namespace prefork::runtime {

namespace {

// Errors that pass: the start is tried again. ENOSPC: the user watches as many descriptors by epoll
// as may be.
bool is_transient(int error) {
    return error == -EAGAIN || error == -ENOMEM || error == -EMFILE || error == -ENFILE ||
           error == -ENOSPC || error == base::code_threads;
}

} // namespace

// What all workers have in common.
os::SpawnParameters Pool::common_parameters() const {
    os::SpawnParameters parameters;
    parameters.supervisor_pidfd = loop_.supervisor_pidfd();
    parameters.link = channel_.link_of_all();
    parameters.link.supervisor = owner_;
    parameters.link.liveness = loop_.liveness();
    parameters.link.announces_exit = !loop_.knows_all_statuses();
    parameters.awaits_ready = options_.settings.ready_timeout != 0;
    parameters.foreign = options_.foreign_workers;
    parameters.notifies = options_.notify;
    parameters.resources = options_.resources;
    return parameters;
}

int Pool::set_spares(uint32_t count) {
    if (!supervisor_.running()) {
        return -ECANCELED;
    }
    if (look_for_loss()) {
        return -EBADF;
    }
    if (!grow(0, count)) {
        return -ENOMEM;
    }
    core::Input input = input_of(core::Input::Kind::set_spares);
    input.count = count;
    step(input);
    arm();
    return 0;
}

void Pool::renew_spares() {
    if (supervisor_.running() && !look_for_loss()) {
        step(core::Input::Kind::renew_spares);
        arm();
    }
}

// Spares that wait become the workers that are to be started.
void Pool::take_over() {
    uint32_t worker = 0;
    uint32_t spare = 0;
    if (!supervisor_.pop_takeover(&worker, &spare)) {
        return;
    }
    const base::Instant now = os::now();
    const bool good = channel_.take_over(spare, worker, now) == 0;
    if (good) {
        loop_.move(spare, worker);
    }
    core::Input input =
        input_of(good ? core::Input::Kind::taken_over : core::Input::Kind::not_taken_over, worker);
    input.spare = spare;
    input.since = now;
    step(input);
}

Pool::Role Pool::start_workers(os::SignalBlock &block) {
    if (!block.is_blocking()) {
        block.block();
        host_code_ran_ = true; // a handler, if nothing else
        if (block.children_reap_themselves()) {
            loop_.keep_statuses();
        }
    }
    if (unchecked_ && !channel_.is_whole()) {
        // Before an epoll of the host's, which has the number now, watches a worker.
        (void)look_for_loss();
        return Role::supervisor;
    }
    started_unchecked_ = unchecked_;
    os::SpawnParameters parameters = common_parameters();
    // The kernel sends it when the thread that forked ends: only the main one lasts as long as the
    // process.
    parameters.link.death_signal = main_thread_.is_current() ? options_.death_signal : 0;
    parameters.group = options_.process_groups != os::GroupMode::none;
    // A program that is executed has memory of its own: neither stdio nor threads matter.
    const bool forks = options_.exec == nullptr;
    if (forks && !options_.allow_threads && os::has_lasting_threads()) {
        start_failed(supervisor_.pop_start(), base::code_threads);
        return Role::supervisor;
    }
    parameters.threads = forks && options_.allow_threads && os::has_threads();
    if (forks && !parameters.threads && host_code_ran_) {
        os::flush_stdio();
        host_code_ran_ = false;
    }
    const size_t wanted = forks ? supervisor_.startable() : 1;
    const int room =
        loop_.room(wanted, 1 + channel_.descriptors_per_worker(), {&batch_[0], batch_.size()});
    if (room < 0) {
        start_failed(supervisor_.pop_start(), room);
        return Role::supervisor;
    }
    const bool needs_barrier =
        forks && loop_.by_pidfd() && (parameters.threads || block.children_reap_themselves());
    const Role role = needs_barrier ? start_with_barrier(&parameters, block)
                      : room == 1   ? start_one(&parameters, block)
                                    : start_batch(static_cast<uint32_t>(room), &parameters, block);
    if (role == Role::supervisor && supervisor_.startable() > 0) {
        deliver_signals(block);
    }
    return role;
}

// Between starts, so that a signal that asks for a stop is not kept until all have been done.
void Pool::deliver_signals(os::SignalBlock &block) {
    if (block.deliver_pending()) {
        host_code_ran_ = true;
        ends_wait_ = true;
        (void)look_for_loss();
    }
}

// Before a wait that follows a callback, and where a worker could not be watched after one.
void Pool::check_late() {
    if (unchecked_) {
        // A worker that was started since may be known to the wrong epoll.
        const bool known = !started_unchecked_ && loop_.knows_newest();
        unchecked_ = started_unchecked_ = false;
        (void)(known || look_for_loss());
    }
}

Pool::Role Pool::start_one(os::SpawnParameters *parameters, os::SignalBlock &block) {
    const uint32_t worker = supervisor_.pop_start();
    os::Pidfd pidfd;
    const int32_t pid = options_.exec != nullptr ? execute_worker(worker, parameters, block, &pidfd)
                                                 : fork_worker(worker, parameters, block);
    if (pid == 0) {
        return Role::worker;
    }
    if (pid < 0) {
        start_failed(worker, pid);
    } else {
        const base::Instant since = os::now();
        (void)watch_started(worker, pid, &pidfd, since);
    }
    return Role::supervisor;
}

// Forks all workers and then opens their pidfds, because each fork copies the table of descriptors.
// Touches little memory in between, because each fork makes it copied again. No worker can vanish:
// nothing else reaps them. Requests of other threads, and signals, come first: no handler of the
// host runs before the pidfds are open.
Pool::Role Pool::start_batch(uint32_t room, os::SpawnParameters *parameters,
                             os::SignalBlock &block) {
    uint32_t count = 0;
    while (count < room && supervisor_.startable() > 0) {
        batch_[size_t{2} * count] = static_cast<int32_t>(supervisor_.pop_start());
        count += 1;
    }
    uint32_t forked = 0;
    int32_t pid = 1;
    while (forked < count && pid > 0 && requests_.load(std::memory_order_relaxed) == 0 &&
           (forked == 0 || !block.has_pending())) {
        pid = fork_worker(static_cast<uint32_t>(batch_[size_t{2} * forked]), parameters, block);
        if (pid == 0) {
            return Role::worker;
        }
        batch_[size_t{2} * forked + 1] = pid;
        forked += 1;
    }
    // A failure is reported after the starts that succeeded before it: they must not reset what
    // follows from it.
    for (uint32_t index = 0; index < count; index++) {
        const auto worker = static_cast<uint32_t>(batch_[size_t{2} * index]);
        if (index >= forked) {
            step(input_of(core::Input::Kind::start_cancelled, worker));
        } else if (index + 1 == forked && pid < 0) {
            start_failed(worker, pid);
        } else {
            os::Pidfd pidfd;
            (void)watch_started(worker, batch_[size_t{2} * index + 1], &pidfd, os::now());
        }
    }
    return Role::supervisor;
}

// Where SIGCHLD is ignored, or another thread may wait for any child, a worker that ended at once
// could be gone before its pidfd is open. So it does nothing until then.
Pool::Role Pool::start_with_barrier(os::SpawnParameters *parameters, os::SignalBlock &block) {
    const uint32_t worker = supervisor_.pop_start();
    os::StartBarrier barrier;
    if (int r = barrier.open(); r < 0) {
        start_failed(worker, r);
        return Role::supervisor;
    }
    parameters->barrier = barrier.waiting_end();
    const int32_t pid = fork_worker(worker, parameters, block);
    if (pid == 0) {
        barrier.disown();
        return Role::worker;
    }
    if (pid < 0) {
        start_failed(worker, pid);
    } else {
        os::Pidfd pidfd;
        (void)watch_started(worker, pid, &pidfd, os::now());
        barrier.release();
    }
    return Role::supervisor;
}

// Returns the pid, a negative errno, or 0 in a worker that is to return into the host; one with a
// function of its own does not come back.
int32_t Pool::fork_worker(uint32_t worker, os::SpawnParameters *parameters,
                          os::SignalBlock &block) {
    parameters->task_id = task_id_of(worker);
    if (int r = channel_.begin_start(worker, os::now(), &parameters->link); r < 0) {
        return r;
    }
    parameters->waiting_mask = &block.host_mask();
    const int32_t pid = os::fork_worker(parameters);
    if (pid != 0) {
        channel_.end_start(worker, pid > 0);
    } else if (options_.worker != nullptr) {
        block.unblock();
        const int status = options_.worker(os::task_id(), options_.worker_user);
        os::announce_exit(parameters->link, status);
        os::end_worker(status, parameters->threads);
    }
    return pid;
}

// Returns the pid and its pidfd, or a negative errno, that of the program's start included.
int32_t Pool::execute_worker(uint32_t worker, os::SpawnParameters *parameters,
                             os::SignalBlock &block, os::Pidfd *ret_pidfd) {
    parameters->task_id = task_id_of(worker);
    if (int r = channel_.begin_start(worker, os::now(), &parameters->link); r < 0) {
        return r;
    }
    const bool wants_pidfd = loop_.by_pidfd();
    int32_t pid = options_.exec->start(*parameters, block, wants_pidfd, ret_pidfd);
    if ((pid == -EMFILE || pid == -ENFILE) && loop_.give_up_spare()) {
        pid = options_.exec->start(*parameters, block, wants_pidfd, ret_pidfd);
    }
    channel_.end_start(worker, pid > 0);
    return pid;
}

// Returns 0 or a negative errno, with which the start has failed.
int Pool::watch_started(uint32_t worker, int32_t pid, os::Pidfd *pidfd, base::Instant since) {
    if (int r = loop_.add(worker, pid, pidfd); r < 0) {
        check_late();
        os::discard_process(pid, *pidfd);
        channel_.ended(worker);
        start_failed(worker, r);
        return r;
    }
    // Before it is asked to stop by its descriptor. It waits where it was expected, and would do so
    // for ever if it was not admitted.
    if (options_.host_fork && channel_.admit(task_id_of(worker), worker, pid, os::now()) < 0) {
        note_kill(base::signal_kill);
        (void)loop_.send(worker, base::signal_kill);
    }
    core::Input input = input_of(core::Input::Kind::started, worker);
    input.pid = pid;
    input.since = since;
    step(input);
    return 0;
}

void Pool::start_failed(uint32_t worker, int error) {
    core::Input input = input_of(core::Input::Kind::start_failed, worker);
    input.error = error;
    input.transient = is_transient(error);
    step(input);
}

} // namespace prefork::runtime
