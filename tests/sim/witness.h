// What anybody could see from outside, held against the promises: which processes there are, who is
// asked to stop, and what the host is told. Unlike the model it knows nothing of how a pool
// decides.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "core/event.h"
#include "core/settings.h"
#include "world.h"

namespace sim {

class Witness {
  public:
    void begin(const prefork::core::Settings &settings);

    // What the host wants.
    void wants_reload() { reloads_wanted_ += 1; }
    void wants_restart(uint32_t slot);
    void wants_stop(uint32_t slot);
    void wants_retirement() { some_retire_ = true; }

    // What the pool does.
    void started(uint32_t worker);
    void asked(uint32_t worker, bool running, uint32_t slots);
    void told(const prefork::core::Event &event);

    [[nodiscard]] size_t ends_missing() const { return starts_ - ends_; }

  private:
    enum : uint8_t {
        seen_start = 1,
        seen_ready = 2,
        seen_silence = 4,
        seen_refusal = 32,
        seen_kill = 8,
        seen_end = 16,
        seen_spare = 64
    };

    void told_of_worker(const prefork::core::Event &event);
    void told_of_reload(const prefork::core::Event &event);
    [[nodiscard]] bool is_to_be_replaced(uint32_t worker) const;
    [[nodiscard]] bool replaces_one() const {
        return host_wanted_any_ || some_retire_ || settings_.lifetime > 0;
    }
    [[nodiscard]] bool is_good(const Process &process, uint32_t worker) const;

    prefork::core::Settings settings_;
    std::vector<uint8_t> seen_;    // of each process
    std::vector<bool> host_wants_; // a restart of the slot, at some time
    std::vector<bool> host_stops_; // the slot's worker, at some time
    bool host_wanted_any_ = false;
    bool some_retire_ = false;
    uint32_t reloads_wanted_ = 0;
    uint32_t reloads_begun_ = 0;
    uint32_t starts_ = 0;
    uint32_t ends_ = 0;
    bool reloading_ = false;
    bool perhaps_failed_ = false;
    bool stopping_ = false;
    bool any_ = false;
    bool done_ = false;
};

extern Witness witness;

} // namespace sim
