// The signals that control a pool, claimed where the host left them alone.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>
#include <span>
#include <stdint.h>

namespace prefork::os {

// The signals that a pool claims while it runs, in the numbers of PF_SIGNALS_...
enum class SignalSet : uint8_t {
    none = 0,
    standard = 1,
    stops = 2, // TERM, INT, QUIT and HUP stop it gracefully
};

// What a signal asks a pool for.
struct SignalRequest {
    enum class Kind : uint8_t { stop, quick_stop, reload, grow, shrink, pass_on };

    Kind kind;
    int number;
};

inline constexpr uint32_t pool_signals_max = 9;

// The index of a signal among those of the standard set, or -1; and what that one asks for.
int standard_index(int signal);
SignalRequest standard_request(uint32_t index);

// The signals of a set, each only where the disposition is the default and the signal is not
// blocked. Several pools may have the same signal: each gets it.
class OwnSignals {
  public:
    OwnSignals() = default;
    ~OwnSignals() { release(); }
    OwnSignals(const OwnSignals &) = delete;
    OwnSignals &operator=(const OwnSignals &) = delete;

    // Each signal that arrives is counted and wakes all pools.
    void claim(SignalSet set, const sigset_t &host_mask);

    // The signals of the set that could not be claimed, because the host handles, ignores or blocks
    // them.
    [[nodiscard]] std::span<const int> unavailable() const {
        return {&unavailable_[0], unavailable_count_};
    }

    void release();
    void disown() { held_ = 0; }

    // Pops a signal that has come, those that ask for a stop first; returns false if there is none.
    bool next(SignalRequest *ret_request);

  private:
    bool find_next(SignalRequest *ret_request);

    SignalSet set_ = SignalSet::none;
    uint32_t held_ = 0; // a bit for each signal
    uint32_t seen_[pool_signals_max] = {};
    uint32_t seen_changes_ = 0; // with which nothing was found
    uint32_t seen_hangups_ = 0;
    int unavailable_[pool_signals_max] = {};
    uint32_t unavailable_count_ = 0;
};

// In a new worker: the host's dispositions instead of the library's handlers.
void restore_pool_signals();

} // namespace prefork::os
