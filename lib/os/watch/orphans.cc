// SPDX-License-Identifier: MIT
#include "os/watch/orphans.h"

#include <sys/wait.h>

#include "os/process/clock.h"
#include "os/process/threads.h"
#include "os/watch/child_signal.h"
#include "os/watch/other_children.h"
#include "os/watch/worker_registry.h"

namespace prefork::os {

namespace {

constexpr base::Duration look_interval = 1 * base::second;

} // namespace

void OrphanReaper::open(ReapMode mode) {
    mode_ = mode;
    next_look_ = base::after(now(), look_interval);
    hold_child_handler(false);
    has_own_proc_ = has_own_proc();
    if (mode_ == ReapMode::adopted) {
        is_informed_ = has_own_proc_ ? of_host_.read() : of_host_.probe(first_pid);
        before_host_code();
    }
}

void OrphanReaper::close() {
    if (mode_ != ReapMode::none) {
        mode_ = ReapMode::none;
        release_child_handler(false);
    }
}

void OrphanReaper::before_host_code() {
    if (mode_ != ReapMode::adopted) {
        return;
    }
    // What appears while other threads run may be theirs.
    beside_threads_ = has_threads();
    if (beside_threads_) {
        seen_.truncate(0);
        newest_ = 0;
    } else if (has_own_proc_) {
        (void)seen_.read();
    } else {
        newest_ = newest_pid();
    }
}

void OrphanReaper::after_host_code(const EventLoop &workers) {
    if (mode_ != ReapMode::adopted) {
        return;
    }
    if (!has_own_proc_) {
        add_new_to_host(workers);
        return;
    }
    if (!now_.read()) {
        return;
    }
    // The host's are those that were and still are, and those that are new.
    uint32_t kept = 0;
    for (uint32_t index = 0; index < now_.count(); index++) {
        const int32_t pid = now_[index];
        if (of_host_.has(pid) || (!seen_.has(pid) && !workers.knows(pid))) {
            now_.keep(index, kept++);
        }
    }
    now_.truncate(kept);
    of_host_.swap(now_);
}

void OrphanReaper::add_new_to_host(const EventLoop &workers) {
    if (!now_.probe(newest_ + 1)) {
        return;
    }
    for (uint32_t index = 0; index < now_.count(); index++) {
        const int32_t pid = now_[index];
        if (!of_host_.has(pid) && !workers.knows(pid) && !of_host_.add(pid)) {
            break;
        }
    }
    of_host_.sort();
}

bool OrphanReaper::is_spared(int32_t pid) const { return of_host_.has(pid) || !is_no_worker(pid); }

void OrphanReaper::reap() {
    next_look_ = base::after(now(), look_interval);
    check_child_handler();
    if (mode_ == ReapMode::all) {
        reap_other_children();
        return;
    }
    if (!is_informed_ || beside_threads_ || has_threads()) {
        return;
    }
    if (reap_up_to_spared([this](int32_t pid) { return is_spared(pid); })) {
        // It stays, and the kernel would show it again and again.
        reap_hidden();
    }
}

void OrphanReaper::reap_hidden() {
    const bool known = has_own_proc_ ? now_.read() : now_.probe(first_pid);
    if (!known) {
        return;
    }
    for (uint32_t index = 0; index < now_.count(); index++) {
        if (!is_spared(now_[index])) {
            wait4(now_[index], nullptr, WNOHANG, nullptr);
        }
    }
}

} // namespace prefork::os
