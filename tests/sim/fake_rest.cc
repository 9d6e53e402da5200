// What pool and workers tell each other, over the simulated world.
//
// SPDX-License-Identifier: MIT
#include <cerrno>

#include "host.h"
#include "model.h"
#include "os/channel/supervisor_channel.h"
#include "os/spawn/environment.h"
#include "os/watch/event_loop.h"
#include "os/watch/oom_count.h"
#include "os/watch/orphans.h"
#include "os/watch/worker_registry.h"
#include "violation.h"
#include "witness.h"
#include "world.h"

using sim::host;
using sim::model;
using sim::world;

namespace prefork::os {

KeyPage::~KeyPage() {}
SupervisorChannel::~SupervisorChannel() {}

int SupervisorChannel::open(const ChannelOptions &options) {
    options_ = options;
    return 0;
}

bool SupervisorChannel::grow(uint32_t workers, uint32_t spares) {
    return states_.grow(workers) && states_.grow_spares(spares);
}

WorkerLink SupervisorChannel::link_of_all() const { return {}; }

int SupervisorChannel::begin_start(uint32_t worker, base::Instant /*now*/, WorkerLink *ret_link) {
    sim::require(!world.shares[worker].is_begun, "channel",
                 "a worker begins before the channel knows of the end of the one before");
    world.begin_life(worker);
    world.shares[worker].is_begun = true;
    ret_link->instance = {1, worker};
    return 0;
}

void SupervisorChannel::end_start(uint32_t worker, bool started) {
    world.shares[worker].is_begun = started;
}
void SupervisorChannel::ended(uint32_t worker) { world.begin_life(worker); }
int SupervisorChannel::announced_exit(uint32_t /*worker*/) const { return -1; }

void SupervisorChannel::begin_read(base::Instant /*now*/) { model.settle(); }

bool SupervisorChannel::next(Message *ret_message) {
    if (world.messages.empty()) {
        model.no_more_messages();
        return false;
    }
    const sim::SentMessage message = world.messages.front();
    world.messages.erase(world.messages.begin());
    switch (message.kind) {
    case sim::SentMessage::Kind::flood:
        *ret_message = {Message::Kind::flood, message.worker};
        model.flooded(message.worker);
        break;
    case sim::SentMessage::Kind::hang:
        *ret_message = {Message::Kind::hang, message.worker};
        model.hangs(message.worker);
        break;
    case sim::SentMessage::Kind::retire:
        *ret_message = {Message::Kind::retire, message.worker};
        model.retired(message.worker);
        break;
    case sim::SentMessage::Kind::ready:
        *ret_message = {Message::Kind::ready, message.worker};
        model.said_ready(message.worker);
        break;
    }
    return true;
}

uint32_t SupervisorChannel::heartbeats(uint32_t worker) const {
    const sim::Process &process = world.instances[worker];
    if (process.pid != 0 && !process.ended && !process.hung && world.all_beat) {
        world.beat(worker);
    }
    model.looked(worker, world.shares[worker].beats);
    return world.shares[worker].beats;
}

void SupervisorChannel::ask_to_stop(uint32_t worker) {
    model.told_to_stop(worker);
    sim::witness.asked(worker, model.can_change(), model.slots());
}

// Writing to a spare fails if that has ended, noticed or not, or has closed its pipe.
int SupervisorChannel::take_over(uint32_t spare, uint32_t worker, base::Instant now) {
    sim::touch("a spare takes a slot");
    const bool is_deaf = world.instances[spare].ended || world.takeover_trouble.next() != 0;
    if (!model.takes_over(spare, worker, !is_deaf)) {
        SIM_TRACE("spare pid %d cannot take slot %u", world.instances[spare].pid, worker / 2);
        model.not_taken_over(spare, worker);
        return -EPIPE;
    }
    SIM_TRACE("spare pid %d takes slot %u", world.instances[spare].pid, worker / 2);
    sim::require(!world.shares[worker].is_begun, "channel",
                 "a worker begins before the channel knows of the end of the one before");
    world.begin_life(spare);
    world.begin_life(worker);
    world.shares[worker].is_begun = true;
    world.shares[worker].begun = now;
    world.clock += 1; // as after a start
    model.taken_over(spare, worker, now);
    return 0;
}

int SupervisorChannel::expect_fork(int32_t /*task_id*/) { return 0; }
int SupervisorChannel::admission_end(int32_t /*task_id*/) const { return -1; }

int SupervisorChannel::admit(int32_t /*task_id*/, uint32_t worker, int32_t pid,
                             base::Instant /*now*/) {
    sim::require(world.instances[worker].pid == pid, "admission",
                 "a child is admitted that is not watched");
    world.admitted = pid;
    return 0;
}

void SupervisorChannel::close() {}
void SupervisorChannel::let_go_of_lost() {}

// ---- The host leaves the library's descriptors alone -------------------------------------------

bool FdIdentity::capture(int /*descriptor*/) { return true; }
bool FdIdentity::matches(int /*descriptor*/) const { return true; }
bool EventLoop::is_whole() const { return true; }
void EventLoop::let_go_of_lost(bool /*has_messages*/) {}
void SupervisorChannel::disown() {}

void EventLoop::watch_messages(bool /*on*/) {
    sim::violate("messages", "they are put off, but nothing is wrong with them");
}

void announce_exit(const WorkerLink & /*link*/, int /*status*/) {}

// ---- Programs that do not use the library are not simulated ----------------------------------

int NotifySocket::open() { return 0; }
NotifySocketSnapshot NotifySocket::snapshot() const { return {}; }
int NotifySocket::adopt(const NotifySocketSnapshot & /*saved*/) { return 0; }
void NotifySocket::close() {}
bool NotifySocket::next(Notification * /*ret_notification*/, int32_t * /*ret_pid*/) {
    return false;
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
