// SPDX-License-Identifier: MIT
#include "os/worker_process.h"

#include <atomic>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "os/random.h"
#include "os/signals.h"

namespace prefork::os {

namespace {

// All that a new worker writes in the library's own data, on one page: each page that it writes
// first has to be copied.
struct {
    int task_id = -1;
    uint32_t generation = 0;
    int32_t pid = 0; // of the worker, not of its children
    Post post;
} self;

// A page that a forked child finds zeroed, so that a worker's children know without a system call
// that they are none. Mapped at the first sign of life.
std::atomic<std::atomic<uint32_t> *> only_in_this_process{nullptr};

bool supervisor_is_gone(const Birth &birth) {
    const pid_t parent = getppid();
    if (parent == birth.post.supervisor) {
        return false;
    }
    // A parent outside of this pid namespace is 0. Its pidfd tells for certain.
    pollfd supervisor{};
    supervisor.fd = birth.supervisor_pidfd;
    supervisor.events = POLLIN;
    return parent != 0 || (birth.supervisor_pidfd >= 0 && poll(&supervisor, 1, 0) != 0);
}

// Waits until the supervisor holds the worker's pidfd; fails if the supervisor ends before.
bool pass_gate(const Birth &birth) {
    pollfd both[2] = {};
    both[0].fd = birth.gate;
    both[0].events = POLLIN;
    both[1].fd = birth.supervisor_pidfd;
    both[1].events = POLLIN;
    while (poll(both, 2, -1) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    char byte = 0;
    return (both[0].revents & POLLIN) != 0 && read(birth.gate, &byte, 1) == 1;
}

// From the fork to the return into the host. Only async-signal-safe calls until the worker is known
// to be alone.
void become_worker(const Birth &birth) {
    self.task_id = static_cast<int>(birth.task_id);
    self.generation += 1;
    self.pid = getpid();
    self.post = birth.post;
    only_in_this_process.store(nullptr, std::memory_order_relaxed);
    restore_host_handlers();
    if (birth.group) {
        setpgid(0, 0);
    }
    if (birth.post.death_signal != 0) {
        prctl(PR_SET_PDEATHSIG, birth.post.death_signal);
    }
    // The supervisor may have ended before the kernel was asked to tell of it.
    if (supervisor_is_gone(birth) || (birth.gate >= 0 && !pass_gate(birth))) {
        _exit(EXIT_FAILURE);
    }
    close_noted_descriptors(birth.post.liveness);
    if (birth.post.liveness >= 0) {
        note_descriptor(birth.post.liveness); // as its own, which its workers are rid of
    }
    if (!birth.threads) {
        reseed_generators();
    }
}

// Returns 0 or a negative errno. Of several threads at the same time one maps it for all.
int map_page_of_this_process(std::atomic<uint32_t> **ret_page) {
    const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    if (madvise(memory, size, MADV_WIPEONFORK) < 0) {
        const int error = -errno;
        munmap(memory, size);
        return error;
    }
    auto *page = static_cast<std::atomic<uint32_t> *>(memory);
    page->store(1, std::memory_order_relaxed);
    std::atomic<uint32_t> *earlier = nullptr;
    if (!only_in_this_process.compare_exchange_strong(earlier, page)) {
        munmap(memory, size);
        page = earlier;
    }
    *ret_page = page;
    return 0;
}

} // namespace

void become_stranger() {
    self.generation += 1;
    restore_host_handlers();
    close_noted_descriptors(-1);
}

void flush_stdio() { fflush(nullptr); }

int32_t fork_worker(const Birth &birth) {
    const pid_t pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        become_worker(birth);
    } else if (birth.group) {
        setpgid(pid, pid); // here too: a signal to the group may come before the worker runs
    }
    return pid;
}

void end_worker(int status, bool threads) {
    if (!threads) {
        fflush(nullptr);
    }
    _exit(status);
}

void give_way() { sched_yield(); }

void exit_normally() { exit(EXIT_SUCCESS); }

void discard_worker(int32_t pid) {
    kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

int32_t own_pid() { return getpid(); }

const Post *own_post() {
    return self.post.cell != nullptr && self.pid == getpid() ? &self.post : nullptr;
}

int beat() {
    std::atomic<uint32_t> *page = only_in_this_process.load(std::memory_order_acquire);
    if (page == nullptr) {
        if (own_post() == nullptr) {
            return -ECHILD;
        }
        if (int r = map_page_of_this_process(&page); r < 0) {
            return r;
        }
    }
    if (page == nullptr || page->load(std::memory_order_relaxed) == 0) {
        return -ECHILD;
    }
    self.post.cell->beats.fetch_add(1, std::memory_order_relaxed);
    return 0;
}

uint32_t generation() { return self.generation; }

int task_id() { return self.task_id; }

bool has_threads() {
#if __has_include(<sys/single_threaded.h>)
    // Never true again once there was a thread, so false says nothing.
    if (__libc_single_threaded != 0) {
        return false;
    }
#endif
    // The links of the directory are its two own and one a thread.
    struct stat status {};
    if (stat("/proc/self/task", &status) == 0 && status.st_nlink > 2) {
        return status.st_nlink > 3;
    }
    return false;
}

bool has_lasting_threads() {
    constexpr int looks = 50;
    constexpr timespec pause = {0, 100'000};
    // The kernel wakes a joiner a moment before the thread has left the process.
    for (int look = 0; look < looks && has_threads(); look++) {
        nanosleep(&pause, nullptr);
    }
    return has_threads();
}

bool is_main_thread() { return syscall(SYS_gettid) == getpid(); }

} // namespace prefork::os
