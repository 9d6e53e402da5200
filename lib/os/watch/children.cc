// SPDX-License-Identifier: MIT
#include "os/watch/children.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "os/fd/descriptor.h"
#include "os/process/clock.h"
#include "os/process/process_lock.h"
#include "os/watch/epoll.h"
#include "os/watch/exit_status.h"

namespace prefork::os {

namespace {

// How soon one that cannot be reaped yet is looked at again, and how seldom at last.
constexpr base::Duration first_look_delay = 10 * base::millisecond;
constexpr base::Duration last_look_delay = 1 * base::second;

// An end is reported once: a pidfd that is closed may live on as a copy in a child that was forked
// beside it, and its registration with it.
constexpr uint32_t watched_events = uint32_t{EPOLLIN} | uint32_t{EPOLLONESHOT};

bool leads_group(int32_t pid) { return getpgid(pid) == pid; }

// What is left of the group ends with its leader, whose zombie still keeps the number from being
// given to another. A leader that ends after it was asked for is left for the next time: reaped now
// it would leave its group behind.
bool collect_with_group(const ProcessHandle &leader, base::Exit *ret_exit, bool *ret_is_pidfd) {
    const ChildState state = state_of_child(leader.pid);
    if (state == ChildState::running) {
        return false;
    }
    if (state == ChildState::zombie ||
        (state == ChildState::unknown && leader.pidfd >= 0 && has_ended(leader.pidfd))) {
        (void)send_signal_to_group(leader, SIGKILL);
    }
    return collect_exit(leader, ret_exit, ret_is_pidfd);
}

// The group may have members whose leader has left it, or whom alone the signal could be sent to:
// that the group got it says nothing of the worker.
int send_to_group_and_worker(const ProcessHandle &worker, int32_t signal) {
    const bool twice_is_once = signal == SIGKILL || signal == SIGCONT;
    const bool led = !twice_is_once && leads_group(worker.pid);
    const bool group_got_it = send_signal_to_group(worker, signal) == 0;
    const bool worker_got_it = group_got_it && led && leads_group(worker.pid);
    return send_signal(worker, worker_got_it ? 0 : signal);
}

} // namespace

void Children::open(bool by_pidfd, GroupMode groups, int epoll) {
    by_pidfd_ = by_pidfd;
    groups_ = groups;
    epoll_ = epoll;
}

bool Children::grow(uint32_t workers, uint32_t spares) {
    const ProcessLock lock; // another pool's thread may ask whom it knows
    return children_.grow(workers) && children_.grow_spares(spares);
}

int Children::add(uint32_t worker, int32_t pid, Pidfd *pidfd) {
    children_[worker].pidfd = -1;
    if (by_pidfd_) {
        const int opened = pidfd->get() >= 0 ? 0 : pidfd->open(pid);
        if (opened == -ESRCH) {
            hold(worker,
                 0); // it has ended, and was reaped by others: collected with the next check
        } else if (int r = opened < 0 ? opened : watch(worker, pidfd); r < 0) {
            return r;
        }
    }
    set_pid(worker, pid);
    count_ += 1;
    return 0;
}

void Children::adopt(uint32_t worker, int32_t pid, Pidfd *pidfd) {
    if (add(worker, pid, pidfd) < 0) {
        hold(worker, 0);
        set_pid(worker, pid);
        count_ += 1;
    }
}

int Children::watch(uint32_t worker, Pidfd *pidfd) {
    epoll_event event{};
    event.events = watched_events;
    event.data.u32 = worker;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, pidfd->get(), &event) < 0) {
        return -errno;
    }
    children_[worker].pidfd = pidfd->release(); // an owner object a worker would cost more
    return 0;
}

void Children::move(uint32_t from, uint32_t to) {
    Child &moved = children_[from];
    children_[to].pidfd = moved.pidfd;
    children_[to].held = moved.held;
    set_pid(to, moved.pid); // at any time one of both is known
    set_pid(from, 0);
    moved.pidfd = -1;
    moved.held = false;
    if (children_[to].pidfd >= 0) {
        (void)is_registered(to); // under its new number
    }
}

bool Children::collect(uint32_t worker, base::Exit *ret_exit) {
    if (children_[worker].pid == 0) {
        return false;
    }
    const ProcessHandle process = handle(worker);
    bool is_our_pidfd = false;
    const bool ended = groups_ == GroupMode::none
                           ? collect_exit(process, ret_exit, &is_our_pidfd)
                           : collect_with_group(process, ret_exit, &is_our_pidfd);
    if (ended) {
        remove(worker, is_our_pidfd && !children_[worker].held);
    } else if (process.pidfd >= 0 && !children_[worker].held) {
        if (has_ended(process.pidfd)) {
            // It would be readable all the time. Without events it stays registered: a number that
            // the epoll knows is that of our pidfd.
            (void)set_registered(epoll_, process.pidfd, 0, worker);
            hold(worker, first_look_delay);
        } else {
            (void)is_registered(worker); // and waited for again
        }
    }
    return ended;
}

// Nothing reports when it can be reaped.
void Children::hold(uint32_t worker, base::Duration delay) {
    children_[worker].held = true;
    held_count_ += 1;
    look_delay_ = first_look_delay;
    next_look_ = base::after(now(), delay);
}

uint32_t Children::list_due(base::Instant now, std::span<uint32_t> ret_workers) {
    if (now < next_look_) {
        return 0;
    }
    uint32_t count = 0;
    const uint32_t size = this->size();
    const uint32_t first = first_due_;
    for (uint32_t looked = 0; looked < size && count < ret_workers.size(); looked++) {
        const uint32_t index = (first + looked) % size;
        if (children_[id_at(index)].held) {
            ret_workers[count++] = id_at(index);
            first_due_ = (index + 1) % size;
        }
    }
    look_delay_ = 2 * look_delay_ < last_look_delay ? 2 * look_delay_ : last_look_delay;
    next_look_ = base::after(now, look_delay_);
    return count;
}

bool Children::may_have_ended(uint32_t worker, bool *ret_certain) const {
    const ChildState state = state_of_child(children_[worker].pid);
    *ret_certain = state != ChildState::unknown;
    return state != ChildState::running;
}

int Children::send(uint32_t worker, int32_t signal) {
    if (!has(worker)) {
        return -ESRCH;
    }
    if (children_[worker].pidfd >= 0 && !is_registered(worker)) {
        lose_pidfd(worker);
    }
    return groups_ == GroupMode::signals ? send_to_group_and_worker(handle(worker), signal)
                                         : send_signal(handle(worker), signal);
}

uint32_t Children::find(int32_t pid) const {
    for (uint32_t index = 0; index < size(); index++) {
        if (__atomic_load_n(&children_[id_at(index)].pid, __ATOMIC_ACQUIRE) == pid) {
            return id_at(index);
        }
    }
    return UINT32_MAX;
}

void Children::set_pid(uint32_t worker, int32_t pid) {
    __atomic_store_n(&children_[worker].pid, pid, __ATOMIC_RELEASE);
}

void Children::remove(uint32_t worker, bool is_our_pidfd) {
    const int pidfd = children_[worker].pidfd;
    if (pidfd >= 0) {
        // A copy in a forked child would keep the registration alive beyond the close: for one more
        // event at most. If there is no registration, the host has closed the pidfd, and the number
        // is that of another file.
        const bool ours = is_our_pidfd || epoll_ctl(epoll_, EPOLL_CTL_DEL, pidfd, nullptr) == 0;
        forget_descriptor(pidfd);
        if (ours) {
            close(pidfd);
        }
        children_[worker].pidfd = -1;
    }
    held_count_ -= children_[worker].held ? 1U : 0U;
    if (held_count_ == 0) {
        next_look_ = base::never;
    }
    children_[worker].held = false;
    set_pid(worker, 0);
    count_ -= 1;
}

bool Children::is_registered(uint32_t worker) const {
    const uint32_t events = children_[worker].held ? 0U : watched_events;
    return set_registered(epoll_, children_[worker].pidfd, events, worker);
}

void Children::lose_pidfd(uint32_t worker) {
    forget_descriptor(children_[worker].pidfd);
    children_[worker].pidfd = -1;
    if (!children_[worker].held) {
        hold(worker, first_look_delay);
    }
}

void Children::let_go_of_lost(bool has_epoll) {
    for (uint32_t index = 0; index < size(); index++) {
        const uint32_t worker = id_at(index);
        if (has(worker) && children_[worker].pidfd >= 0 && !(has_epoll && is_registered(worker))) {
            lose_pidfd(worker);
        }
    }
    epoll_ = has_epoll ? epoll_ : -1;
}

void Children::let_go() {
    for (uint32_t index = 0; count_ > 0 && index < size(); index++) {
        if (has(id_at(index))) {
            remove(id_at(index), false);
        }
    }
}

void Children::disown() {
    children_.reset();
    count_ = 0;
    held_count_ = 0;
    next_look_ = base::never;
}

} // namespace prefork::os
