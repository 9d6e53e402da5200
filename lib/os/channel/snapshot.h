// What a supervisor whose program is replaced knows of its messages, as plain data.
//
// SPDX-License-Identifier: MIT
//
// Whoever changes it changes the version of os/upgrade/layout.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "os/channel/siphash.h"

namespace prefork::os {

struct ChannelSnapshot {
    SipKey key;
    int32_t read_end;
    int32_t write_end;
    uint32_t lives;
    uint32_t rest_size;     // the beginning of a record that was read
    unsigned char rest[16]; // shorter than a record
};
static_assert(sizeof(ChannelSnapshot) == 48);

struct WorkerChannelSnapshot {
    uint64_t begun;
    uint32_t life; // 0: no process
    uint32_t heartbeats;
    int32_t stop_end; // -1: none
    uint8_t readies;
    uint8_t retires;
    uint8_t exits;
    uint8_t exit_code;
    uint8_t floods;
    uint8_t unused[7];
};
static_assert(sizeof(WorkerChannelSnapshot) == 32);

struct NotifySocketSnapshot {
    static constexpr size_t path_size = 108; // as in sockaddr_un

    char path[path_size];
    char directory[path_size];
    int32_t socket; // -1: there is none
    int32_t place;  // -1: none
};
static_assert(sizeof(NotifySocketSnapshot) == 224);

} // namespace prefork::os
