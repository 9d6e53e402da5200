// SPDX-License-Identifier: MIT
#include "os/channel/worker_link.h"

#include <atomic>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/worker_array.h"
#include "os/fd/descriptor.h"
#include "os/fd/fd_identity.h"
#include "os/fd/pidfd.h"
#include "os/fd/pipe.h"
#include "os/fd/pipe_write.h"
#include "os/fd/poll.h"
#include "os/process/clock.h"
#include "os/process/generation.h"
#include "os/process/parent.h"
#include "os/process/threads.h"

namespace prefork::os {

namespace {

// How long a worker waits for room in the pool's pipe.
constexpr base::Duration write_timeout = 1 * base::second;
// How soon it tries again where the kernel had no memory for the pipe.
constexpr int memory_pause_ms = 10;
// How often a child that waits to be admitted checks whether its supervisor lives, where the end of
// that wakes nobody.
constexpr int admission_look_ms = 1000;

// What this worker has opened or sent. Kept to its end.
struct Sent {
    uint32_t generation = 0; // of the worker that it speaks of
    bool ready = false;
    bool retire = false;
    int end = -1;  // of the supervisor: readable when that is gone
    int stop = -1; // an epoll of both
};

Sent sent;
std::atomic<uint32_t> sent_locked{0}; // by a thread of the worker of that generation; 0: by none
std::atomic<uint64_t> last_beat{0};   // when a heartbeat was sent last
std::atomic<uint32_t> beat_generation{0}; // of the worker that sent it

// Only one thread at a time opens what this worker needs. A worker that was forked meanwhile by
// another thread of a worker finds it unlocked, and finds nothing of its own.
class SentLock {
  public:
    SentLock() {
        uint32_t holder = 0;
        while (!sent_locked.compare_exchange_weak(holder, generation())) {
            if (holder == generation()) {
                yield_cpu();
                holder = 0;
            }
        }
        if (sent.generation != generation()) {
            sent = Sent{}; // its descriptors were closed when this worker began
            sent.generation = generation();
        }
    }
    ~SentLock() { sent_locked.store(0); }
    SentLock(const SentLock &) = delete;
    SentLock &operator=(const SentLock &) = delete;
};

bool is_supervisor_gone(const WorkerLink &link) {
    return find_parent(link.supervisor, link.pidfd) == Parent::other;
}

bool lacks_memory(ssize_t result) { return result == -ENOMEM || result == -ENOBUFS; }

// Waits until the pipe has room, or for a moment where the kernel had no memory to give it some.
// Returns -EAGAIN after the deadline.
int await_room(int descriptor, bool lacks_memory, base::Instant deadline) {
    const base::Instant now = os::now();
    if (now >= deadline) {
        return -EAGAIN;
    }
    pollfd room{};
    room.fd = lacks_memory ? -1 : descriptor;
    room.events = POLLOUT;
    const auto left_ms = static_cast<int>((deadline - now) / base::millisecond) + 1;
    const int wait_ms = lacks_memory && left_ms > memory_pause_ms ? memory_pause_ms : left_ms;
    return poll(&room, 1, wait_ms) < 0 && errno != EINTR ? -errno : 0;
}

// Returns 0, -ESRCH if there is nobody to read it, -EAGAIN if there was no room for a second,
// -EBADF if this process has closed the descriptor.
int send_record(const WorkerLink &link, RecordKind kind, uint8_t value) {
    const Record record = Record::make(link.instance, link.token, kind, value);
    const base::Instant deadline = base::after(os::now(), write_timeout);
    for (;;) {
        // Never write into what the number means by now, if the host has closed all descriptors.
        if (!link.up_file.matches(link.up)) {
            return -EBADF;
        }
        const ssize_t result = write_to_shared_pipe(link.up, &record, sizeof(record));
        if (result == -EPIPE) {
            return -ESRCH;
        }
        const bool lacks = lacks_memory(result);
        if (result >= 0 || (result != -EAGAIN && result != -EINTR && !lacks)) {
            return result < 0 ? static_cast<int>(result) : 0;
        }
        if (int r = await_room(link.up, lacks, deadline); r < 0) {
            return r;
        }
    }
}

// A pipe that nobody can write to is readable for ever.
int open_ended(Descriptor *ret_end) {
    Descriptor write_end;
    return open_pipe(ret_end, &write_end, true);
}

// Opens what is readable once the supervisor is gone, or at once if the end has come before. The
// worker's pipe reports it as well where no process that the host has forked keeps its other end.
int open_end(const WorkerLink &link) {
    if (sent.end >= 0) {
        return 0;
    }
    // The parent is looked at after the pidfd was opened, so that it is the supervisor's if it is
    // still the parent, and not that of a later process with its pid.
    Pidfd end;
    const int given = link.pidfd >= 0 ? link.pidfd : link.liveness;
    const int opened = given >= 0 ? 0 : end.open(link.supervisor);
    if (opened == -EMFILE || opened == -ENFILE || opened == -ENOMEM) {
        return opened;
    }
    if (is_supervisor_gone(link) || opened == -ESRCH) {
        if (int r = open_ended(&end); r < 0) {
            return r;
        }
    }
    sent.end = end.get() >= 0 ? end.release() : given;
    return 0;
}

int watch(int epoll, int operation, int descriptor, uint32_t events) {
    epoll_event event{};
    event.events = events;
    return epoll_ctl(epoll, operation, descriptor, &event) < 0 ? -errno : 0;
}

// What comes next in the pipe asks for a stop.
void end_wait_for_slot(WorkerLink *link) {
    const SentLock lock;
    link->is_spare = false;
    if (!link->keeps_down) {
        forget_descriptor(link->down);
        close(link->down);
        link->down = -1;
    } else if (sent.stop >= 0) {
        (void)watch(sent.stop, EPOLL_CTL_MOD, link->down, EPOLLIN);
    }
}

// Reads a command and leaves it where it is: it may be for another child of the host. Returns its
// size, or a negative errno.
ssize_t peek_command(int descriptor, Command *ret_command) {
    Descriptor read_end;
    Descriptor write_end;
    if (int r = open_pipe(&read_end, &write_end, true); r < 0) {
        return r;
    }
    const ssize_t size = tee(descriptor, write_end.get(), sizeof(*ret_command), SPLICE_F_NONBLOCK);
    const bool is_missing = size < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL);
    const int source = is_missing ? descriptor : read_end.get();
    if (size <= 0 && !is_missing) {
        return size < 0 ? -errno : -EPIPE;
    }
    const ssize_t read_size = read(source, ret_command, sizeof(*ret_command));
    return read_size < 0 ? -errno : read_size;
}

// Unlike is_pipe(), false where the system forbids the question.
bool is_end_of_pipe(int descriptor, int access) {
    struct stat status {};
    const int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) == access && fstat(descriptor, &status) == 0 &&
           S_ISFIFO(status.st_mode);
}

} // namespace

int send_ready(const WorkerLink &link) {
    if (link.death_signal != 0) {
        prctl(PR_SET_PDEATHSIG, link.death_signal); // which setuid() has cleared
    }
    if (is_supervisor_gone(link)) {
        return -ESRCH;
    }
    const SentLock lock;
    if (sent.ready) {
        return 0;
    }
    const int result = send_record(link, RecordKind::ready, 0);
    sent.ready = result == 0;
    return result;
}

int send_retire(const WorkerLink &link) {
    if (is_supervisor_gone(link)) {
        return -ESRCH;
    }
    const SentLock lock;
    const int result = sent.retire ? 0 : send_record(link, RecordKind::retire, 0);
    sent.retire = result == 0;
    return result;
}

int send_heartbeat(const WorkerLink &link) {
    if (link.heartbeat_interval == 0) {
        return 0;
    }
    const base::Instant now = os::now();
    const uint64_t last = beat_generation.load() == generation() ? last_beat.load() : 0;
    if (last != 0 && now - last < link.heartbeat_interval) {
        return 0;
    }
    beat_generation.store(generation());
    last_beat.store(now);
    const int result = send_record(link, RecordKind::heartbeat, 0);
    if (result < 0) {
        last_beat.store(0); // the next call tries again
    }
    return result;
}

void announce_exit(const WorkerLink &link, int status) {
    if (link.announces_exit) {
        (void)send_record(link, RecordKind::exit_code, static_cast<uint8_t>(status));
    }
}

int stop_descriptor(const WorkerLink &link) {
    if (link.down < 0 || !link.keeps_down) {
        return -EOPNOTSUPP;
    }
    const SentLock lock;
    if (sent.stop >= 0) {
        return sent.stop;
    }
    if (!is_end_of_pipe(link.down, O_RDONLY)) {
        return -EBADF;
    }
    if (int r = open_end(link); r < 0) {
        return r;
    }
    Descriptor all;
    if (int r = all.adopt(epoll_create1(EPOLL_CLOEXEC)); r < 0) {
        return r;
    }
    // For a spare, only the end of the pipe asks for a stop.
    const uint32_t events = link.is_spare ? 0U : uint32_t{EPOLLIN};
    if (int r = watch(all.get(), EPOLL_CTL_ADD, link.down, events); r < 0) {
        return r;
    }
    if (int r = sent.end < 0 ? 0 : watch(all.get(), EPOLL_CTL_ADD, sent.end, EPOLLIN); r < 0) {
        return r;
    }
    sent.stop = all.release();
    return sent.stop;
}

bool await_admission(WorkerLink *link, int supervisor_pidfd) {
    pollfd both[2] = {};
    both[0].fd = link->down;
    both[0].events = POLLIN;
    both[1].fd = supervisor_pidfd >= 0 ? supervisor_pidfd : link->liveness;
    both[1].events = POLLIN;
    Command command{};
    ssize_t size = -EAGAIN;
    while (size == -EAGAIN) {
        (void)poll_or_sleep(both, 2, admission_look_ms); // whatever it says, it is looked at below
        size = peek_command(link->down, &command);
        if (is_supervisor_gone(*link) || (size == -EAGAIN && both[1].revents != 0)) {
            return false;
        }
    }
    if (size != static_cast<ssize_t>(sizeof(command)) || command.kind != CommandKind::admitted ||
        command.number != getpid()) {
        return false; // refused, or another child of the host has been admitted here
    }
    (void)!read(link->down, &command, sizeof(command)); // what comes next asks for a stop
    link->instance = command.instance;
    link->token = command.token;
    link->is_spare = base::is_spare(command.instance.worker);
    return true;
}

namespace {

// Signals are handled as in a worker, so that none waits here for the one that it becomes.
int wait_with_mask(pollfd *descriptors, nfds_t count, int timeout_ms, const sigset_t *mask) {
    sigset_t before;
    if (mask != nullptr) {
        pthread_sigmask(SIG_SETMASK, mask, &before);
    }
    const int ready = poll_or_sleep(descriptors, count, timeout_ms);
    if (mask != nullptr) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    return ready;
}

} // namespace

int32_t await_takeover(WorkerLink *link, const sigset_t *mask) {
    int end = -1;
    {
        const SentLock lock;
        (void)open_end(*link); // without it, the parent is looked at in time
        end = sent.end;
    }
    pollfd both[2] = {};
    both[0].fd = link->down;
    both[0].events = POLLIN;
    both[1].fd = end;
    both[1].events = POLLIN;
    Command command{};
    ssize_t size = -1;
    while (size < 0) {
        const int ready = wait_with_mask(both, 2, end >= 0 ? -1 : admission_look_ms, mask);
        size = read(link->down, &command, sizeof(command));
        const bool is_empty = size < 0 && (errno == EAGAIN || errno == EINTR);
        if (size < 0 && !is_empty) {
            return -EIO;
        }
        if ((ready >= 0 && size < 0 && both[1].revents != 0) || is_supervisor_gone(*link)) {
            return -ECANCELED;
        }
    }
    if (size != static_cast<ssize_t>(sizeof(command)) || command.kind != CommandKind::take_slot) {
        return -ECANCELED; // it ends
    }
    link->instance = command.instance;
    link->token = command.token;
    end_wait_for_slot(link);
    return command.number;
}

bool check_link(WorkerLink *link) {
    FdIdentity file;
    if (!is_end_of_pipe(link->up, O_WRONLY) || !file.capture(link->up) ||
        file.inode != link->up_file.inode ||
        (link->down >= 0 && !is_end_of_pipe(link->down, O_RDONLY))) {
        return false;
    }
    link->up_file = file;
    return true;
}

} // namespace prefork::os
