// What a supervisor hands over when its program is replaced: it stays in memory here.
//
// SPDX-License-Identifier: MIT
#include <cstring>
#include <new>
#include <utility>

#include "channel.h"
#include "epoll.h"
#include "fake_upgrade.h"
#include "host.h"
#include "manager.h"
#include "model.h"
#include "os/channel/supervisor_channel.h"
#include "os/upgrade/handed_over.h"
#include "os/upgrade/writer.h"
#include "pipes.h"
#include "world.h"

namespace sim {

using prefork::runtime::Pool;

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
    pool_.is_adopted = false;
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

// The program is replaced: nothing of the pool's memory is left but what was handed over.
void Host::upgrade(uint32_t how, uint32_t seed) {
    if (manager.is_there() || pool_->finished()) {
        return; // what it is told is tested with real processes
    }
    model.handle_requests();
    const int result = pool_->prepare_upgrade();
    const int expected = model.prepare_upgrade();
    require(result == expected, "upgrade", "it can be begun, or can not");
    if (result < 0) {
        return;
    }
    alignas(prefork::os::UpgradeWriter) unsigned char memory[sizeof(prefork::os::UpgradeWriter)];
    handed_over.clear();
    pool_->hand_over(
        "", reinterpret_cast<prefork::os::UpgradeWriter *>(memory)); // nothing looks into it
    world.in_child = true; // the old one does nothing any more
    pool_->disown();
    Pool *place = std::exchange(pool_, nullptr);
    place->~Pool();
    world.in_child = false;
    channel.replace_program();
    epoll.replace_program();
    world.wakeup = -1;
    world.woken = false;
    world.timer_failed = false;
    world.expected_error = 0;
    world.signals_held = false;
    world.disowned = false;
    if (how % 4 == 0) {
        options_.settings.workers = 1 + how / 4 % 8;
    }
    options_.settings.seed = seed + 1;
    options_.handed = handed_over.pool();
    world.upgrading = true;
    world.may_allocate = true;
    world.allocations_left = UINT32_MAX;
    pool_ = new (place) Pool();
    model.upgrade(options_.settings);
    require(pool_->open(options_) == 0, "upgrade", "the new program cannot begin");
    world.may_allocate = false;
    world.upgrading = false;
    options_.handed = nullptr;
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
}
void UpgradeWriter::add_spare(const UpgradeProcess &spare) { handed_over.spares.push_back(spare); }
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

// Pools that nobody claims are tested with real processes.
bool has_unclaimed() { return false; }
uint32_t unclaimed_count() { return 0; }
bool pop_unclaimed(UpgradeProcess * /*ret_process*/) { return false; }

void note_adopted(HandedPool *pool) { pool->is_adopted = true; }

} // namespace prefork::os
