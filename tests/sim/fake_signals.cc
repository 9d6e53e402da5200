// The signals of the simulated process.
//
// SPDX-License-Identifier: MIT
#include <utility>

#include "host.h"
#include "model.h"
#include "os/signals/pool_signals.h"
#include "os/signals/signals.h"
#include "violation.h"
#include "world.h"

using sim::host;
using sim::model;
using sim::require;
using sim::violate;
using sim::world;

namespace prefork::os {

SignalBlock::SignalBlock() : host_mask_{}, children_reap_themselves_(world.may_vanish) {
    world.signals_blocked += 1;
    world.called();
}
SignalBlock::~SignalBlock() { unblock(); }
bool SignalBlock::deliver_pending() { return world.waiting && world.interrupted; }
// None comes between starts.
bool SignalBlock::has_pending() const { return false; }
void SignalBlock::unblock() {
    world.signals_blocked -= std::exchange(is_blocking_, false) ? 1U : 0U;
}
void SignalBlock::block() {
    if (!std::exchange(is_blocking_, true)) {
        world.signals_blocked += 1;
        model.handle_requests(); // of the callbacks that were called
    }
}

void OwnSignals::claim(SignalSet set, const sigset_t & /*host_mask*/) {
    require(!world.signals_held, "own-signals", "they are taken twice");
    world.signals_held = true;
    world.signals_claimed = set;
    set_ = set;
    held_ = 1;
}

void OwnSignals::release() {
    if (held_ != 0) {
        held_ = 0;
        world.signals_held = false;
        world.own_signals = 0;
    }
}

bool OwnSignals::next(SignalRequest *ret_request) {
    world.called();
    require(world.reaping || !world.in_child, "detached-child-acts", "it looks for signals");
    if (!host.next_own_signal(ret_request)) {
        model.no_more_signals();
        return false;
    }
    seen_[0] += 1; // they are not told apart here
    seen_hangups_ = 0;
    model.own_signal(*ret_request);
    return true;
}

SignalRequest standard_request(uint32_t place) {
    violate("own-signals", "signal %u is looked for, which nobody has given", place);
    return {};
}

} // namespace prefork::os
