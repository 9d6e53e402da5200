// The supervisor's side of the messages between a pool and its workers.
//
// SPDX-License-Identifier: MIT
//
// Up: one pipe for the pool, whose write end every worker inherits. A worker's records carry a
// token that only the supervisor can compute, so that a process can only send records of the
// worker that it is, or is a child of. Down: one pipe for each worker that can be asked to stop by
// a descriptor, or that the host forks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/array.h"
#include "base/time.h"
#include "base/worker_array.h"
#include "os/channel/key_page.h"
#include "os/channel/record.h"
#include "os/channel/snapshot.h"
#include "os/channel/worker_link.h"
#include "os/fd/descriptor.h"
#include "os/fd/fd_identity.h"

namespace prefork::os {

struct Message {
    enum class Kind : uint8_t {
        ready,
        retire, // the worker asks to be replaced
        flood,  // the worker sends more than any correct one does
        hang,   // the worker reports that it hangs
    };

    Kind kind;
    uint32_t worker;
};

struct ChannelOptions {
    bool stop_descriptors = true; // workers can have one
    bool host_fork = false;       // the host forks the workers
    base::Duration heartbeat_timeout = 0;
};

class SupervisorChannel {
  public:
    SupervisorChannel() = default;
    ~SupervisorChannel();
    SupervisorChannel(const SupervisorChannel &) = delete;
    SupervisorChannel &operator=(const SupervisorChannel &) = delete;

    // Returns 0 or a negative errno.
    [[nodiscard]] int open(const ChannelOptions &options);
    [[nodiscard]] bool grow(uint32_t workers, uint32_t spares);

    // For a supervisor whose program is replaced; and in the new program, instead of open() and for
    // each worker that is alive: its descriptors, which are noted, become those of this channel.
    [[nodiscard]] ChannelSnapshot snapshot() const;
    [[nodiscard]] WorkerChannelSnapshot snapshot(uint32_t worker) const;
    [[nodiscard]] int adopt(const ChannelOptions &options, const ChannelSnapshot &saved);
    void adopt_worker(uint32_t worker, const WorkerChannelSnapshot &saved);
    // Before the first worker: what adopt() took is not this channel's any more, and stays open.
    void give_back() {
        read_end_.disown();
        write_end_.disown();
    }

    // How many descriptors of the supervisor a worker costs.
    [[nodiscard]] uint32_t descriptors_per_worker() const { return options_.stop_descriptors; }

    // Before each start: makes what the worker inherits. Returns 0 or a negative errno. Once the
    // start has succeeded or failed, end_start() follows in the supervisor.
    [[nodiscard]] int begin_start(uint32_t worker, base::Instant now, WorkerLink *ret_link);
    void end_start(uint32_t worker, bool started);

    // After the end of a worker.
    void ended(uint32_t worker);

    // The exit code that a worker has announced before its end; -1: none.
    [[nodiscard]] int announced_exit(uint32_t worker) const;

    // Pops the next message; returns false if there is none, or if enough have
    // been read for now. What is no record of a living worker is skipped.
    void begin_read(base::Instant now);
    bool next(Message *ret_message);
    // Whether there was anything else than valid records. The next read should come later then.
    [[nodiscard]] bool met_nonsense() const { return nonsense_ > 0; }

    // How many heartbeats the worker has sent.
    [[nodiscard]] uint32_t heartbeats(uint32_t worker) const;
    // One that has come in another way.
    void count_heartbeat(uint32_t worker) { states_[worker].heartbeats += 1; }

    // Makes the worker's stop descriptor readable. A spare sees the end of its pipe.
    void ask_to_stop(uint32_t worker);

    // The spare becomes the worker of the slot. Returns 0 or a negative errno; -EPIPE: it does not
    // wait any more.
    [[nodiscard]] int take_over(uint32_t spare, uint32_t worker, base::Instant now);

    // The host is about to fork the worker of a slot, or a spare: makes the pipe by which it is
    // admitted, if there is none yet. Returns 0 or a negative errno.
    [[nodiscard]] int expect_fork(int32_t task_id);
    // In the supervisor: the process is the worker. Returns 0 or a negative errno.
    [[nodiscard]] int admit(int32_t task_id, uint32_t worker, int32_t pid, base::Instant now);
    // In the child: the end of that pipe at which it waits; -1: it is not expected.
    [[nodiscard]] int admission_end(int32_t task_id) const;

    // Admits no workers any more: refuses those that wait.
    void close();

    // Whether its descriptors are still open. One stands for all: a host that closes descriptors
    // that it does not know closes all of them.
    [[nodiscard]] bool is_whole() const { return file_.matches(read_end_.get()); }
    // Forgets the numbers of those that are not.
    void let_go_of_lost();

    // In another process: lets go of everything but memory.
    void disown();

    // Readable when there are messages.
    [[nodiscard]] int descriptor() const { return read_end_.get(); }
    // What is the same for all workers.
    [[nodiscard]] WorkerLink link_of_all() const;

  private:
    using State = WorkerChannelSnapshot; // it is handed over as it is
    // Of a slot whose worker the host is to fork.
    struct Admission {
        int read_end; // -1: none
        int write_end;
    };

    [[nodiscard]] Instance next_instance(uint32_t worker, base::Instant now);
    [[nodiscard]] uint64_t token_of(const Instance &instance) const;
    [[nodiscard]] bool refill();
    [[nodiscard]] bool is_valid(const Record &record) const;
    bool apply(const Record &record, Message *ret_message);
    [[nodiscard]] bool may_beat(const State &state) const;
    [[nodiscard]] static int open_down(Descriptor *ret_read_end, int *ret_write_end);
    int write_down(int descriptor, const Command &command) const;
    [[nodiscard]] Admission *admission_of(int32_t task_id);
    void end_admission(Admission *admission);
    static void close_end(int *descriptor);

    static constexpr size_t buffer_size = 1024;

    ChannelOptions options_;
    Descriptor read_end_;
    Descriptor write_end_;
    FdIdentity file_;       // of both ends
    Descriptor worker_end_; // of the worker that is being started
    KeyPage key_;
    base::WorkerArray<State> states_;
    base::Array<Admission> admissions_; // of slots
    Admission spare_admission_ = {-1, -1};
    uint32_t lives_ = 0;
    base::Instant now_ = 0;
    uint32_t budget_ = 0; // bytes that may still be read
    uint32_t nonsense_ = 0;
    uint32_t position_ = 0; // in the buffer
    uint32_t length_ = 0;
    unsigned char buffer_[buffer_size];
};

} // namespace prefork::os
