// SPDX-License-Identifier: MIT
#include "os/upgrade/reader.h"

#include <string.h>

#include "base/worker_array.h"
#include "os/channel/record.h"
#include "os/net/bound_sockets.h"

namespace prefork::os {

namespace {

// One of a list, which need not be aligned.
template <typename Value>
Value value_at(Bytes list, uint32_t index) {
    Value value{};
    memcpy(&value, list.data() + index * sizeof(value), sizeof(value));
    return value;
}

constexpr int port_max = 65535;
constexpr int first_descriptor = 3; // none of stdio is handed over

bool is_descriptor(int number) { return number >= first_descriptor; }
bool is_descriptor_or_none(int number) { return number == -1 || is_descriptor(number); }

bool is_path(const char (&path)[NotifySocketSnapshot::path_size]) {
    return strnlen(path, sizeof(path)) < sizeof(path);
}

bool is_valid(const UpgradePool &pool) {
    const ChannelSnapshot &channel = pool.channel;
    return strnlen(pool.name, sizeof(pool.name)) < sizeof(pool.name) &&
           is_descriptor(channel.read_end) && is_descriptor(channel.write_end) &&
           channel.rest_size < sizeof(channel.rest) && channel.lives <= INT32_MAX &&
           is_path(pool.notifications.path) && is_path(pool.notifications.directory) &&
           is_descriptor_or_none(pool.notifications.socket) &&
           is_descriptor_or_none(pool.notifications.place) &&
           is_descriptor_or_none(pool.liveness_read_end) &&
           is_descriptor_or_none(pool.liveness_write_end) && pool.worker_count > 0 &&
           pool.worker_count <= Record::workers_end && pool.spare_count <= base::spares_max;
}

bool is_valid(const UpgradeWorker &worker) {
    return worker.pid >= 0 && worker.channel.life <= INT32_MAX &&
           is_descriptor_or_none(worker.pidfd) && is_descriptor_or_none(worker.channel.stop_end);
}

bool is_valid(const UpgradeSetView &view) {
    const UpgradeSet &set = view.set;
    for (uint32_t index = 0; index < set.count; index++) {
        if (!is_descriptor(view.descriptor(index))) {
            return false;
        }
    }
    return set.port >= 0 && set.port <= port_max && set.family >= 0;
}

} // namespace

void UpgradeCursor::copy(Bytes bytes, void *ret_value) {
    memcpy(ret_value, bytes.data(), bytes.size());
}

int UpgradeSetView::descriptor(uint32_t index) const {
    return value_at<int32_t>(descriptors, index);
}

UpgradeWorker UpgradePoolView::worker(uint32_t index) const {
    return value_at<UpgradeWorker>(workers, index);
}

UpgradeProcess UpgradePoolView::spare(uint32_t index) const {
    return value_at<UpgradeProcess>(spares, index);
}

UpgradeProcess UpgradeReader::process(uint32_t index) const {
    return value_at<UpgradeProcess>(processes_, index);
}

int UpgradeReader::descriptor(uint32_t index) const {
    return value_at<int32_t>(descriptors_, index);
}

bool UpgradeReader::open(Bytes bytes, int32_t pid) {
    UpgradeCursor cursor(bytes);
    if (!cursor.read(&header_) || header_.magic != UpgradeHeader::magic_number ||
        header_.pid != pid ||
        !cursor.skip(uint64_t{header_.process_count} * sizeof(UpgradeProcess), &processes_) ||
        !cursor.skip(uint64_t{header_.descriptor_count} * sizeof(int32_t), &descriptors_)) {
        return false;
    }
    for (uint32_t index = 0; index < header_.process_count; index++) {
        if (process(index).pid <= 1 || !is_descriptor_or_none(process(index).pidfd)) {
            return false;
        }
    }
    for (uint32_t index = 0; index < header_.descriptor_count; index++) {
        if (!is_descriptor(descriptor(index))) {
            return false;
        }
    }
    if (!cursor.read(&facts_)) {
        return false;
    }
    first_set_ = cursor;
    if (!check_facts()) {
        return false;
    }
    has_pools_ = header_.version == UpgradeHeader::this_version && check_pools();
    return true;
}

bool UpgradeReader::check_facts() {
    UpgradeSetView set;
    begin();
    for (uint32_t index = 0; index < facts_.set_count; index++) {
        if (!next_set(&set)) {
            return false;
        }
    }
    return facts_.passed_count >= 0 && facts_.passed_count <= INT32_MAX - first_descriptor &&
           is_descriptor_or_none(facts_.pid_file) &&
           facts_.own_descriptors <= header_.descriptor_count;
}

// Behind the sets.
bool UpgradeReader::check_pools() {
    UpgradePoolView pool;
    for (uint32_t index = 0; index < facts_.pool_count; index++) {
        if (!next_pool(&pool)) {
            return false;
        }
    }
    return cursor_.left() == 0;
}

bool UpgradeReader::next_set(UpgradeSetView *ret_set) {
    UpgradeSet &set = ret_set->set;
    Bytes name;
    if (!cursor_.read(&set) || set.count == 0 || set.count > bound_sockets_max ||
        !cursor_.skip(uint64_t{set.count} * sizeof(int32_t), &ret_set->descriptors) ||
        set.name_size == 0 || !cursor_.skip(set.name_size, &name) || name.back() != '\0' ||
        !is_valid(*ret_set)) {
        return false;
    }
    ret_set->name = reinterpret_cast<const char *>(name.data());
    return true;
}

bool UpgradeReader::next_pool(UpgradePoolView *ret_pool) {
    UpgradePool &pool = ret_pool->pool;
    if (!cursor_.read(&pool) || !is_valid(pool) ||
        !cursor_.skip(uint64_t{pool.worker_count} * sizeof(UpgradeWorker), &ret_pool->workers) ||
        !cursor_.skip(uint64_t{pool.spare_count} * sizeof(UpgradeProcess), &ret_pool->spares) ||
        !cursor_.skip(pool.policy_size, &ret_pool->policy)) {
        return false;
    }
    for (uint32_t index = 0; index < pool.worker_count; index++) {
        if (!is_valid(ret_pool->worker(index))) {
            return false;
        }
    }
    for (uint32_t index = 0; index < pool.spare_count; index++) {
        const UpgradeProcess spare = ret_pool->spare(index);
        if (spare.pid < 0 || !is_descriptor_or_none(spare.pidfd)) {
            return false;
        }
    }
    return true;
}

} // namespace prefork::os
