// The worker's end: what it reads from the pipe of its supervisor, and what it sends, which the
// supervisor's end reads.
//
// The input: how the pool is, and then what happens to one child that waits to be admitted.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "fake_system.h"
#include "input.h"
#include "os/channel/supervisor_channel.h"
#include "os/channel/worker_link.h"
#include "os/process/generation.h"

using prefork::base::second;
using prefork::os::Command;
using prefork::os::CommandKind;
using prefork::os::Message;
using prefork::os::SupervisorChannel;
using prefork::os::WorkerLink;

namespace {

constexpr uint32_t workers = 4;

int lowest_free_descriptor() {
    const int descriptor = dup(STDERR_FILENO);
    close(descriptor);
    return descriptor;
}

// Any bytes at all in the pipe by which a child is admitted; afterwards the pipe is closed.
void read_any_command(fuzz::Input *input) {
    Command command{};
    int ends[2];
    EXPECT(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    WorkerLink link;
    link.supervisor = getppid();
    link.down = ends[0];
    const bool is_for_us = input->below(2) != 0;
    std::string bytes(input->bytes(input->below(64)));
    const int32_t pid = getpid();
    if (is_for_us && bytes.size() >= offsetof(Command, instance)) {
        memcpy(&bytes[offsetof(Command, number)], &pid, sizeof(pid));
    }
    EXPECT(write(ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    close(ends[1]);
    const bool is_admitted = prefork::os::await_admission(&link, -1);
    const bool is_whole = bytes.size() >= sizeof(command);
    memcpy(&command, bytes.data(), is_whole ? sizeof(command) : 0);
    EXPECT(is_admitted ==
           (is_whole && command.kind == CommandKind::admitted && command.number == pid));
    if (is_admitted) {
        EXPECT(link.token == command.token && link.instance.life == command.instance.life);
    } else { // it is left there, as it may be for another child
        char left[64];
        const ssize_t size = read(ends[0], left, sizeof(left));
        EXPECT(size == static_cast<ssize_t>(bytes.size()));
    }
    close(ends[0]);
}

// A link that names descriptors which are not what the supervisor said.
void check_any_link(fuzz::Input *input) {
    int ends[2];
    EXPECT(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    const int candidates[] = {ends[0], ends[1], STDERR_FILENO, -1, 1 << 20, INT32_MAX};
    WorkerLink link;
    link.up = candidates[input->below(std::size(candidates))];
    link.down = candidates[input->below(std::size(candidates))];
    struct stat status {};
    EXPECT(fstat(ends[0], &status) == 0);
    link.up_file.inode = status.st_ino + input->below(2);
    const bool is_right = link.up == ends[1] && link.up_file.inode == status.st_ino &&
                          (link.down < 0 || link.down == ends[0]);
    EXPECT(prefork::os::check_link(&link) == is_right);
    close(ends[0]);
    close(ends[1]);
}

struct Expected {
    bool ready = false;
    bool retire = false;
    uint32_t heartbeats = 0;
    int exit_code = -1;
};

// What the worker says reaches the supervisor, once.
void send(fuzz::Input *input, const WorkerLink &link, Expected *expected) {
    switch (input->below(4)) {
    case 0:
        EXPECT(prefork::os::send_ready(link) == 0);
        expected->ready = true;
        break;
    case 1:
        EXPECT(prefork::os::send_retire(link) == 0);
        expected->retire = true;
        break;
    case 2:
        EXPECT(prefork::os::send_heartbeat(link) == 0);
        expected->heartbeats = link.heartbeat_interval == 0 ? 0 : 1; // another one comes later
        break;
    default: {
        const uint8_t code = input->byte();
        if (link.announces_exit && expected->exit_code < 0) {
            prefork::os::announce_exit(link, code);
            expected->exit_code = code;
        }
        break;
    }
    }
}

void expect_received(SupervisorChannel *channel, uint32_t worker, const Expected &expected) {
    Expected received;
    Message message{};
    channel->begin_read(1000 * second);
    while (channel->next(&message)) {
        EXPECT(message.worker == worker && message.kind != Message::Kind::flood);
        bool *once = message.kind == Message::Kind::ready ? &received.ready : &received.retire;
        EXPECT(!*once);
        *once = true;
    }
    EXPECT(!channel->met_nonsense());
    EXPECT(received.ready == expected.ready && received.retire == expected.retire);
    EXPECT(channel->heartbeats(worker) == expected.heartbeats);
    EXPECT(channel->announced_exit(worker) == expected.exit_code);
}

void play(fuzz::Input *input) {
    SupervisorChannel channel;
    const bool has_stop = input->below(2) != 0;
    EXPECT(channel.open({has_stop, true, input->below(2) * 100 * second}) == 0);
    EXPECT(channel.grow(workers, 0));
    const auto slot = static_cast<int32_t>(input->below(workers));
    const uint32_t worker = input->below(workers);
    EXPECT(channel.admit(slot, worker, getpid(), 0) == -ESRCH); // nobody waits
    EXPECT(channel.expect_fork(slot) == 0);
    WorkerLink link = channel.link_of_all();
    link.supervisor = getppid();
    link.announces_exit = input->below(2) != 0;
    link.down = dup(channel.admission_end(slot));
    const int32_t pid = input->below(4) == 0 ? 1 : getpid();
    const bool is_refused = input->below(4) == 0;
    if (is_refused) {
        channel.close();
    } else {
        EXPECT(channel.admit(slot, worker, pid, 0) == 0);
    }
    prefork::os::begin_generation(); // a new worker, as far as its end is concerned
    const bool is_admitted = prefork::os::await_admission(&link, -1);
    EXPECT(is_admitted == (!is_refused && pid == getpid()));
    if (is_admitted) {
        Expected expected;
        EXPECT(prefork::os::check_link(&link) && link.instance.worker == worker);
        while (!input->is_empty()) {
            send(input, link, &expected);
        }
        expect_received(&channel, worker, expected);
        Command command{};
        channel.ask_to_stop(worker);
        const ssize_t size = read(link.down, &command, sizeof(command));
        EXPECT(size == (has_stop ? static_cast<ssize_t>(sizeof(command)) : 0));
        EXPECT(!has_stop || command.kind == CommandKind::stop);
    }
    close(link.down);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::Input input(data, size);
    const int before = lowest_free_descriptor();
    switch (input.below(4)) {
    case 0:
        read_any_command(&input);
        break;
    case 1:
        check_any_link(&input);
        break;
    default:
        play(&input);
        break;
    }
    EXPECT(lowest_free_descriptor() == before);
    return 0;
}
