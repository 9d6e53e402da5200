// The pipe of a simulated pool, and what of its bytes is a message: said once more, by whole
// records, where the pool looks at bytes.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>
#include <vector>

#include "os/channel/supervisor_channel.h"
#include "world.h"

namespace sim {

using prefork::os::RecordKind;

// What the workers write into it besides what they should.
enum class Noise : uint8_t { junk, sibling, forged, stale, unknown_kind, partial, full, count };

class Channel {
  public:
    void begin(const prefork::os::ChannelOptions &options);
    void open(int descriptor);

    // A worker writes; returns false if there is no room.
    bool write(const Process &from, RecordKind kind, uint8_t value);
    void make_noise(uint32_t which, uint32_t how, uint32_t much);
    // So many bytes more are written while the pool reads, by a worker or as nonsense.
    void write_on(uint32_t bytes, uint32_t worker) {
        rest_ = bytes;
        rest_worker_ = worker;
    }
    void interrupt_reads(uint32_t count) { interruptions_ = count; }

    // The pool reads.
    void begin_read(Instant now);
    ssize_t read(int descriptor, unsigned char *buffer, size_t size); // or a negative errno
    void check_next(bool any, const prefork::os::Message &message);
    // Whether there was too much to read what the worker has written.
    [[nodiscard]] bool may_miss(uint32_t worker) const {
        return limited_ || life_of(worker).floods;
    }
    void watch(bool on);
    // After nonsense the pool does not wait for more of it at once.
    void check_wait() const;
    [[nodiscard]] bool is_readable() const { return watched_ && head_ < bytes_.size(); }
    [[nodiscard]] bool is_paused() const { return !watched_; }
    // When the pool reads again after nonsense.
    [[nodiscard]] Instant deadline() const { return resume_; }

    // Starts and ends.
    void begin_life(uint32_t worker, const prefork::os::WorkerLink &link, Instant now);
    void end_life(uint32_t worker);
    [[nodiscard]] uint32_t heartbeats(uint32_t worker) const;
    [[nodiscard]] int announced_exit(uint32_t worker) const;

    // Down. Tasks are the slots, and that of the spares.
    void expect(int32_t task_id, int read_end);
    void admitted(int32_t task_id) { admission_of(task_id) = 0; }
    [[nodiscard]] bool is_expected(int32_t task_id) { return admission_of(task_id) != 0; }
    // The supervisor writes to a worker; returns false if nobody reads there.
    bool commanded(int descriptor, const prefork::os::Command &command);
    void be_deaf(bool deaf) { deaf_ = deaf; }
    // A spare sees the end of its pipe, or has become the worker of a slot.
    void let_go(uint32_t spare);
    [[nodiscard]] uint32_t stops_sent(uint32_t pipe) const { return pipe == stopped_ ? 1 : 0; }
    void close();
    // Another program goes on: what is closed on exec is closed.
    void replace_program();

    // As many descriptors as what is there needs.
    void check_descriptors() const;
    [[nodiscard]] const prefork::os::ChannelOptions &options() const { return options_; }
    [[nodiscard]] Duration heartbeat_interval() const;

    prefork::os::Command command{}; // the last one
    uint32_t commanded_pipe = 0;    // to which it was written

  private:
    struct Written {
        uint32_t length;
        uint32_t life; // 0: no record
        uint32_t worker;
        RecordKind kind;
        uint8_t value;
    };
    struct Life {
        uint32_t life = 0;
        uint64_t token = 0;
        Instant begun = 0;
        uint32_t counts[5] = {}; // by kind
        uint8_t exit_code = 0;
        bool floods = false;
        bool has_down = false;
    };

    [[nodiscard]] Life life_of(uint32_t worker) const {
        return lives_.has(worker) ? lives_[worker] : Life{};
    }
    [[nodiscard]] uint32_t &admission_of(int32_t task_id);
    [[nodiscard]] uint32_t room() const;
    bool put(const void *bytes, uint32_t length, const Written &written);
    bool put_record(const prefork::os::Record &record);
    bool put_valid(uint32_t worker, RecordKind kind, uint8_t value);
    void write_noise(Noise noise, uint32_t worker, uint32_t number);
    void put_junk(uint32_t length, uint32_t number);
    void write_rest();
    bool walk(prefork::os::Message *ret_message);
    [[nodiscard]] bool is_valid(const Written &written) const;
    bool count(const Written &written, prefork::os::Message *ret_message);

    prefork::os::ChannelOptions options_;
    int descriptor_ = -1;
    std::vector<unsigned char> bytes_; // from head_ on they are in the pipe
    size_t head_ = 0;
    std::vector<Written> written_; // from first_ on they are not parsed
    size_t first_ = 0;
    uint32_t skipped_ = 0;  // bytes of the first
    uint64_t read_ = 0;     // bytes that are not parsed, but not in the pipe any more
    uint32_t nonsense_ = 0; // bytes in this round
    uint32_t round_ = 0;    // bytes in this round
    uint32_t interruptions_ = 0;
    uint32_t rest_ = 0;
    uint32_t rest_worker_ = 0;
    Instant now_ = 0;
    bool watched_ = true;
    bool must_pause_ = false;
    bool limited_ = false; // the last round left something
    Instant resume_ = never;
    Seats<Life> lives_;
    Life ghost_; // one that has ended
    uint32_t ghost_worker_ = 0;
    std::vector<uint32_t> admissions_; // that of the spares, then by slot: the pipe; 0: none
    uint32_t stopped_ = 0;             // the last pipe that a stop was written to
    bool deaf_ = false;                // who is written to next
};

extern Channel channel;

} // namespace sim
