// What a pool and its workers tell each other without a signal: memory that they share, and one
// datagram socket.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>

#include "os/descriptor.h"

namespace prefork::os {

// The address of a socket whose name the kernel chose: it begins with a zero byte.
struct SocketName {
    static constexpr uint32_t length_max = 12;

    uint8_t length; // 0: none
    char bytes[length_max];
};

// One worker's share: a cache line, so that the heartbeats of neighbours do not disturb each other.
struct alignas(64) Cell {
    std::atomic<uint32_t> beats;
    std::atomic<uint32_t> ready;   // the worker says so
    std::atomic<uint32_t> stop;    // the supervisor asks for it
    std::atomic<uint32_t> named;   // `name` is complete
    std::atomic<uint32_t> awaited; // by who launched a daemon: keeps its stdio until it is ready
    uint32_t number;               // the worker's, in its pool
    SocketName name;               // of the socket by which the worker hears of a stop

    std::atomic<int32_t> admitted; // the process that is let in by the gate: fork_gate.h
};
static_assert(sizeof(Cell) == 64 && std::atomic<uint32_t>::is_always_lock_free);

// What the workers of a pool share.
struct alignas(64) Notice {
    std::atomic<uint32_t> unheard; // a word may have been lost: the cells tell
    std::atomic<uint32_t> closed;  // the pool takes in no workers any more
};

// Workers with odd numbers are there only while others are replaced: their cells stand behind all
// others, so that they take no memory before. The number of cells is even.
constexpr uint32_t place_of(uint32_t worker, uint32_t cells) {
    return worker / 2 + worker % 2 * (cells / 2);
}

// The supervisor's side.
class Cells {
  public:
    Cells() = default;
    ~Cells();
    Cells(const Cells &) = delete;
    Cells &operator=(const Cells &) = delete;

    // Makes room for as many workers as a pool can ever have; memory is taken only as it is used.
    // For workers that are executed it has a descriptor. Returns 0 or a negative errno.
    [[nodiscard]] int open(uint32_t workers_max, bool for_exec);

    // Before a start.
    void reset(uint32_t worker);

    [[nodiscard]] bool is_ready(uint32_t worker) const;
    [[nodiscard]] uint32_t beats(uint32_t worker) const;

    // Makes the worker's stop descriptor readable, now or as soon as it has one.
    void ask_to_stop(uint32_t worker);

    // Takes the number of a worker that has something to say; returns false if there is none.
    bool take_word(uint32_t *ret_worker) const;
    // After the last one: whether some worker found no room for its word, since it was last asked.
    bool take_unheard() { return notice_->unheard.exchange(0) != 0; }

    [[nodiscard]] int socket() const { return socket_.get(); }
    [[nodiscard]] int memory() const { return memory_.get(); }
    [[nodiscard]] Cell *cell(uint32_t worker) const { return &cells_[place_of(worker, count_)]; }
    [[nodiscard]] Notice *notice() const { return notice_; }
    [[nodiscard]] const SocketName &name() const { return name_; }

    // Tells those that wait to be taken in that it is in vain.
    void close() {
        if (cells_ != nullptr) {
            notice_->closed.store(1);
        }
    }

    // In a worker: the memory stays, for its own cell is in it.
    void disown();

  private:
    Cell *cells_ = nullptr;
    Notice *notice_ = nullptr; // in the same memory
    uint32_t count_ = 0;
    Descriptor memory_; // of the cells, if they are for workers by exec
    Descriptor socket_;
    SocketName name_{};
};

// The worker's side. What a worker got from its supervisor at its birth.
struct Post {
    Cell *cell = nullptr;
    Notice *notice = nullptr;
    SocketName supervisor_name{};
    int32_t supervisor = 0;
    int32_t death_signal = 0;
    int pidfd = -1;    // the supervisor's, in a worker by exec; others open it when they need it
    int liveness = -1; // readable when the supervisor is gone, where there are no pidfds
};

// In a worker by exec: maps the cell of the worker with that number, and closes the memory's
// descriptor. Returns 0 or a negative errno.
int attach_cell(int memory, int32_t worker, Post *ret_post);

// Each returns 0, or a descriptor, or a negative errno. Not in a worker: -ECHILD.
int say_ready(const Post &post);
int stop_descriptor(const Post &post);

} // namespace prefork::os
