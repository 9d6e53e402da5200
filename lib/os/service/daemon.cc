// SPDX-License-Identifier: MIT
#include "os/service/daemon.h"

#include <atomic>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/flag.h"
#include "os/fd/borrowed_fd.h"
#include "os/fd/descriptor.h"
#include "os/fd/fd_identity.h"
#include "os/fd/pidfd.h"
#include "os/fd/pipe.h"
#include "os/fd/pipe_write.h"
#include "os/fd/poll.h"
#include "os/process/process_id.h"
#include "os/process/process_lock.h"
#include "os/process/standard_files.h"
#include "os/process/threads.h"
#include "os/service/pid_file.h"

namespace prefork::os {

namespace {

constexpr uint32_t a_pool_waited = 1U << 31;

// Descriptors are borrowed, though nobody else owns them: an owner of static life would run code at
// the end of every process, and the host may close any of them. They lie above stdio, and are
// noted.
struct {
    std::atomic<ProcessId> process; // the daemon
    base::Flag launching;           // somebody waits for its readiness
    std::atomic<uint32_t> pools;    // that it waits for, and a_pool_waited
    bool adopted;                   // and nobody has called daemonize() yet
    BorrowedFd launcher;            // the way to who waits
    BorrowedFd null_device;         // opened early: the host may go where there is no /dev/null
    BorrowedFd pid_file;
    FdIdentity stdio[STDERR_FILENO + 1]; // as the launching process had it
} daemon_state{};

// That of no file if it is not open.
FdIdentity identity_of(int descriptor) {
    FdIdentity file;
    (void)file.capture(descriptor);
    return file;
}

// Returns 0 or a negative errno.
int hold(Descriptor *file, BorrowedFd *ret_held) {
    if (!ret_held->borrow(file->get())) {
        return -errno;
    }
    file->disown();
    return 0;
}

// What the host has closed is only forgotten: its number may be that of a file of the host.
void let_go(BorrowedFd *held, bool is_open) {
    forget_descriptor(held->get());
    if (is_open) {
        close(held->get());
    }
    *held = {};
}

// All that open /dev/null have the same file. But the pipe is open as long, where there is one: who
// closes all closes both.
bool holds_null_device() {
    return daemon_state.null_device.is_still_open() &&
           (daemon_state.launcher.get() < 0 || daemon_state.launcher.is_still_open());
}

// The launching process may have been killed: then nobody reads it.
void send_answer(int pipe, int32_t answer) {
    (void)write_without_sigpipe(pipe, &answer, sizeof(answer));
}

// Returns 1, 0 if there will be none, or -EAGAIN.
int read_answer(int pipe, int32_t *ret_answer) {
    ssize_t length = 0;
    do {
        length = read(pipe, ret_answer, sizeof(*ret_answer));
    } while (length < 0 && errno == EINTR);
    if (length < 0 && errno == EAGAIN) {
        return -EAGAIN;
    }
    return length == static_cast<ssize_t>(sizeof(*ret_answer)) ? 1 : 0;
}

bool is_alive(pid_t process) { return kill(process, 0) == 0 || errno != ESRCH; }

// Waits until there is an answer, or all that could give one have ended; returns whether there is
// one. The end of the daemon, if it is known already, is seen by its pidfd too, for a child of the
// host may hold the pipe open; without pidfds it is looked for.
bool await_answer(int pipe, pid_t daemon, int32_t *ret_answer) {
    constexpr int look_ms = 100;
    pollfd either[2] = {};
    Pidfd pidfd;
    const bool looks = daemon > 0 && pidfd.open(daemon) < 0;
    either[0].fd = pipe;
    either[0].events = POLLIN;
    either[1].fd = pidfd.get();
    either[1].events = POLLIN;
    for (;;) {
        (void)poll_or_sleep(either, 2, looks ? look_ms : -1);
        const bool has_ended = (either[0].revents & POLLHUP) != 0 ||
                               (daemon > 0 && (either[1].revents != 0 || !is_alive(daemon)));
        const int result = read_answer(pipe, ret_answer);
        if (result != -EAGAIN || has_ended) {
            return result == 1;
        }
    }
}

// In the launching process, with a read end that does not wait. The daemon says first what its pid
// is, or why there is none, and later that it is ready.
int await_daemon(int pipe, pid_t child) {
    while (wait4(child, nullptr, 0, nullptr) < 0 && errno == EINTR) {
    }
    int32_t answer = 0;
    bool has_answer = await_answer(pipe, 0, &answer);
    if (has_answer && answer < 0) {
        return answer;
    }
    has_answer = has_answer && await_answer(pipe, answer, &answer);
    _exit(has_answer ? EXIT_SUCCESS : EXIT_FAILURE);
}

// Returns 0 or a negative errno.
int prepare_to_detach() {
    for (int number = 0; number <= STDERR_FILENO; number++) {
        daemon_state.stdio[number] = is_standard_file(number) ? identity_of(number) : FdIdentity{};
    }
    Descriptor file;
    const int r = file.adopt(open("/dev/null", O_RDWR | O_CLOEXEC));
    return r < 0 ? r : hold(&file, &daemon_state.null_device);
}

// Returns 0 or a negative errno, with which the process is to end.
int become_daemon(Descriptor *launched, const char *pid_file) {
    if (int r = prepare_to_detach(); r < 0) {
        return r;
    }
    if (int r = hold(launched, &daemon_state.launcher); r < 0) {
        return r;
    }
    daemon_state.pid_file = {}; // a daemon's child has its number
    if (pid_file != nullptr) {
        if (int r = create_pid_file(pid_file, &daemon_state.pid_file); r < 0) {
            return r;
        }
    }
    daemon_state.pools = 0; // and those that were waited for
    daemon_state.process = own_process_id();
    daemon_state.launching = 1;
    return 0;
}

// Once in a process. Async-signal-safe.
void detach_stdio() {
    redirect_stdio_to_null();
    let_go(&daemon_state.null_device, holds_null_device());
}

// The same, after what the host has written is on its way.
bool detach_written_stdio() {
    if (daemon_state.launching.exchange(0) == 0) {
        return false;
    }
    if (!has_threads()) {
        flush_stdio();
    }
    const ProcessLock lock;
    detach_stdio();
    return true;
}

bool is_launching_daemon() {
    return daemon_state.launching != 0 && is_this_process(daemon_state.process);
}

// Runs at every normal end of every process that has the library.
// After those without a priority: one of them may adopt the file.
constexpr int last_priority = 102;

[[gnu::destructor(last_priority)]] void remove_pid_file_at_end() { remove_pid_file(); }

} // namespace

int daemonize(const char *pid_file) {
    if (daemon_state.adopted && is_daemon()) {
        daemon_state.adopted = false;
        return 0;
    }
    if (is_daemon()) {
        return -EALREADY;
    }
    Descriptor launching;
    Descriptor launched;
    if (int r = open_pipe(&launching, &launched, true); r < 0) {
        return r;
    }
    flush_stdio();
    const pid_t child = fork();
    if (child < 0) {
        return -errno;
    }
    if (child > 0) {
        launched.reset();
        return await_daemon(launching.get(), child);
    }
    launching.reset();
    // A session without a terminal; and since its leader ends, it cannot come by one.
    const bool is_leader = setsid() >= 0;
    const pid_t daemon = is_leader ? fork() : -1;
    if (daemon == 0) {
        const int launcher = launched.get();
        const int result = become_daemon(&launched, pid_file);
        send_answer(launcher, result < 0 ? result : getpid());
        if (result == 0) {
            return 0;
        }
    } else if (daemon < 0) {
        send_answer(launched.get(), -errno);
    }
    _exit(EXIT_SUCCESS);
}

int daemon_ready() {
    if (daemon_state.process != 0 && !is_this_process(daemon_state.process)) {
        return -ECHILD;
    }
    if (is_launching_daemon() && detach_written_stdio()) {
        const ProcessLock lock;
        const bool is_open = daemon_state.launcher.is_still_open();
        if (is_open) {
            send_answer(daemon_state.launcher.get(), 0);
        }
        let_go(&daemon_state.launcher, is_open);
    }
    return 0;
}

bool await_pool() {
    uint32_t pools = daemon_state.pools;
    while (is_launching_daemon() && (pools & a_pool_waited) == 0) {
        if (daemon_state.pools.compare_exchange_weak(pools, pools + 1)) {
            return true;
        }
    }
    return false;
}

void awaited_pool_is_ready() {
    if (daemon_state.pools.fetch_sub(1) - 1 == a_pool_waited) {
        daemon_ready();
    }
}

// If it was the last one, the daemon did not get ready with these pools: the next ones count.
void awaited_pool_is_gone() {
    uint32_t pools = daemon_state.pools;
    while (!daemon_state.pools.compare_exchange_weak(pools,
                                                     pools - 1 == a_pool_waited ? 0 : pools - 1)) {
    }
}

void await_no_more_pools() {
    if (is_launching_daemon() && daemon_state.pools.fetch_or(a_pool_waited) == 0) {
        daemon_ready();
    }
}

bool is_daemon() { return is_this_process(daemon_state.process); }

bool is_launcher_waiting() { return is_launching_daemon(); }

const BorrowedFd *own_pid_file() {
    return is_daemon() && daemon_state.pid_file.get() >= 0 ? &daemon_state.pid_file : nullptr;
}

int adopt_daemon(int pid_file) {
    daemon_state.process = own_process_id();
    daemon_state.adopted = true;
    if (pid_file >= 0 && daemon_state.pid_file.borrow(pid_file)) {
        // A process with several threads may have lost the lock when it executed the program.
        struct flock whole {};
        whole.l_type = F_WRLCK;
        (void)fcntl(pid_file, F_SETLK, &whole);
    } else if (pid_file >= 0 && errno != EBADF) { // the program in between may have closed it
        const int error = -errno;
        (void)!ftruncate(pid_file, 0); // it names nobody, for this process cannot remove it
        return error;
    }
    return 0;
}

bool is_launching() { return daemon_state.launching != 0; }

void let_go_of_lost_files() {
    if (daemon_state.process == 0) {
        return;
    }
    const ProcessLock lock;
    if (daemon_state.null_device.get() >= 0 && !holds_null_device()) {
        let_go(&daemon_state.null_device, false);
    }
    for (BorrowedFd *held : {&daemon_state.launcher, &daemon_state.pid_file}) {
        if (held->get() >= 0 && !held->is_still_open()) {
            let_go(held, false);
        }
    }
}

// What the host has put in its place meanwhile is left alone. Without the descriptor that was
// opened early there may be another one. Nothing in memory is changed.
void redirect_stdio_to_null() {
    const bool is_held = holds_null_device();
    const int null_device = is_held ? daemon_state.null_device.get()
                                    : above_stdio(open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int number = 0; number <= STDERR_FILENO; number++) {
        const FdIdentity file = identity_of(number);
        if (file == FdIdentity{} || file == daemon_state.stdio[number]) {
            dup2(null_device, number);
        }
    }
    if (!is_held && null_device >= 0) {
        close(null_device);
    }
}

void keep_stdio_until_ready() { daemon_state.launching = prepare_to_detach() == 0 ? 1 : 0; }

void begin_in_child(Stdio stdio) {
    if (daemon_state.launching == 0) {
        return;
    }
    const bool is_held = holds_null_device();
    if (stdio == Stdio::until_ready && is_held) {
        forget_descriptor(daemon_state.null_device.get()); // not to be closed with all others
    } else if (stdio == Stdio::detached) {
        detach_stdio();
    } else {
        let_go(&daemon_state.null_device, is_held);
    }
    daemon_state.launching = stdio == Stdio::until_ready ? 1 : 0;
    daemon_state.launcher = {}; // closed with all others
}

void worker_is_ready() { (void)detach_written_stdio(); }

void remove_pid_file() {
    if (daemon_state.pid_file.get() >= 0 && is_this_process(daemon_state.process)) {
        remove_pid_file(daemon_state.pid_file);
    }
}

} // namespace prefork::os
