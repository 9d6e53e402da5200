// Nobody outside of the simulated process: no one launched it, and no service manager listens.
//
// SPDX-License-Identifier: MIT
#include "os/daemon.h"
#include "os/notify.h"

namespace prefork::os {

bool await_pool() { return false; }
void awaited_pool_is_ready() {}
void awaited_pool_is_gone() {}
void await_no_more_pools() {}

int Notifier::open(base::Instant /*now*/) { return 0; }
void Notifier::stopping() {}
void Notifier::update(const PoolCounts & /*counts*/, base::Instant /*now*/) {}
base::Instant Notifier::deadline() const { return base::never; }

} // namespace prefork::os
