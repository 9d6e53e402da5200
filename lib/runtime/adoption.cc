// A supervisor whose program is replaced: what the old program hands over, and what the new one
// adopts.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "base/text.h"
#include "os/process/clock.h"
#include "os/upgrade/handed_over.h"
#include "os/upgrade/writer.h"
#include "runtime/pool.h"

namespace prefork::runtime {

namespace {

using core::PoolSnapshot;
using core::SlotSnapshot;

// What the policy says of each slot, behind what it says of the pool.
bool read_policy(const os::UpgradePoolView &view, PoolSnapshot *ret_pool,
                 base::Array<SlotSnapshot> *ret_slots) {
    os::UpgradeCursor cursor(view.policy);
    if (!cursor.read(ret_pool) || cursor.left() % sizeof(SlotSnapshot) != 0 ||
        cursor.left() / sizeof(SlotSnapshot) * core::instances != view.pool.worker_count ||
        !ret_slots->allocate(cursor.left() / sizeof(SlotSnapshot))) {
        return false;
    }
    for (uint32_t slot = 0; cursor.left() > 0; slot++) {
        if (!cursor.read(&(*ret_slots)[slot]) || !(*ret_slots)[slot].is_valid()) {
            return false;
        }
        for (uint32_t instance = 0; instance < core::instances; instance++) {
            if ((*ret_slots)[slot].workers[instance].pid !=
                view.worker(core::instance_of(slot, instance)).pid) {
                return false;
            }
        }
    }
    return true;
}

} // namespace

// ---- The old program --------------------------------------------------------------------------

int Pool::prepare_upgrade() {
    if (look_for_loss()) {
        return -EBADF;
    }
    (void)handle_all_requests();
    arm();
    if (!supervisor_.running()) {
        return -ECANCELED;
    }
    if (supervisor_.has_event()) {
        return -EAGAIN;
    }
    return supervisor_.has_starts_under_way() ? -EBUSY : 0;
}

void Pool::hand_over(const char *name, os::UpgradeWriter *writer) const {
    os::UpgradePool pool{};
    const uint32_t slots = supervisor_.capacity() / core::instances;
    base::Text(pool.name, sizeof(pool.name)).add(name);
    pool.channel = channel_.snapshot();
    pool.notifications = notifications_.snapshot();
    pool.liveness_read_end = loop_.liveness();
    pool.liveness_write_end = loop_.liveness_write_end();
    pool.worker_count = supervisor_.capacity();
    pool.policy_size =
        static_cast<uint32_t>(sizeof(PoolSnapshot) + size_t{slots} * sizeof(SlotSnapshot));
    writer->add_pool(pool);
    for (uint32_t worker = 0; worker < pool.worker_count; worker++) {
        writer->add_worker({channel_.snapshot(worker), loop_.pid(worker), loop_.pidfd(worker)});
    }
    // Nobody claims the spares: the new program stops them, and starts its own.
    for (uint32_t place = 0; place < supervisor_.spare_places(); place++) {
        const uint32_t spare = base::first_spare + place;
        writer->add_process({loop_.pid(spare), loop_.pidfd(spare)});
    }
    const PoolSnapshot policy = supervisor_.snapshot();
    writer->add(&policy, sizeof(policy));
    for (uint32_t slot = 0; slot < slots; slot++) {
        const SlotSnapshot saved = supervisor_.snapshot(slot);
        writer->add(&saved, sizeof(saved));
    }
}

// The service manager is told before; the new program tells that it is ready, and so does this one
// if there is no new program.
void Pool::announce_upgrade(bool begins) {
    if (!options_.notify) {
        return;
    }
    if (begins) {
        notifier_.reloading();
        notifier_.sign_of_life();
    } else if (was_ready_ && !reload_reported_) {
        notifier_.ready();
    }
    notify_manager();
    arm();
}

// ---- The new program --------------------------------------------------------------------------

// Whether it can be adopted. What it says is in the arrays then.
bool Pool::read_handed_over(PoolSnapshot *ret_pool, base::Array<SlotSnapshot> *ret_slots) const {
    return options_.handed != nullptr && options_.handed->view.pool.channel.read_end >= 0 &&
           read_policy(options_.handed->view, ret_pool, ret_slots) &&
           ret_slots->size() <= core::workers_max;
}

// Once they are adopted the descriptors are the channel's, also if what follows fails.
int Pool::open_channel(bool adopts) {
    const bool stop_descriptors = options_.stop_descriptors && !options_.foreign_workers;
    const os::ChannelOptions options = {stop_descriptors, options_.host_fork,
                                        options_.settings.heartbeat_timeout};
    if (!adopts) {
        return channel_.open(options);
    }
    os::ChannelSnapshot &saved = options_.handed->view.pool.channel;
    const int result = channel_.adopt(options, saved);
    if (result == 0) {
        saved.read_end = -1;
        saved.write_end = -1;
    }
    return result;
}

// After this nothing fails.
void Pool::adopt(const PoolSnapshot &policy, const base::Array<SlotSnapshot> &slots) {
    const os::UpgradePoolView &view = options_.handed->view;
    options_.handed->is_claimed = true;
    if (!options_.has_foreign_reports() && view.pool.notifications.socket >= 0) {
        os::NotifySocket unused; // closes it
        (void)unused.adopt(view.pool.notifications);
    }
    if (view.pool.liveness_read_end >= 0) {
        loop_.adopt_liveness(view.pool.liveness_read_end, view.pool.liveness_write_end);
    }
    for (uint32_t id = 0; id < view.pool.worker_count; id++) {
        const os::UpgradeWorker worker = view.worker(id);
        if (worker.pid > 0) {
            loop_.adopt(id, worker.pid, worker.pidfd);
            channel_.adopt_worker(id, worker.channel);
        }
    }
    supervisor_.adopt(policy, {&slots[0], slots.size()}, os::now());
    send_signals();
}

// Workers of pools that this program does not have are stopped by the pool that waits first.
void Pool::absorb_unclaimed() {
    const uint32_t first = supervisor_.capacity();
    const uint32_t count = os::unclaimed_count();
    const uint32_t slots = (first + count + core::instances - 1) / core::instances;
    os::UpgradeProcess process{};
    const uint32_t spares = supervisor_.spare_places();
    if (!grow(slots, spares)) {
        return; // at the next wait
    }
    for (uint32_t id = first; os::pop_unclaimed(&process); id++) {
        loop_.adopt(id, process.pid, process.pidfd);
        supervisor_.absorb(id, process.pid, os::now());
        send_signals();
    }
}

} // namespace prefork::runtime
