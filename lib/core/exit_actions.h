// The action that the host has set for each exit status.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "core/values.h"

namespace prefork::core {

// The numbers are those of PF_EXIT_* in prefork.h.
enum class ExitAction : uint8_t { standard = 0, restart = 1, done = 2, fatal = 3 };

// What the host chose for each exit status, in two bits.
class ExitActions {
  public:
    static constexpr int32_t statuses = 256;

    void set(int32_t status, ExitAction action) {
        uint8_t &four = table_[status / 4];
        four = static_cast<uint8_t>(four & ~(3U << shift(status)));
        four = static_cast<uint8_t>(four | static_cast<unsigned>(action) << shift(status));
    }

    // A worker that did not exit has no status.
    [[nodiscard]] ExitAction of(const Exit &exit) const {
        if (exit.kind != Exit::Kind::exited || exit.code < 0 || exit.code >= statuses) {
            return ExitAction::standard;
        }
        return static_cast<ExitAction>(table_[exit.code / 4] >> shift(exit.code) & 3U);
    }

  private:
    static constexpr unsigned shift(int32_t status) {
        return 2 * (static_cast<unsigned>(status) % 4);
    }

    uint8_t table_[statuses / 4] = {};
};

} // namespace prefork::core
