// Invariants of the library itself: a broken one is a bug of ours, never a fault of the world.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::base {

// Returns whether an invariant holds. Built for tests (PF_TESTING), a broken one aborts at once. In
// a release build the caller fails in an orderly way: the host is never aborted.
[[nodiscard]] inline bool holds(bool condition) {
#ifdef PF_TESTING
    if (!condition) {
        __builtin_trap();
    }
#endif
    return condition;
}

} // namespace prefork::base
