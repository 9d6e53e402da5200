// SPDX-License-Identifier: MIT
#include "runtime/pool.h"

#include <errno.h>

#include "os/process/clock.h"
#include "os/service/daemon.h"
#include "os/spawn/identity.h"
#include "os/spawn/worker_process.h"
#include "os/watch/worker_registry.h"

namespace prefork::runtime {

int Pool::open(const PoolOptions &chosen) {
    options_ = chosen;
    complete(&options_);
    const PoolOptions &options = options_;
    os::let_go_of_lost_files();
    AdoptedPolicy policy;
    const int adopts = read_handed_over(&policy);
    if (adopts < 0) {
        return adopts;
    }
    owner_ = os::own_pid();
    process_ = os::own_process_id();
    if (int r = open_resources(policy, adopts != 0); r < 0) {
        if (adopts != 0) {
            give_back();
        }
        return r;
    }
    if (reaps()) {
        orphans_.open(options.reap_orphans);
    }
    awaited_ = os::await_pool();
    const os::SignalBlock block;
    signals_.claim(options.signals,
                   options.host_mask != nullptr ? *options.host_mask
                                                : block.host_mask()); // to the end
    opened_ = true;
    if (adopts != 0) {
        adopt(policy);
    } else {
        step(core::Input::Kind::start);
    }
    for (const int number : signals_.unavailable()) {
        core::Input input = input_of(core::Input::Kind::signal_unavailable);
        input.signal = number;
        step(input);
    }
    arm();
    return 0;
}

int Pool::open_resources(const AdoptedPolicy &policy, bool adopts) {
    const PoolOptions &options = options_;
    if (int r = open_channel(adopts); r < 0) {
        return r;
    }
    if (int r = loop_.open(options.backend, options.process_groups, channel_.descriptor()); r < 0) {
        return r;
    }
    if (!supervisor_.open(options.settings) ||
        !grow(options.settings.workers, options.settings.spares) ||
        !grow(policy.slot_count(), policy.spare_count())) { // also those that will be left
        return -ENOMEM;
    }
    if (int r = options.has_foreign_reports() ? open_notifications(adopts) : 0; r < 0) {
        return r;
    }
    // A worker is not the main process of a service.
    return options.notify && !os::is_worker() ? notifier_.open(os::now()) : 0;
}

// Gets memory for so many slots and spares, beside what is there. Returns false if there is none.
bool Pool::grow(uint32_t slots, uint32_t spares) {
    const uint32_t workers = slots * core::instances;
    return loop_.grow(workers, spares) && channel_.grow(workers, spares) &&
           batch_.grow(size_t{2} * workers) && supervisor_.reserve(slots, spares);
}

int Pool::run(int *ret_task_id) {
    os::SignalBlock block;
    after_host_code();
    // Nothing that a callback can do matters before the next start or wait. So signals stay
    // unblocked after it, and there is one look before each of these. Where statuses can be lost,
    // or others notice that a callback has run, each is followed by all looks at once.
    checks_late_ = loop_.knows_all_statuses() && !reaps() && !options_.notify;
    for (;;) {
        Role role = Role::supervisor;
        const int result = run_once(-1, block, &role);
        if (role == Role::worker) {
            *ret_task_id = os::task_id();
            return 0;
        }
        if (result != 1) {
            before_host_code();
            *ret_task_id = -1;
            return result;
        }
    }
}

int Pool::dispatch(int timeout_ms) {
    os::SignalBlock block;
    after_host_code();
    checks_late_ = false; // a handler of the host ends the wait, whenever it was called
    Role role = Role::supervisor;
    const int result = run_once(timeout_ms, block, &role);
    arm();
    before_host_code();
    return result;
}

// Runs what is due, waits, and runs what has become due, so that all that has come
// has had its effect when it returns.
int Pool::run_once(int timeout_ms, os::SignalBlock &block, Role *ret_role) {
    if (block.children_reap_themselves()) {
        loop_.keep_statuses();
    }
    *ret_role = run_actions(block);
    int result = 1;
    if (*ret_role == Role::supervisor && !supervisor_.done() && !has_failed()) {
        result = wait_once(timeout_ms, block);
        failure_ = result < 0 && failure_ == 0 ? result : failure_;
        *ret_role = run_actions(block);
    }
    if (*ret_role == Role::supervisor && has_failed()) {
        *ret_role = end_workers(block);
    }
    if (*ret_role == Role::detached_child) {
        return leave_as_detached_child();
    }
    if (*ret_role == Role::supervisor && supervisor_.done()) {
        block.block();
        return finish();
    }
    return result;
}

// The pool cannot go on. Its workers are killed and reaped, and their ends are reported.
Pool::Role Pool::end_workers(os::SignalBlock &block) {
    block.block();
    core::Input input = input_of(core::Input::Kind::fail);
    input.error = failure_ != 0 ? failure_ : -ENOTRECOVERABLE;
    step(input);
    loop_.abandon([](void *user, uint32_t worker,
                     const base::Exit &exit) { static_cast<Pool *>(user)->end(worker, exit); },
                  this);
    step(core::Input::Kind::finish); // also if not all could be ended
    return deliver_events(block);
}

int Pool::wait_once(int timeout_ms, os::SignalBlock &block) {
    os::await_no_more_pools();
    if (os::has_unclaimed()) {
        absorb_unclaimed();
    }
    check_late();
    if (failure_ != 0) {
        return 1; // what is left to do is at the end of the round
    }
    const int result = wait_for_inputs(supervisor_.has_event() ? 0 : timeout_ms, block);
    if (result < 0) {
        (void)look_for_loss();
    }
    return result;
}

bool Pool::next_event(pf_event *ret_event) {
    core::Event next;
    // A stop cancels what the host was asked for.
    const bool requested = options_.host_fork && handle_all_requests();
    const bool popped = supervisor_.pop_event(&next);
    bool any = popped;
    while (any && next.type == core::EventType::fork_wanted && expect_fork(next.task_id) < 0) {
        any = supervisor_.pop_event(&next); // that request has failed
    }
    if (requested || popped) {
        arm();
    }
    if (any) {
        set_event(next, ret_event);
    }
    return any;
}

void Pool::request(uint32_t what) {
    requests_.fetch_or(what);
    wake();
}

void Pool::wake() {
    if (channel_.is_whole()) { // else the number may be that of another file
        loop_.wake();
    }
}

int Pool::resize(uint32_t count) {
    if (!supervisor_.running()) {
        return -ECANCELED;
    }
    if (look_for_loss()) {
        return -EBADF;
    }
    if (!grow(count, 0)) {
        return -ENOMEM;
    }
    core::Input input = input_of(core::Input::Kind::resize);
    input.count = count;
    step(input);
    arm();
    return 0;
}

int Pool::restart(uint32_t slot) {
    return change_slot(core::Input::Kind::replace, slot, supervisor_.is_being_replaced(slot));
}

int Pool::stop_worker(uint32_t slot) {
    return change_slot(core::Input::Kind::stop_worker, slot, supervisor_.is_stopped(slot));
}

int Pool::change_slot(core::Input::Kind kind, uint32_t slot, bool has_been_asked) {
    if (!supervisor_.running()) {
        return -ECANCELED;
    }
    if (has_been_asked) {
        return -EALREADY;
    }
    if (look_for_loss()) {
        return -EBADF;
    }
    step(input_of(kind, slot));
    arm();
    return 0;
}

int Pool::signal(uint32_t slot, int number) {
    const uint32_t worker = supervisor_.current(slot);
    if (!core::is_alive(supervisor_.worker(worker).state)) {
        return -ESRCH;
    }
    (void)look_for_loss(); // pids are enough
    note_kill(number);
    return loop_.send(worker, number);
}

int Pool::signal_all(int number) {
    int first_error = 0;
    (void)look_for_loss();
    note_kill(number);
    for (uint32_t worker = 0; worker < supervisor_.capacity(); worker++) {
        if (core::is_alive(supervisor_.worker(worker).state)) {
            const int result = loop_.send(worker, number);
            // One that has just ended is not among all any more.
            first_error = first_error == 0 && result != -ESRCH ? result : first_error;
        }
    }
    return first_error;
}

// Requests before all else, also those of a callback: nobody is started only to be stopped. Events
// before starts: the end of a worker is reported before the next one begins.
Pool::Role Pool::run_actions(os::SignalBlock &block) {
    (void)handle_all_requests();
    Role role = deliver_events(block);
    while (role == Role::supervisor && !has_failed()) {
        if (!handle_all_requests()) {
            if (supervisor_.has_takeover()) {
                take_over();
            } else if (supervisor_.startable() == 0) {
                break;
            } else if (options_.host_fork) {
                request_forks();
            } else {
                os::begin_starts();
                role = start_workers(block);
                os::end_starts();
            }
        }
        if (role == Role::supervisor) {
            role = deliver_events(block);
        }
    }
    if (role == Role::supervisor && failure_ == 0) {
        notify_manager();
    }
    return role;
}

Pool::Role Pool::deliver_events(os::SignalBlock &block) {
    core::Event next;
    if (options_.on_event == nullptr || !supervisor_.pop_event(&next)) {
        return Role::supervisor;
    }
    const bool host_code = options_.on_event != report_to_stderr;
    if (host_code) {
        before_host_code();
        block.unblock();
    }
    do {
        pf_event event;
        set_event(next, &event);
        in_callback_ = host_code;
        options_.on_event(&event, options_.event_user);
        in_callback_ = false;
        if (host_code && !os::has_memory_of(process_)) {
            return Role::detached_child;
        }
    } while (supervisor_.pop_event(&next));
    if (host_code && checks_late_) {
        unchecked_ = true;
    } else if (host_code) {
        block.block();
        after_host_code();
    }
    return Role::supervisor;
}

void Pool::before_host_code() {
    if (reaps()) {
        orphans_.before_host_code();
    }
}

void Pool::after_host_code() {
    host_code_ran_ = true;
    (void)look_for_loss();
    if (reaps()) {
        orphans_.after_host_code(loop_);
    }
}

// A host that makes itself a daemon, or reads an old book, closes all descriptors that it does not
// know. Nothing can be waited for then. Returns whether it is so.
bool Pool::look_for_loss() {
    if (failure_ == 0 && !finished_ && !(channel_.is_whole() && loop_.is_whole())) {
        failure_ = -EBADF;
        lose_descriptors();
    }
    return failure_ != 0;
}

void Pool::lose_descriptors() {
    const bool has_channel = channel_.is_whole();
    loop_.let_go_of_lost(has_channel);
    channel_.let_go_of_lost();
    notifications_.let_go_of_lost();
    if (!has_channel) {
        notifier_.lose();
    }
}

int Pool::descriptor() const { return failure_ != 0 ? -EBADF : loop_.descriptor(); }

// A child that the host forked in its callback has come back from it. The pool is not its.
int Pool::leave_as_detached_child() {
    (void)look_for_loss_in_child();
    os::become_detached_child();
    disown();
    return -ECHILD;
}

void Pool::disown() {
    opened_ = false;
    signals_.disown();
    orphans_.disown();
    loop_.disown();
    channel_.disown();
    notifications_.disown();
    notifier_.disown();
    awaited_ = false;
    forks_pending_ = false;
}

int Pool::finish() {
    if (!finished_) {
        finished_ = true;
        note_pending_forks(false);
        signals_.release();
        orphans_.close();
        notifier_.close();
        loop_.retire();
        channel_.close();
        notifications_.close();
        messages_resume_ = base::never;
    }
    return supervisor_.result();
}

} // namespace prefork::runtime
