// Decides what follows from the end of a worker that was not asked to stop.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "core/settings.h"

namespace prefork::core {

struct ExitVerdict {
    bool restart = false;
    bool counts = false; // the restart is one to which the limits and the delay apply
    bool fatal = false;  // for the pool
};

// The action for its status comes first, and the restart policy decides the rest. A normal exit
// is one that needs no restart.
[[nodiscard]] ExitVerdict judge_exit(const Settings &settings, ExitAction action, bool normal,
                                     Duration uptime);

} // namespace prefork::core
