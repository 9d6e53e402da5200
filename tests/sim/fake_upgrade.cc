// What a supervisor hands over when its program is replaced: it stays in memory here.
//
// SPDX-License-Identifier: MIT
#include <cstring>
#include <utility>

#include "channel.h"
#include "fake_upgrade.h"
#include "os/channel/supervisor_channel.h"
#include "os/upgrade/handed_over.h"
#include "os/upgrade/writer.h"
#include "os/watch/event_loop.h"
#include "pipes.h"
#include "world.h"

namespace sim {

HandedOver handed_over;

void HandedOver::clear() { *this = HandedOver{}; }

prefork::os::HandedPool *HandedOver::pool() {
    pool_.view.pool = header;
    pool_.view.workers = {reinterpret_cast<const unsigned char *>(workers.data()),
                          workers.size() * sizeof(workers[0])};
    pool_.view.spares = {reinterpret_cast<const unsigned char *>(spares.data()),
                         spares.size() * sizeof(spares[0])};
    pool_.view.policy = policy;
    pool_.is_claimed = false;
    return &pool_;
}

void Channel::replace_program() {
    for (uint32_t &pipe : admissions_) {
        pipes.close_pipe(std::exchange(pipe, 0));
    }
    // Spares end by this, and nobody knows them any more.
    for (uint32_t id = prefork::base::first_spare; lives_.has(id); id++) {
        Process &spare = world.instances[id];
        pipes.close_pipe(std::exchange(spare.down, 0));
        spare.life = 0;
        spare.announced = false;
        end_life(id);
    }
    watched_ = true;
    resume_ = never;
    must_pause_ = false;
}

} // namespace sim

using sim::handed_over;
using sim::world;

namespace prefork::os {

void UpgradeWriter::add_pool(const UpgradePool &pool) {
    handed_over.header = pool;
    handed_over.header.notifications.socket = -1;
    handed_over.header.liveness_read_end = -1;
}
void UpgradeWriter::add_worker(const UpgradeWorker &worker) {
    handed_over.workers.push_back(worker);
    handed_over.workers.back().pid =
        world.instances[static_cast<uint32_t>(handed_over.workers.size() - 1)].pid;
}
void UpgradeWriter::add_spare(const UpgradeProcess & /*spare*/) {
    const auto place = static_cast<uint32_t>(handed_over.spares.size());
    handed_over.spares.push_back({world.instances[base::first_spare + place].pid, -1});
}
void UpgradeWriter::add(const void *data, size_t size) {
    const auto *bytes = static_cast<const unsigned char *>(data);
    handed_over.policy.insert(handed_over.policy.end(), bytes, bytes + size);
}

void UpgradeCursor::copy(Bytes bytes, void *ret_value) {
    memcpy(ret_value, bytes.data(), bytes.size());
}

UpgradeWorker UpgradePoolView::worker(uint32_t index) const {
    UpgradeWorker worker{};
    memcpy(&worker, workers.data() + index * sizeof(worker), sizeof(worker));
    return worker;
}

UpgradeProcess UpgradePoolView::spare(uint32_t index) const {
    UpgradeProcess spare{};
    memcpy(&spare, spares.data() + index * sizeof(spare), sizeof(spare));
    return spare;
}

// Somebody watches it already, as far as this world is concerned.
void Children::adopt(uint32_t worker, int32_t pid, Pidfd * /*pidfd*/) {
    sim::require(world.instances[worker].pid == pid, "adoption", "of another process");
}

// Pools that nobody claims are tested with real processes.
bool has_unclaimed() { return false; }
uint32_t unclaimed_count() { return 0; }
bool pop_unclaimed(UpgradeProcess * /*ret_process*/) { return false; }

} // namespace prefork::os
