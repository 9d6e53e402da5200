// Watching workers, one timer and one wake-up through a single descriptor: pidfds in an epoll.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "base/array.h"
#include "base/exit.h"
#include "base/time.h"
#include "os/descriptor.h"
#include "os/signals.h"

namespace prefork::os {

// What a wait has brought.
struct Wakeup {
    static constexpr uint32_t ended_max = 64;

    uint32_t ended[ended_max]; // workers that have probably ended
    uint32_t ended_count = 0;
    bool timer = false;       // the deadline has come
    bool interrupted = false; // a signal handler has run, or something like it
};

class Watch {
  public:
    Watch() = default;
    ~Watch();
    Watch(const Watch &) = delete;
    Watch &operator=(const Watch &) = delete;

    // Returns 0 or a negative errno.
    [[nodiscard]] int open(uint32_t workers);

    // Tells how many more workers could be watched now, up to the size of scratch; or the negative
    // errno that the first would fail with.
    int room(std::span<int> scratch) const;

    // Begins to watch a child that has not been reaped. Returns 0 or a negative errno.
    [[nodiscard]] int add(uint32_t worker, int32_t pid);

    // If the worker has ended: reaps it, stops watching it and returns true.
    bool collect(uint32_t worker, base::Exit *ret_exit);

    // Sends to a worker that has not been collected, and so never to a stranger with its pid.
    void send(uint32_t worker, int32_t signal) const;

    // Whether the pid is that of a worker that is watched.
    [[nodiscard]] bool knows(int32_t pid) const;

    // Kills and reaps all workers that are left.
    void abandon();

    // In a worker, where all is closed: lets go of numbers that may mean something else by now.
    void disown();

    void set_deadline(base::Instant deadline);

    // Waits, with the host's signal mask, until there is something to tell; a time-out of 0 only
    // looks, -1 waits without end. Returns 0 or a negative errno.
    [[nodiscard]] int wait(int timeout_ms, const SignalBlock &block, Wakeup *ret_wakeup);

    [[nodiscard]] int wake_descriptor() const { return wake_.get(); }
    [[nodiscard]] int supervisor_pidfd() const { return supervisor_.get(); }

  private:
    void remove(uint32_t worker);
    int register_descriptor(int descriptor, uint32_t tag);

    Descriptor epoll_;
    Descriptor timer_;
    Descriptor wake_;
    Descriptor supervisor_;
    base::Array<int32_t> pids_; // of each worker; 0: not watched
    base::Array<int> pidfds_;   // valid where the pid is not 0
    base::Instant deadline_ = base::never;
};

} // namespace prefork::os
