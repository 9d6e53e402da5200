// The process's signals: blocked while the library must not be interrupted.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>
#include <stdint.h>

namespace prefork::os {

// Holds all signals back while it lives, except those that a fault of the program itself raises.
class SignalBlock {
  public:
    SignalBlock();
    ~SignalBlock();
    SignalBlock(const SignalBlock &) = delete;
    SignalBlock &operator=(const SignalBlock &) = delete;

    // The mask that the host had.
    [[nodiscard]] const sigset_t &host_mask() const { return host_mask_; }

    // Whether a signal has come meanwhile that the host has not blocked, other than the end of a
    // child.
    [[nodiscard]] bool has_pending() const;
    // Lets those signals through that the host has not blocked and that have come meanwhile.
    // Returns whether there was any.
    bool deliver_pending();

    // Unblocks them, as for a callback of the host, and blocks them again. A second call in a row
    // does nothing.
    void unblock();
    void block();
    [[nodiscard]] bool is_blocking() const { return is_blocking_; }

    // Whether the kernel reaps children, because SIGCHLD is ignored: as it was when the
    // signals were blocked last.
    [[nodiscard]] bool children_reap_themselves() const { return children_reap_themselves_; }

  private:
    void block_all(sigset_t *ret_before);

    sigset_t host_mask_{}; // none, where a filter of system calls forbids to block
    bool is_blocking_ = true;
    bool children_reap_themselves_ = false;
};

// Signals of this thread that are blocked over a fork of the host's, in both processes.
class HeldSignals {
  public:
    HeldSignals() = default;
    ~HeldSignals() { release(); }
    HeldSignals(const HeldSignals &) = delete;
    HeldSignals &operator=(const HeldSignals &) = delete;

    // Blocks all but those that a fault of the program itself raises. Returns false if they are
    // blocked already.
    bool hold();
    // Restores the mask from before hold(), if that was called.
    void release();
    // The mask from before hold(); nullptr: it was not called.
    [[nodiscard]] const sigset_t *mask() const { return held_ ? &before_ : nullptr; }

  private:
    sigset_t before_{};
    bool held_ = false;
};

// Whether this thread blocks all signals that it can, other than those of faults and SIGCHLD.
bool blocks_all_signals();

bool is_signal_or_none(int signal);

// Whether its default action ends a process.
bool ends_a_process(int signal);

} // namespace prefork::os
