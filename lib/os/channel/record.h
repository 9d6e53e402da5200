// The layout of what a supervisor and its workers write into the pipes between them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

// One process of a worker, among all that a pool ever starts.
struct Instance {
    uint32_t life;   // counts the starts of the pool; 0: none
    uint32_t worker; // the worker's index in the pool

    [[nodiscard]] uint64_t number() const { return uint64_t{worker} << 32 | life; }
};

enum class RecordKind : uint8_t { ready = 1, heartbeat = 2, exit_code = 3, retire = 4 };

// From a worker to its supervisor. It is written by one system call and is shorter than PIPE_BUF,
// so that the records of several workers never mix.
struct Record {
    uint32_t life;
    uint32_t packed; // worker, kind and value
    uint64_t token;

    static constexpr uint32_t worker_bits = 18;
    static constexpr uint32_t kind_bits = 6;
    static constexpr uint32_t workers_end = 1U << worker_bits;

    static Record make(const Instance &from, uint64_t token, RecordKind kind, uint8_t value) {
        const uint32_t tail = uint32_t{value} << kind_bits | static_cast<uint32_t>(kind);
        return {from.life, tail << worker_bits | from.worker, token};
    }

    [[nodiscard]] uint32_t worker() const { return packed & ((1U << worker_bits) - 1); }
    [[nodiscard]] uint32_t kind() const { return packed >> worker_bits & ((1U << kind_bits) - 1); }
    [[nodiscard]] uint8_t value() const {
        return static_cast<uint8_t>(packed >> (worker_bits + kind_bits));
    }
};
static_assert(sizeof(Record) == 16);

enum class CommandKind : uint32_t { stop = 1, admitted = 2, refused = 3, take_slot = 4 };

// From a supervisor to one worker.
struct Command {
    CommandKind kind;
    int32_t number;    // admitted: the pid of the worker, others stay outside; take_slot: the slot
    Instance instance; // admitted, take_slot: who the worker is from here on
    uint64_t token;    // and its token
};
static_assert(sizeof(Command) == 24);

} // namespace prefork::os
