// What the channel of the library meets: pipes, and the workers at their other ends. The linker
// leads its calls here. What the runtime calls of it goes through this file, too.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <unistd.h>

#include "channel.h"
#include "epoll.h"
#include "host.h"
#include "model.h"
#include "os/channel/supervisor_channel.h"
#include "os/fd/pipe.h"
#include "os/fd/pipe_write.h"
#include "pipes.h"
#include "violation.h"
#include "witness.h"
#include "world.h"

using prefork::base::Instant;
using prefork::os::ChannelOptions;
using prefork::os::Message;
using prefork::os::SupervisorChannel;
using prefork::os::WorkerLink;
using sim::channel;
using sim::epoll;
using sim::host;
using sim::model;
using sim::pipes;
using sim::require;
using sim::touch;
using sim::world;

extern "C" {

ssize_t __wrap_read(int descriptor, void *buffer, size_t size);
int __wrap_close(int descriptor);

ssize_t __wrap_read(int descriptor, void *buffer, size_t size) {
    if (epoll.is_ours(descriptor)) {
        const int result = epoll.read(descriptor);
        errno = result < 0 ? -result : 0;
        return result < 0 ? -1 : ssize_t{sizeof(uint64_t)};
    }
    touch("it reads messages");
    const ssize_t result = channel.read(descriptor, static_cast<unsigned char *>(buffer), size);
    errno = result < 0 ? static_cast<int>(-result) : 0;
    return result < 0 ? -1 : result;
}

// In another process, the ends that are closed are copies.
int __wrap_close(int descriptor) {
    if (world.in_child || (epoll.is_ours(descriptor) && world.reaping)) {
        return 0;
    }
    if (epoll.is_ours(descriptor)) {
        epoll.close(descriptor);
    } else {
        pipes.close(descriptor);
    }
    return 0;
}

// The methods of the real channel, which the Makefile has renamed.
int real_channel_open(SupervisorChannel *self, const ChannelOptions *options);
int real_channel_begin_start(SupervisorChannel *self, uint32_t worker, Instant now,
                             WorkerLink *ret_link);
void real_channel_end_start(SupervisorChannel *self, uint32_t worker, bool started);
void real_channel_ended(SupervisorChannel *self, uint32_t worker);
int real_channel_announced_exit(const SupervisorChannel *self, uint32_t worker);
void real_channel_begin_read(SupervisorChannel *self, Instant now);
bool real_channel_next(SupervisorChannel *self, Message *ret_message);
uint32_t real_channel_heartbeats(const SupervisorChannel *self, uint32_t worker);
void real_channel_ask_to_stop(SupervisorChannel *self, uint32_t worker);
int real_channel_take_over(SupervisorChannel *self, uint32_t spare, uint32_t worker, Instant now);
int real_channel_expect_fork(SupervisorChannel *self, int32_t task_id);
int real_channel_admit(SupervisorChannel *self, int32_t task_id, uint32_t worker, int32_t pid,
                       Instant now);
void real_channel_close(SupervisorChannel *self);
}

namespace prefork::os {

// ---- Pipes ----------------------------------------------------------------------------------

// Nobody reads from it or writes to it: it is there.
static int open_liveness(Descriptor *ret_read_end, Descriptor *ret_write_end) {
    if (const int32_t error = world.open_trouble.next(); error != 0) {
        return error;
    }
    ret_read_end->attach(epoll.open(sim::Epoll::Kind::other));
    ret_write_end->attach(epoll.open(sim::Epoll::Kind::other));
    return 0;
}

// The barrier of a start waits, and that of the event loop; all other pipes do not.
int open_pipe(Descriptor *ret_read_end, Descriptor *ret_write_end, bool nonblocking) {
    touch("it opens a pipe");
    if (!nonblocking && world.opening) {
        return open_liveness(ret_read_end, ret_write_end);
    }
    sim::Trouble &trouble = nonblocking ? world.pipe_trouble : world.barrier_trouble;
    const int32_t error = model.order_is_certain() ? trouble.next() : 0;
    if (error != 0) {
        SIM_TRACE("%s cannot be opened: %d", nonblocking ? "a pipe" : "the barrier", error);
        if (!nonblocking) {
            model.first_refused(error);
        }
        return error;
    }
    if (!nonblocking) {
        return ret_read_end->adopt(10);
    }
    int read_end = -1;
    int write_end = -1;
    pipes.open(&read_end, &write_end);
    ret_read_end->attach(read_end);
    ret_write_end->attach(write_end);
    return 0;
}

void put_write_end_first(Descriptor * /*read_end*/, Descriptor * /*write_end*/) {}

int Descriptor::adopt(int descriptor_or_error) {
    if (descriptor_or_error < 0) {
        return -errno;
    }
    descriptor_ = descriptor_or_error;
    return 0;
}

void Descriptor::reset() {
    if (pipes.is_ours(descriptor_) || epoll.is_ours(descriptor_)) {
        world.free_spare(descriptor_);
        (void)__wrap_close(descriptor_);
    }
    descriptor_ = -1;
}

void Descriptor::lose() { descriptor_ = -1; }
void forget_descriptor(int /*descriptor*/) {}
void forget_descriptors() {}

bool is_pipe(int descriptor) { return pipes.is_open(descriptor); }

ssize_t write_without_sigpipe(int descriptor, const void *data, size_t size) {
    touch("it writes to a worker");
    require(size == sizeof(Command), "channel", "something else than a command is written");
    const bool heard = channel.commanded(descriptor, *static_cast<const Command *>(data));
    return heard ? static_cast<ssize_t>(size) : -EPIPE;
}

bool FdIdentity::capture(int descriptor) {
    inode = 1; // 0 would be no file
    return pipes.is_open(descriptor) || epoll.is_open(descriptor);
}
bool FdIdentity::matches(int descriptor) const {
    return pipes.is_open(descriptor) ||
           (epoll.is_open(descriptor) && !epoll.is_of_host(descriptor));
}

static SipKey simulated_key = {{0x0706050403020100, 0x0F0E0D0C0B0A0908}};
int KeyPage::open() {
    key_ = &simulated_key;
    return 0;
}
int KeyPage::open(const SipKey &key) {
    require(key.words[0] == simulated_key.words[0] && key.words[1] == simulated_key.words[1],
            "upgrade", "the key is another one");
    return open();
}
KeyPage::~KeyPage() {}

// ---- The channel ----------------------------------------------------------------------------

static uint32_t task_of(uint32_t worker) {
    return base::is_spare(worker) ? static_cast<uint32_t>(base::task_spare) : worker / 2;
}

int SupervisorChannel::open(const ChannelOptions &options) {
    pipes.begin();
    channel.begin(options);
    const int result = real_channel_open(this, &options);
    channel.open(descriptor());
    return result;
}

int SupervisorChannel::begin_start(uint32_t worker, Instant now, WorkerLink *ret_link) {
    require(!world.shares[worker].is_begun, "channel",
            "a worker begins before the channel knows of the end of the one before");
    world.begin_life(worker);
    const int result = real_channel_begin_start(this, worker, now, ret_link);
    if (result < 0) {
        model.forked(task_of(worker));
        model.fork_failed(task_of(worker), result);
        return result;
    }
    world.shares[worker].is_begun = true;
    channel.begin_life(worker, *ret_link, now);
    const bool needs_down = channel.options().stop_descriptors || base::is_spare(worker);
    require((ret_link->down >= 0) == needs_down, "channel",
            "a worker has a stop descriptor, or has none");
    require(ret_link->is_spare == base::is_spare(worker), "channel",
            "a spare is told that it is a worker, or a worker that it is a spare");
    return 0;
}

void SupervisorChannel::end_start(uint32_t worker, bool started) {
    real_channel_end_start(this, worker, started);
    world.shares[worker].is_begun = started;
    if (!started) {
        channel.end_life(worker);
    }
}

void SupervisorChannel::ended(uint32_t worker) {
    real_channel_ended(this, worker);
    channel.end_life(worker);
    world.begin_life(worker);
}

int SupervisorChannel::announced_exit(uint32_t worker) const {
    const int code = real_channel_announced_exit(this, worker);
    require(code == channel.announced_exit(worker), "channel", "another exit code was announced");
    return code;
}

void SupervisorChannel::begin_read(Instant now) {
    model.settle();
    channel.begin_read(now);
    real_channel_begin_read(this, now);
}

bool SupervisorChannel::next(Message *ret_message) {
    const bool any = real_channel_next(this, ret_message);
    channel.check_next(any, *ret_message);
    if (!any) {
        return false; // other messages follow
    }
    switch (ret_message->kind) {
    case Message::Kind::flood:
        model.flooded(ret_message->worker);
        break;
    case Message::Kind::retire:
        model.retired(ret_message->worker);
        break;
    case Message::Kind::hang:
        sim::violate("messages", "no record says that a worker hangs");
    case Message::Kind::ready:
        model.said_ready(ret_message->worker);
        break;
    }
    return true;
}

uint32_t SupervisorChannel::heartbeats(uint32_t worker) const {
    const uint32_t beats = real_channel_heartbeats(this, worker);
    require(beats == channel.heartbeats(worker), "channel", "the count of heartbeats is wrong");
    model.looked(worker, beats);
    return beats;
}

void SupervisorChannel::ask_to_stop(uint32_t worker) {
    model.told_to_stop(worker);
    sim::witness.asked(worker, model.can_change(), model.slots());
    channel.command = Command{};
    real_channel_ask_to_stop(this, worker);
    const bool has_stopped = channel.command.kind == CommandKind::stop;
    if (world.closed) {
        return;
    }
    if (base::is_spare(worker)) {
        require(pipes.end_count(world.instances[worker].down) == 0, "channel",
                "a spare does not see the end of its pipe");
        channel.let_go(worker);
        return;
    }
    require(has_stopped == channel.options().stop_descriptors, "channel",
            "a worker's stop descriptor is not used, or there is none");
    require(!has_stopped || channel.commanded_pipe == world.instances[worker].down, "channel",
            "another worker's stop descriptor is used");
}

// Writing to a spare fails if that has ended, noticed or not, or has closed its pipe.
int SupervisorChannel::take_over(uint32_t spare, uint32_t worker, Instant now) {
    touch("a spare takes a slot");
    sim::Process &process = world.instances[spare];
    const bool is_deaf = world.closed || process.ended || world.takeover_trouble.next() != 0;
    const bool can = model.takes_over(spare, worker, !is_deaf);
    require(!world.shares[worker].is_begun, "channel",
            "a worker begins before the channel knows of the end of the one before");
    channel.command = Command{};
    channel.be_deaf(is_deaf);
    const int result = real_channel_take_over(this, spare, worker, now);
    const Command &sent = channel.command;
    require(world.closed
                ? sent.kind == CommandKind{}
                : sent.kind == CommandKind::take_slot && channel.commanded_pipe == process.down &&
                      sent.number == static_cast<int32_t>(worker / 2),
            "channel", "a spare is not told which slot it has");
    require(result == (can            ? 0
                       : world.closed ? -EBADF
                                      : -EPIPE),
            "channel", "a spare has the slot, or has it not");
    if (!can) {
        SIM_TRACE("spare pid %d cannot take slot %u", process.pid, worker / 2);
        model.not_taken_over(spare, worker);
        return result;
    }
    SIM_TRACE("spare pid %d takes slot %u", process.pid, worker / 2);
    WorkerLink link;
    link.instance = sent.instance;
    link.token = sent.token;
    link.announces_exit = process.announces_exit;
    process.introduce(link, channel.options().stop_descriptors ? process.down : 0);
    channel.begin_life(worker, link, now);
    channel.end_life(spare);
    world.begin_life(spare);
    world.begin_life(worker);
    world.shares[worker].is_begun = true;
    world.shares[worker].begun = now;
    world.clock += 1; // as after a start
    model.taken_over(spare, worker, now);
    return 0;
}

int SupervisorChannel::expect_fork(int32_t task_id) {
    const int result = real_channel_expect_fork(this, task_id);
    if (result == 0) {
        channel.expect(task_id, admission_end(task_id));
    } else {
        model.request_failed(task_id, result);
    }
    return result;
}

int SupervisorChannel::admit(int32_t task_id, uint32_t worker, int32_t pid, Instant now) {
    require(world.instances[worker].pid == pid, "admission",
            "a child is admitted that is not watched");
    require(channel.is_expected(task_id), "admission",
            "a child is admitted that was not asked for");
    channel.command = Command{};
    const int result = real_channel_admit(this, task_id, worker, pid, now);
    const Command &sent = channel.command;
    require(result == 0 && sent.kind == CommandKind::admitted && sent.number == pid, "admission",
            "a child is not told that it is the worker");
    world.admitted = pid;
    WorkerLink link;
    link.instance = sent.instance;
    link.token = sent.token;
    channel.begin_life(worker, link, now);
    channel.admitted(task_id);
    world.shares[worker].is_begun = true;
    world.introduce(worker, link, channel.commanded_pipe);
    return result;
}

void SupervisorChannel::close() {
    real_channel_close(this);
    channel.close();
}

void announce_exit(const WorkerLink & /*link*/, int /*status*/) {}

} // namespace prefork::os
