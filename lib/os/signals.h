// The process's signals: blocked while the library works, taken where the host left them alone.
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

    // Lets those signals through that the host has not blocked and that have come meanwhile.
    // Returns whether there was any.
    bool let_through() const;

    // For the time of a host's callback.
    void lift() const;
    void impose() const;

  private:
    sigset_t host_mask_;
};

// Handlers for TERM, INT, QUIT and HUP, and CHLD on wish, each only where the disposition is the
// default and the signal is not blocked. One at a time in the process.
class OwnSignals {
  public:
    OwnSignals() = default;
    ~OwnSignals() { give_back(); }
    OwnSignals(const OwnSignals &) = delete;
    OwnSignals &operator=(const OwnSignals &) = delete;

    // Each signal that arrives is counted and writes to the descriptor, an eventfd.
    void take(const sigset_t &host_mask, bool children_too, int wake_descriptor);
    void give_back();
    void disown() { active_ = false; }

    // In a new worker: the host's dispositions again. Async-signal-safe.
    void restore_in_worker() const;

    // Takes one signal that asks for an end, in the order TERM, INT, QUIT, HUP; 0: none.
    int next_request();
    // Whether SIGCHLD has come since the last call.
    bool child_ended();

  private:
    bool active_ = false;
};

// Ends this process by the signal, as if the library had never been there. Where that does not
// end it (PID 1 of a namespace) it exits with 128 + signal.
[[noreturn]] void die_of(int signal);

// Whether children are reaped by the kernel or could be by another thread before the library has
// a hold of them.
bool children_may_vanish(bool threads);

} // namespace prefork::os
