// The service manager that a simulated pool notifies: what it was sent, and what it expects.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "world.h"

namespace sim {

class Manager {
  public:
    enum class State : uint8_t { starting, ready, reloading, stopping };
    enum class Mode : uint8_t { none, plain, watchdog };

    void begin(Mode mode);
    [[nodiscard]] bool is_there() const { return mode_ != Mode::none; }
    [[nodiscard]] bool has_watchdog() const { return mode_ == Mode::watchdog; }

    void set_trouble(const Trouble &trouble);
    void connect();
    int next_send_error();
    void receive(const char *text);

    // Around an update by the pool: what it had to send by then, and what it has sent.
    void expect();
    void check();
    // The pool looks when it has to update next.
    void note_deadline(Instant deadline);
    [[nodiscard]] Instant deadline() const { return deadline_; }
    void close();

  private:
    void move_to(State state);
    void receive_status(const char *text);
    [[nodiscard]] bool is_status_current() const;

    Mode mode_ = Mode::none;
    State state_ = State::starting;
    State expected_ = State::starting;
    bool ready_expected_ = false; // all workers have been ready at one time
    uint64_t reloads_seen_ = 0;
    bool reload_expected_ = false; // one that began since then is to be reported, or is
    bool reload_unreported_ = false;
    bool connected_ = false;
    bool refused_ = false; // something of this update
    bool closed_ = false;
    Trouble trouble_; // of the next messages
    Instant deadline_ = prefork::base::never;
    Instant alive_at_ = 0;
    Instant status_at_ = 0;
    Instant status_retry_until_ = 0;
    uint32_t statuses_ = 0;
    uint32_t status_[3] = {}; // ready, slots, processes
};

extern Manager manager;

} // namespace sim
