// Reaping what a process that is PID 1 has adopted.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/time.h"
#include "os/watch/child_list.h"
#include "os/watch/event_loop.h"

namespace prefork::os {

// The numbers are those of PF_REAP_... in prefork.h.
enum class ReapMode : uint8_t {
    none = 0,
    adopted = 1, // never a child of the host
    all = 2,     // every child that is no worker of any pool
};

// The kernel does not distinguish an adopted child from a child of one's own. So where the host has
// children, those that are there before the pool starts, or appear while the host's code runs,
// count as the host's; of the others, those that are not workers have been adopted.
class OrphanReaper {
  public:
    OrphanReaper() = default;
    ~OrphanReaper() { close(); }
    OrphanReaper(const OrphanReaper &) = delete;
    OrphanReaper &operator=(const OrphanReaper &) = delete;

    // Without /proc, where nothing can be known of children, only the mode for all reaps. Until
    // close() SIGCHLD wakes all pools, beside whatever handler the host has for it.
    void open(ReapMode mode);
    void close();
    void disown() { mode_ = ReapMode::none; }

    // Around code of the host that may fork.
    void before_host_code();
    void after_host_code(const EventLoop &workers);

    // Reaps all that have ended.
    void reap();

    // When to reap though nothing has woken the pool: a host may block SIGCHLD, or replace the
    // handler while it waits in a loop of its own.
    [[nodiscard]] base::Instant next_look() const {
        return mode_ == ReapMode::none ? base::never : next_look_;
    }

  private:
    void add_new_to_host(const EventLoop &workers);
    void reap_hidden();
    [[nodiscard]] bool is_spared(int32_t pid) const;

    ReapMode mode_ = ReapMode::none;
    bool is_informed_ = false;
    bool has_own_proc_ = false; // /proc shows the pid namespace of this process
    bool beside_threads_ = false;
    base::Instant next_look_ = base::never;
    int32_t newest_ = 0; // without it: the newest pid before the host's code
    ChildList of_host_;
    ChildList seen_;
    ChildList now_;
};

} // namespace prefork::os
