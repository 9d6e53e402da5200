// What the former program of a supervisor has handed over: a file of any bytes, and a policy that
// goes on with what it says.
//
// The input is the file. Its pid is taken for that of this process.
//
// SPDX-License-Identifier: MIT
#include <vector>

#include "core/supervisor.h"
#include "input.h"
#include "os/upgrade/reader.h"

using namespace prefork;

namespace {

constexpr uint32_t slots_max = 64; // larger pools show nothing more

void expect_descriptor(int number) { EXPECT(number == -1 || number >= 3); }

// A policy that says that it is valid can be gone on with, whatever it says.
void adopt(const os::UpgradePoolView &view) {
    os::UpgradeCursor cursor(view.policy);
    core::PoolSnapshot pool{};
    if (!cursor.read(&pool)) {
        return;
    }
    std::vector<core::SlotSnapshot> slots;
    core::SlotSnapshot slot{};
    while (slots.size() < slots_max && slots.size() * core::instances < view.pool.worker_count &&
           cursor.read(&slot)) {
        if (!slot.is_valid()) {
            return;
        }
        slots.push_back(slot);
    }
    std::vector<core::WorkerSnapshot> spares;
    core::WorkerSnapshot spare{};
    while (spares.size() < slots_max && cursor.read(&spare)) {
        if (!spare.is_valid()) {
            return;
        }
        spares.push_back(spare);
    }
    core::Settings settings;
    settings.workers = 2;
    settings.heartbeat_timeout = pool.flags & 4 ? core::second : 0;
    settings.lifetime = pool.flags & 8 ? core::second : 0;
    settings.ready_timeout = pool.flags & 16 ? core::second : 0;
    core::Supervisor supervisor;
    EXPECT(supervisor.open(settings) && supervisor.reserve(slots_max, slots_max));
    supervisor.adopt(pool, slots, spares, core::second);
    EXPECT(supervisor.audit() && !supervisor.broken());
    core::Input tick;
    tick.kind = core::Input::Kind::tick;
    supervisor.step(tick, 2 * core::second);
    core::Input stop;
    stop.kind = core::Input::Kind::stop;
    supervisor.step(stop, 3 * core::second);
    EXPECT(supervisor.audit() && !supervisor.broken());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::vector<unsigned char> bytes(data, data + size); // no byte to spare
    os::UpgradeHeader header{};
    os::UpgradeReader reader;
    if (size >= sizeof(header)) {
        memcpy(&header, bytes.data(), sizeof(header));
    }
    if (!reader.open(bytes, header.pid)) {
        return 0;
    }
    EXPECT(!os::UpgradeReader().open(bytes, header.pid ^ 1));
    for (uint32_t index = 0; index < reader.header().process_count; index++) {
        EXPECT(reader.process(index).pid > 1);
        expect_descriptor(reader.process(index).pidfd);
    }
    for (uint32_t index = 0; index < reader.header().descriptor_count; index++) {
        EXPECT(reader.descriptor(index) >= 3);
    }
    reader.begin();
    for (uint32_t index = 0; index < reader.facts().set_count; index++) {
        os::UpgradeSetView set{};
        EXPECT(reader.next_set(&set));
        EXPECT(strlen(set.name) < set.set.name_size);
        for (uint32_t socket = 0; socket < set.set.count; socket++) {
            EXPECT(set.descriptor(socket) >= 3);
        }
    }
    if (!reader.has_pools()) {
        return 0;
    }
    for (uint32_t index = 0; index < reader.facts().pool_count; index++) {
        os::UpgradePoolView pool{};
        EXPECT(reader.next_pool(&pool));
        EXPECT(strlen(pool.pool.name) < sizeof(pool.pool.name));
        for (uint32_t worker = 0; worker < pool.pool.worker_count; worker++) {
            expect_descriptor(pool.worker(worker).pidfd);
            expect_descriptor(pool.worker(worker).channel.stop_end);
        }
        for (uint32_t spare = 0; spare < pool.pool.spare_count; spare++) {
            EXPECT(pool.spare(spare).pid >= 0);
            expect_descriptor(pool.spare(spare).pidfd);
        }
        adopt(pool);
    }
    return 0;
}
