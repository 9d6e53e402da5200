// Reaping what a process that is PID 1 has adopted, and never the host's own children.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "os/watch.h"

namespace prefork::os {

// The kernel does not tell an adopted child from a child of one's own. So the children that are
// there before the pool starts, or appear while the host's code runs, count as the host's; of the
// others, those that are not workers have been adopted.
class OrphanReaper {
  public:
    OrphanReaper() = default;
    ~OrphanReaper();
    OrphanReaper(const OrphanReaper &) = delete;
    OrphanReaper &operator=(const OrphanReaper &) = delete;

    // Without /proc, where nothing can be known of children, nothing is ever reaped.
    void open();

    // Around code of the host that may fork.
    void before_host_code();
    void after_host_code(const Watch &workers);

    // Reaps all adopted children that have ended.
    void reap(const Watch &workers);

  private:
    // Process ids, sorted. Grows: what a host forks has no bound that the library could know.
    struct Pids {
        int32_t *values = nullptr;
        uint32_t count = 0;
        uint32_t capacity = 0;

        bool add(int32_t pid);
        [[nodiscard]] bool has(int32_t pid) const;
        bool read_children();
        bool probe_children(int32_t first);
        void sort();
        void swap(Pids &other);
    };

    void add_new_to_host(const Watch &workers);
    void reap_hidden(const Watch &workers);

    bool is_informed_ = false;
    bool has_own_proc_ = false; // /proc speaks of this process's pid namespace
    int32_t newest_ = 0;        // without it: the newest pid before the host's code
    Pids of_host_;
    Pids seen_;
    Pids now_;
};

} // namespace prefork::os
