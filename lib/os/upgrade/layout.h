// The file by which a supervisor that executes another program hands over its workers.
//
// SPDX-License-Identifier: MIT
//
// What comes first has the same layout in all versions, so that each version can at least stop the
// workers of each other one, and serve by its sockets: the header, the processes, the descriptors;
// UpgradeFacts; each set of sockets: UpgradeSet, its descriptors, its name with the zero byte.
// The rest is of one version: each pool: UpgradePool, its workers, its spares, its policy.
#pragma once

#include <array>
#include <cstdint>

#include "os/channel/snapshot.h"
#include "os/spawn/worker_resources.h"

namespace prefork::os {

inline constexpr char upgrade_variable[] = "PF_UPGRADE"; // the number of the file

struct UpgradeHeader {
    static constexpr uint64_t magic_number = 0x7570'6b72'6f66'6572; // "reforkpu"
    static constexpr uint32_t this_version = 1;

    uint64_t magic;
    uint32_t version;
    int32_t pid; // of the supervisor: the file is of no use to any other process
    uint32_t process_count;
    uint32_t descriptor_count;
};
static_assert(sizeof(UpgradeHeader) == 24);

struct UpgradeProcess {
    int32_t pid;   // 0: none
    int32_t pidfd; // -1: none
};
// Then the other descriptors that are handed over: int32_t each.

struct UpgradeFacts {
    uint64_t mask; // of signals: a bit for each
    uint32_t set_count;
    uint32_t pool_count;
    int32_t passed_count; // descriptors from the service manager, from 3 on
    int32_t pid_file;     // of the daemon; -1: none
    uint32_t is_daemon;
    uint32_t own_descriptors; // of the list: those that come before the descriptors of pools
};
static_assert(sizeof(UpgradeFacts) == 32);

struct UpgradeSet {
    int32_t port;
    int32_t family;
    uint32_t flags;
    uint32_t count;
    uint32_t name_size; // with its zero byte
};
static_assert(sizeof(UpgradeSet) == 20);

struct UpgradePool {
    char name[WorkerResources::pool_name_size];
    ChannelSnapshot channel;
    NotifySocketSnapshot notifications; // of programs that do not use this library
    int32_t liveness_read_end;          // -1: none
    int32_t liveness_write_end;
    uint32_t worker_count;
    uint32_t spare_count; // places, each with a process or none: UpgradeProcess
    uint32_t policy_size;
    uint32_t unused;

    // Those that belong to no worker; -1: none.
    [[nodiscard]] std::array<int, 6> descriptors() const {
        return {channel.read_end,   channel.write_end,    liveness_read_end,
                liveness_write_end, notifications.socket, notifications.place};
    }
};
static_assert(sizeof(UpgradePool) == 360);

struct UpgradeWorker {
    WorkerChannelSnapshot channel;
    int32_t pid; // 0: none
    int32_t pidfd;
};
static_assert(sizeof(UpgradeWorker) == 40);

} // namespace prefork::os
