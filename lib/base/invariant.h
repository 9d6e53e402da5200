// Invariants of the library itself: a broken one is a bug of ours, never a fault of the world.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::base {

// Tells whether an invariant holds. Built for tests (PF_TESTING) a broken one aborts at once;
// in a release build the caller is told and gives up in an orderly way: the host is never aborted.
[[nodiscard]] inline bool holds(bool condition) {
#ifdef PF_TESTING
    if (!condition) {
        __builtin_trap();
    }
#endif
    return condition;
}

} // namespace prefork::base
