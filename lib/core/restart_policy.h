// How often and how soon workers are restarted.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/ring.h"
#include "core/settings.h"

namespace prefork::core {

// The limits count restarts over all workers: over the pool's life, and in a sliding window. A
// restart counts from the moment at which it is decided.
class RestartPolicy {
  public:
    [[nodiscard]] bool open(const Settings &settings) {
        settings_ = settings;
        random_ = settings.seed;
        return recent_.grow(settings.window_max);
    }

    // Whether one more restart is allowed; if so, it is counted.
    bool allow(Instant now);

    // Forgets all restarts that were counted.
    void begin_anew();

    // The delay before a worker's next restart. The undrawn delay is kept by the worker's slot.
    Duration draw_delay(Duration uptime, Duration *undrawn);

    // The age at which a worker is replaced.
    Duration draw_lifetime(const Settings &settings);

    [[nodiscard]] int32_t counted() const { return counted_; }
    void set_counted(int32_t counted) { counted_ = counted > 0 ? counted : 0; }

  private:
    uint64_t next_random();

    Settings settings_;
    base::Ring<Instant> recent_; // the restarts in the window, the oldest first
    uint64_t random_ = 0;
    int32_t counted_ = 0;
};

} // namespace prefork::core
