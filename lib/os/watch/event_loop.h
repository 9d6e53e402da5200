// Workers, one timer and one wake-up behind a single descriptor that the host can wait for.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "base/exit.h"
#include "base/time.h"
#include "os/fd/borrowed_fd.h"
#include "os/fd/descriptor.h"
#include "os/fd/fd_identity.h"
#include "os/fd/pidfd.h"
#include "os/fd/pipe.h"
#include "os/signals/signals.h"
#include "os/signals/wakeup.h"
#include "os/watch/children.h"
#include "os/watch/timer.h"

namespace prefork::os {

enum class Backend : uint8_t { automatic = 0, pidfd = 1, sigchld = 2 };

// What a wait has brought.
struct WaitResult {
    static constexpr uint32_t ended_max = 64;

    uint32_t ended[ended_max]; // workers that have probably ended
    uint32_t ended_count = 0;
    bool timer = false;       // the deadline has come
    bool messages = false;    // workers have sent some
    bool interrupted = false; // a signal handler has run, or something like it
};

class EventLoop {
  public:
    EventLoop() = default;
    ~EventLoop();
    EventLoop(const EventLoop &) = delete;
    EventLoop &operator=(const EventLoop &) = delete;

    // Whether this kernel, and what filters its calls, has a backend.
    static bool supports(Backend backend);

    // Waits for the pipe of the pool's workers too. Returns 0 or a negative errno.
    [[nodiscard]] int open(Backend backend, GroupMode groups, int messages);
    // Another descriptor of messages. Returns 0 or a negative errno.
    [[nodiscard]] int add_messages(int descriptor);
    // Whether these wake.
    void watch_messages(bool on);
    [[nodiscard]] bool grow(uint32_t workers, uint32_t spares) {
        return children_.grow(workers, spares);
    }

    // Returns how many more workers could be watched now, up to the number wanted,
    // each of which needs so many descriptors, for which scratch has room; or the negative errno
    // that the first would fail with.
    int room(size_t wanted, uint32_t descriptors_each, std::span<int> scratch);

    // Begins to watch a child that has not been reaped, or whose pidfd there is already. Adopts the
    // pidfd. Returns 0 or a negative errno, with which it stays the caller's.
    [[nodiscard]] int add(uint32_t worker, int32_t pid, Pidfd *pidfd);

    // A spare becomes a worker: its process has another number from here on.
    void move(uint32_t spare, uint32_t worker) {
        newest_ = newest_ == spare ? worker : newest_;
        children_.move(spare, worker);
    }

    // The same for a worker that a former program of this process has started; its pidfd is noted,
    // or -1. What goes on without its pidfd is woken for.
    void adopt(uint32_t worker, int32_t pid, int pidfd) {
        Pidfd owned;
        owned.attach(pidfd);
        newest_ = worker;
        children_.adopt(worker, pid, &owned);
        if (!by_pidfd()) {
            wake(); // it may have ended before
        }
    }
    // The pipe by which workers of a former program of this process see that it lives.
    void adopt_liveness(int read_end, int write_end) {
        liveness_.attach(read_end, write_end);
        (void)liveness_file_.capture(read_end);
    }

    // Makes room for one more descriptor where there is none. Returns whether it could.
    bool give_up_spare();

    // If the worker has ended: reaps it, stops watching it and returns true.
    bool collect(uint32_t worker, base::Exit *ret_exit) {
        return children_.collect(worker, ret_exit);
    }

    // Returns 0 or a negative errno; -ESRCH: there is no process any more.
    [[nodiscard]] int send(uint32_t worker, int32_t signal) {
        return children_.send(worker, signal);
    }

    // After a signal that a stopped worker could not act on. It was refused as that was.
    void resume(uint32_t worker) { (void)children_.send(worker, SIGCONT); }

    // Whether the pid is that of a worker that is watched.
    [[nodiscard]] bool knows(int32_t pid) const { return children_.knows(pid); }
    // Which one; UINT32_MAX: none.
    [[nodiscard]] uint32_t find(int32_t pid) const { return children_.find(pid); }

    // Kills all workers that are left and reaps them, within a bound: some may not let themselves
    // be killed, or reaped. Those are still watched after it. Reports each end, unless it is
    // nullptr.
    using EndFunction = void (*)(void *user, uint32_t worker, const base::Exit &exit);
    void abandon(EndFunction report, void *user);

    // The pid of a worker that is watched; 0: it is not.
    [[nodiscard]] int32_t pid(uint32_t worker) const {
        return children_.has_place(worker) ? children_.pid(worker) : 0;
    }

    // Once nothing is watched any more: signals do not wake it, and the host has its SIGCHLD again.
    void retire();

    // Whether the host has left the descriptors alone, as far as can be known at once.
    [[nodiscard]] bool is_whole() const;
    // The same by one system call, if the worker that was added last is watched by a pidfd, and
    // false if not. A host that has closed all descriptors would have to have an epoll of its own
    // and another file in it under exactly these two numbers.
    [[nodiscard]] bool knows_newest() const;
    // Lets go of those that it has closed; what is left is known by pids. The pipe of open() may be
    // one of them.
    void let_go_of_lost(bool has_messages);

    // In a worker, where all is closed: lets go of numbers that may mean something else by now.
    void disown();

    // A deadline that is past makes the descriptor readable at once.
    void set_deadline(base::Instant deadline);

    // Waits, with the host's signal mask, until there is something to handle; a time-out of 0 only
    // checks, -1 waits without end. Returns 0 or a negative errno.
    [[nodiscard]] int wait(int timeout_ms, SignalBlock &block, WaitResult *ret_result);

    // Makes the descriptor readable. Async-signal-safe, and for any thread.
    void wake() const;

    // The negative errno of the refusal where there is no timer: nothing makes it readable at a
    // deadline then.
    [[nodiscard]] int descriptor() const {
        return timer_.refusal() < 0 ? timer_.refusal() : epoll_.get();
    }
    // Without pidfds: the end of a pipe that workers keep, whose other end only the supervisor has.
    [[nodiscard]] int liveness() const { return liveness_.read_end(); }
    [[nodiscard]] int liveness_write_end() const { return liveness_.write_end(); }
    // The pidfd of a worker that is watched; -1: none.
    [[nodiscard]] int pidfd(uint32_t worker) const {
        return pid(worker) != 0 ? children_.handle(worker).pidfd : -1;
    }
    [[nodiscard]] int supervisor_pidfd() const { return supervisor_.get(); }
    // Makes sure that the status of every worker is known. If the kernel reaps children, and
    // reports no status afterwards, it is kept from it until the end. The other children of the
    // host are then reaped as before.
    void keep_statuses();
    void reap_for_host() const;

    [[nodiscard]] bool knows_all_statuses() const { return knows_all_statuses_; }
    [[nodiscard]] bool by_pidfd() const { return backend_ == Backend::pidfd; }

  private:
    void stop_waking();
    [[nodiscard]] int check_wait() const;
    int register_descriptor(int descriptor, uint32_t tag);
    [[nodiscard]] bool is_registered(int descriptor, uint32_t tag) const;
    [[nodiscard]] bool is_our_epoll(int epoll) const;
    void lose_wake();
    int open_spare();
    void look_for_ended(WaitResult *ret_result);

    Descriptor epoll_;
    Timer timer_;
    Wakeup wake_;
    Pidfd supervisor_;
    Pipe liveness_;
    Descriptor spare_; // given up for a worker that has been forked when there are no others
    Children children_;
    base::Instant next_check_ = base::never; // whether the host has replaced the SIGCHLD handler
    uint32_t next_look_ = 0;                 // the worker with which the next check begins
    uint32_t newest_ = 0;                    // the worker that was added last
    Backend backend_ = Backend::automatic;
    BorrowedFd messages_;      // the read end of the pool's pipe
    BorrowedFd more_messages_; // -1: none
    bool waits_for_messages_ = true;
    int timer_error_ = 0; // -EBADF: the host has closed it
    FdIdentity liveness_file_;
    bool knows_all_statuses_ = false;
    bool keeps_statuses_ = false; // SIGCHLD has a handler, and no child is reaped by the kernel
    bool registered_ = false;
    bool wakes_ = false; // wake_ is known to the signal handlers
};

} // namespace prefork::os
