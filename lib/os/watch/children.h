// A hold on each worker: by its pidfd, or by its pid where the kernel gives no pidfds.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "base/exit.h"
#include "base/time.h"
#include "base/worker_array.h"
#include "os/fd/pidfd.h"
#include "os/watch/process_handle.h"

namespace prefork::os {

// Whether workers lead process groups. The numbers are those of PF_GROUP_... in prefork.h.
enum class GroupMode : uint8_t {
    none = 0,
    signals = 1, // the group gets every signal that its worker gets
    kill = 2,    // what is left of it is killed when its worker has ended
};

class Children {
  public:
    Children() = default;
    Children(const Children &) = delete;
    Children &operator=(const Children &) = delete;

    // With pidfds each is added to the epoll with the worker's number.
    void open(bool by_pidfd, GroupMode groups, int epoll);
    [[nodiscard]] bool grow(uint32_t workers, uint32_t spares);

    // Adopts the pidfd, which is opened where it is missing. Returns 0 or a negative errno, with
    // which it stays the caller's.
    [[nodiscard]] int add(uint32_t worker, int32_t pid, Pidfd *pidfd);

    // The same for one that a former program of this process has started: it cannot fail. One that
    // cannot be watched is looked at in time.
    void adopt(uint32_t worker, int32_t pid, Pidfd *pidfd);

    // The process has another number from here on.
    void move(uint32_t from, uint32_t to);

    // If the worker has ended: reaps it, lets go of it and returns true. One that has ended and can
    // not be reaped, because a tracer holds it, is not watched any more but looked at in time.
    bool collect(uint32_t worker, base::Exit *ret_exit);

    // Whether the worker has ended, or was reaped by others, as far as can be known without reaping
    // it.
    [[nodiscard]] bool may_have_ended(uint32_t worker, bool *ret_certain) const;

    // Sends to a worker that has not been collected, and so never to another process with its pid.
    // Returns 0 or a negative errno; -ESRCH: there is no process any more.
    [[nodiscard]] int send(uint32_t worker, int32_t signal);

    [[nodiscard]] ProcessHandle handle(uint32_t worker) const {
        return {children_[worker].pid, children_[worker].pidfd};
    }

    [[nodiscard]] bool has(uint32_t worker) const { return children_[worker].pid != 0; }
    [[nodiscard]] bool has_place(uint32_t worker) const { return children_.has(worker); }
    [[nodiscard]] int32_t pid(uint32_t worker) const { return children_[worker].pid; }
    // Also for other threads, under the lock of the process.
    [[nodiscard]] bool knows(int32_t pid) const { return find(pid) != UINT32_MAX; }
    [[nodiscard]] uint32_t find(int32_t pid) const; // UINT32_MAX: none has it
    // For loops over all of them.
    [[nodiscard]] uint32_t size() const { return children_.size(); }
    [[nodiscard]] uint32_t id_at(uint32_t index) const { return children_.id_at(index); }
    [[nodiscard]] uint32_t count() const { return count_; }

    // When those that cannot be reaped are to be looked at again; never: there are none.
    [[nodiscard]] base::Instant next_look() const { return next_look_; }

    // If that has come: writes down as many of them as there is room for, and returns how many.
    uint32_t list_due(base::Instant now, std::span<uint32_t> ret_workers);

    // Lets go of the pidfds that the host has closed, or all of them without an epoll: those
    // workers are known by their pids from here on, and looked at in time.
    void let_go_of_lost(bool has_epoll);

    // Stops watching those that are left, without reaping them.
    void let_go();

    void disown();

  private:
    struct Child {
        int32_t pid; // 0: none
        int pidfd;   // -1: none
        bool held;   // looked at in time: it has ended, and could not be reaped yet
    };

    [[nodiscard]] int watch(uint32_t worker, Pidfd *pidfd);
    [[nodiscard]] bool is_registered(uint32_t worker) const;
    void lose_pidfd(uint32_t worker);
    void hold(uint32_t worker, base::Duration delay);
    void set_pid(uint32_t worker, int32_t pid);
    void remove(uint32_t worker, bool is_our_pidfd);

    base::WorkerArray<Child> children_;
    uint32_t count_ = 0;
    uint32_t held_count_ = 0;
    uint32_t first_due_ = 0; // the index with which the next check begins
    base::Instant next_look_ = base::never;
    base::Duration look_delay_ = 0;
    int epoll_ = -1;
    bool by_pidfd_ = true;
    GroupMode groups_ = GroupMode::none;
};

} // namespace prefork::os
