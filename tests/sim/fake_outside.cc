// Nobody outside of the simulated process: no one launched it, no service manager listens, and
// nobody reads standard error.
//
// SPDX-License-Identifier: MIT
#include "os/daemon.h"
#include "os/notify.h"
#include "os/report.h"

namespace prefork::os {

void report_lost_messages() {}

bool await_pool() { return false; }
void awaited_pool_is_ready() {}
void awaited_pool_is_gone() {}
void await_no_more_pools() {}

int Notifier::open(base::Instant /*now*/) { return 0; }
void Notifier::stopping() {}
void Notifier::update(const PoolCounts & /*counts*/, base::Instant /*now*/) {}
base::Instant Notifier::deadline() const { return base::never; }

} // namespace prefork::os
