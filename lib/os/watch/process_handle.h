// A child that has not been reaped: its pid, and its pidfd where there is one.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/time.h"

namespace prefork::os {

struct ProcessHandle {
    int32_t pid;
    int pidfd; // -1: none
};

// What is known of the process with a pid, as far as it is a child of this process.
enum class ChildState : uint8_t {
    running, // or dead while a tracer holds it
    zombie,
    none,    // no child of this process, or one that has been reaped
    unknown, // nothing may be asked
};

// Does not reap.
[[nodiscard]] ChildState state_of_child(int32_t pid);

// Sends a signal, 0 only checks. Where the pidfd may not be used for it, the pid is, as long as it
// is that of an unreaped child. Returns 0 or a negative errno; -ESRCH: it has been reaped.
[[nodiscard]] int send_signal(const ProcessHandle &process, int32_t signal);

// The same for the process group with the pid's number; -ESRCH: it has no process.
[[nodiscard]] int send_signal_to_group(const ProcessHandle &process, int32_t signal);

// Waits for ends, as long as one of them comes within a bound.
class EndWait {
  public:
    explicit EndWait(base::Duration bound);

    // One has come.
    void begin_anew();

    // Waits a moment for the end of a process that could not be collected yet. Returns false, at
    // once, when the time is over.
    [[nodiscard]] bool wait(const ProcessHandle &process);

  private:
    base::Duration bound_;
    base::Instant deadline_;
    int pause_ms_ = 1;
};

} // namespace prefork::os
