// In a worker by exec: the descriptors that it was given, from 3 on, as PF_FDS lists them; see
// inherited_fds.h for its text.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/spawn/worker_resources.h"

namespace prefork::os {

// What was passed on for this process is not for the programs that it executes. Returns false for a
// descriptor that is not open.
bool keep_from_children(int descriptor);

// Adopts what the text lists, those with names as resources. A text that no supervisor has
// written, or that lists a descriptor that is not open, changes nothing. Returns 0 or a
// negative errno.
[[nodiscard]] int adopt_inherited_fds(const char *text, WorkerResources *resources);

} // namespace prefork::os
