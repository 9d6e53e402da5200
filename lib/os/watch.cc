// SPDX-License-Identifier: MIT
#include "os/watch.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "os/exit_status.h"

namespace prefork::os {

namespace {

// What epoll tells of a descriptor: a worker's number or one of these.
constexpr uint32_t tag_timer = UINT32_MAX;
constexpr uint32_t tag_wake = UINT32_MAX - 1;

int open_pidfd(int32_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

} // namespace

Watch::~Watch() { abandon(); }

int Watch::open(uint32_t workers) {
    if (!pids_.allocate(workers) || !pidfds_.allocate(workers)) {
        return -ENOMEM;
    }
    if (int r = epoll_.take(epoll_create1(EPOLL_CLOEXEC)); r < 0) {
        return r;
    }
    if (int r = timer_.take(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)); r < 0) {
        return r;
    }
    if (int r = wake_.take(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); r < 0) {
        return r;
    }
    if (int r = supervisor_.take(open_pidfd(getpid())); r < 0) {
        return r;
    }
    if (int r = register_descriptor(timer_.get(), tag_timer); r < 0) {
        return r;
    }
    return register_descriptor(wake_.get(), tag_wake);
}

int Watch::register_descriptor(int descriptor, uint32_t tag) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = tag;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) < 0 ? -errno : 0;
}

int Watch::room(std::span<int> scratch) const {
    return descriptors_available(epoll_.get(), scratch);
}

int Watch::add(uint32_t worker, int32_t pid) {
    // Plain numbers: an owner object a worker would need twice the memory.
    const int pidfd = open_pidfd(pid);
    if (pidfd < 0) {
        return -errno;
    }
    note_descriptor(pidfd);
    pidfds_[worker] = pidfd;
    pids_[worker] = pid;
    const int result = register_descriptor(pidfd, worker);
    if (result < 0) {
        remove(worker);
    }
    return result;
}

bool Watch::collect(uint32_t worker, base::Exit *ret_exit) {
    if (pids_[worker] == 0 || !collect_exit(pidfds_[worker], ret_exit)) {
        return false;
    }
    remove(worker);
    return true;
}

void Watch::remove(uint32_t worker) {
    const int pidfd = pidfds_[worker];
    // A copy in a forked child would keep the registration alive beyond the close.
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, pidfd, nullptr);
    forget_descriptor(pidfd);
    close(pidfd);
    pids_[worker] = 0;
}

void Watch::send(uint32_t worker, int32_t signal) const {
    if (pids_[worker] != 0) {
        // Fails only if the process has ended, which is told by its pidfd.
        (void)syscall(SYS_pidfd_send_signal, pidfds_[worker], signal, nullptr, 0);
    }
}

bool Watch::knows(int32_t pid) const {
    for (size_t worker = 0; worker < pids_.size(); worker++) {
        if (pids_[worker] == pid) {
            return true;
        }
    }
    return false;
}

void Watch::abandon() {
    for (uint32_t worker = 0; worker < pids_.size(); worker++) {
        send(worker, SIGKILL);
    }
    for (uint32_t worker = 0; worker < pids_.size(); worker++) {
        base::Exit exit;
        while (pids_[worker] != 0 && !collect(worker, &exit)) {
            pollfd ended{};
            ended.fd = pidfds_[worker];
            ended.events = POLLIN;
            (void)poll(&ended, 1, -1); // interrupted: asked again
        }
    }
}

void Watch::disown() {
    pids_.reset();
    pidfds_.reset();
    epoll_.disown();
    timer_.disown();
    wake_.disown();
    supervisor_.disown();
}

void Watch::set_deadline(base::Instant deadline) {
    if (deadline == deadline_) {
        return;
    }
    deadline_ = deadline;
    itimerspec time{}; // all zero: never
    if (deadline != base::never) {
        time.it_value.tv_sec = static_cast<time_t>(deadline / base::second);
        time.it_value.tv_nsec = static_cast<long>(deadline % base::second);
        if (deadline == 0) {
            time.it_value.tv_nsec = 1;
        }
    }
    timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &time, nullptr);
}

int Watch::wait(int timeout_ms, const SignalBlock &block, Wakeup *ret_wakeup) {
    *ret_wakeup = Wakeup{};
    epoll_event events[Wakeup::ended_max];
    const int count = epoll_pwait(epoll_.get(), events, static_cast<int>(Wakeup::ended_max),
                                  timeout_ms, &block.host_mask());
    if (count < 0) {
        ret_wakeup->interrupted = errno == EINTR;
        return errno == EINTR ? 0 : -errno;
    }
    // With events at hand epoll_pwait returns without a look at signals. They come first: Ctrl-C
    // reaches the supervisor and its workers together.
    ret_wakeup->interrupted = block.let_through();
    for (int index = 0; index < count; index++) {
        const uint32_t tag = events[index].data.u32;
        uint64_t value = 0;
        if (tag == tag_timer) {
            // Once read it is at rest, and armed anew by whatever deadline is next.
            (void)!read(timer_.get(), &value, sizeof(value));
            deadline_ = base::never;
            ret_wakeup->timer = true;
        } else if (tag == tag_wake) {
            (void)!read(wake_.get(), &value, sizeof(value));
        } else {
            ret_wakeup->ended[ret_wakeup->ended_count++] = tag;
        }
    }
    return 0;
}

} // namespace prefork::os
