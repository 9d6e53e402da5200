// What is not simulated.
//
// SPDX-License-Identifier: MIT
#include "model.h"
#include "os/channel/notify_socket.h"
#include "os/spawn/environment.h"
#include "os/watch/event_loop.h"
#include "os/watch/oom_count.h"
#include "os/watch/orphans.h"
#include "os/watch/worker_registry.h"
#include "world.h"

using sim::model;
using sim::world;

namespace prefork::os {

// ---- Of programs that do not use the library, only that they hang -----------------------------

int NotifySocket::open() { return 0; }
NotifySocketSnapshot NotifySocket::snapshot() const { return {}; }
int NotifySocket::adopt(const NotifySocketSnapshot & /*saved*/) { return 0; }
void NotifySocket::close() {}
bool NotifySocket::next(Notification *ret_notification, int32_t *ret_pid) {
    if (world.hang_reports.empty()) {
        model.no_more_messages();
        return false;
    }
    *ret_notification = Notification{};
    ret_notification->hangs = true;
    *ret_pid = world.hang_reports.front();
    world.hang_reports.erase(world.hang_reports.begin());
    model.hangs(sim::find_worker(*ret_pid));
    return true;
}
void NotifySocket::let_go_of_lost() {}
void NotifySocket::disown() {}
int EventLoop::add_messages(int /*descriptor*/) { return 0; }
void WorkerEnvironment::set_notification(const char * /*path*/, base::Duration /*watchdog*/) {}

// ---- The control group ----------------------------------------------------------------------

bool OomCount::has_risen() {
    model.looked_for_oom();
    const bool has_risen = world.oom_kills > world.oom_seen;
    world.oom_seen = world.oom_kills;
    return has_risen;
}

// ---- Orphans are not simulated --------------------------------------------------------------

void OrphanReaper::open(ReapMode /*mode*/) {}
void OrphanReaper::close() {}
void OrphanReaper::before_host_code() {}
void OrphanReaper::after_host_code(const EventLoop & /*workers*/) {}
void OrphanReaper::reap() {}
ChildList::~ChildList() {}
void EventLoop::keep_statuses() {}
void EventLoop::reap_for_host() const {}
void begin_starts() {}
void end_starts() {}

} // namespace prefork::os
