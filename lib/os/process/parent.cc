// SPDX-License-Identifier: MIT
#include "os/process/parent.h"

#include <unistd.h>

#include "os/fd/pidfd.h"

namespace prefork::os {

Parent find_parent(int32_t supervisor, int supervisor_pidfd) {
    const pid_t parent = getppid();
    if (parent == supervisor) {
        return Parent::supervisor;
    }
    // A parent outside of this pid namespace is 0. Then it is enough that the supervisor lives.
    if (parent != 0) {
        return Parent::other;
    }
    if (!is_pidfd(supervisor_pidfd)) {
        return Parent::unknown;
    }
    return has_ended(supervisor_pidfd) ? Parent::other : Parent::supervisor;
}

} // namespace prefork::os
