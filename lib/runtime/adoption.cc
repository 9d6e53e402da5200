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

using core::PoolSnapshot;
using core::SlotSnapshot;
using core::WorkerSnapshot;

// What the policy says of each slot and of each spare, behind what it says of the pool.
int AdoptedPolicy::read(const os::UpgradePoolView &view) {
    const uint32_t slot_count = view.pool.worker_count / core::instances;
    const uint32_t spare_count = view.pool.spare_count;
    os::UpgradeCursor cursor(view.policy);
    if (view.pool.worker_count % core::instances != 0 || slot_count > core::workers_max ||
        !cursor.read(&pool)) {
        return 0;
    }
    if (!slots.allocate(slot_count) || !spares.allocate(spare_count)) {
        return -ENOMEM;
    }
    for (uint32_t slot = 0; slot < slot_count; slot++) {
        if (!cursor.read(&slots[slot]) || !slots[slot].is_valid()) {
            return 0;
        }
        for (uint32_t instance = 0; instance < core::instances; instance++) {
            if (slots[slot].workers[instance].pid !=
                view.worker(core::instance_of(slot, instance)).pid) {
                return 0;
            }
        }
    }
    for (uint32_t place = 0; place < spare_count; place++) {
        if (!cursor.read(&spares[place]) || !spares[place].is_valid() ||
            spares[place].pid != view.spare(place).pid) {
            return 0;
        }
    }
    return cursor.left() == 0 ? 1 : 0;
}

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
    pool.spare_count = supervisor_.spare_places();
    pool.policy_size =
        static_cast<uint32_t>(sizeof(PoolSnapshot) + size_t{slots} * sizeof(SlotSnapshot) +
                              size_t{pool.spare_count} * sizeof(WorkerSnapshot));
    writer->add_pool(pool);
    for (uint32_t worker = 0; worker < pool.worker_count; worker++) {
        writer->add_worker({channel_.snapshot(worker), loop_.pid(worker), loop_.pidfd(worker)});
    }
    for (uint32_t place = 0; place < pool.spare_count; place++) {
        const uint32_t spare = base::first_spare + place;
        writer->add_spare({loop_.pid(spare), loop_.pidfd(spare)});
    }
    const PoolSnapshot policy = supervisor_.snapshot();
    writer->add(&policy, sizeof(policy));
    for (uint32_t slot = 0; slot < slots; slot++) {
        const SlotSnapshot saved = supervisor_.snapshot(slot);
        writer->add(&saved, sizeof(saved));
    }
    for (uint32_t place = 0; place < pool.spare_count; place++) {
        const WorkerSnapshot saved = supervisor_.worker_snapshot(base::first_spare + place);
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

// Returns 1 if it can be adopted, 0 if not, or -ENOMEM.
int Pool::read_handed_over(AdoptedPolicy *ret_policy) const {
    return options_.handed != nullptr && options_.handed->view.pool.channel.read_end >= 0
               ? ret_policy->read(options_.handed->view)
               : 0;
}

// What an open that fails has taken is left as it was handed over, to the next one.
void Pool::give_back() {
    channel_.give_back();
    if (notifications_.descriptor() == options_.handed->view.pool.notifications.socket) {
        notifications_.disown(); // else it is a new one
    }
}

int Pool::open_channel(bool adopts) {
    const bool stop_descriptors = options_.stop_descriptors && !options_.foreign_workers;
    const os::ChannelOptions options = {stop_descriptors, options_.host_fork,
                                        options_.settings.heartbeat_timeout};
    if (!adopts) {
        return channel_.open(options);
    }
    return channel_.adopt(options, options_.handed->view.pool.channel);
}

int Pool::open_notifications(bool adopts) {
    adopts = adopts && options_.handed->view.pool.notifications.socket >= 0;
    if (int r = adopts ? notifications_.adopt(options_.handed->view.pool.notifications)
                       : notifications_.open();
        r < 0) {
        return r;
    }
    options_.exec->set_notification(notifications_.path(), options_.settings.heartbeat_timeout);
    return loop_.add_messages(notifications_.descriptor());
}

// After this nothing fails.
void Pool::adopt(const AdoptedPolicy &policy) {
    const os::UpgradePoolView &view = options_.handed->view;
    os::note_adopted(options_.handed);
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
    for (uint32_t place = 0; place < view.pool.spare_count; place++) {
        if (const os::UpgradeProcess spare = view.spare(place); spare.pid > 0) {
            loop_.adopt(base::first_spare + place, spare.pid, spare.pidfd);
        }
    }
    supervisor_.adopt(policy.pool, policy.slots.all(), policy.spares.all(), os::now());
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
    // A start that fails in another thread meanwhile leaves more of them, for the next wait.
    for (uint32_t id = first; id - first < count && os::pop_unclaimed(&process); id++) {
        loop_.adopt(id, process.pid, process.pidfd);
        supervisor_.absorb(id, process.pid, os::now());
        send_signals();
    }
}

} // namespace prefork::runtime
