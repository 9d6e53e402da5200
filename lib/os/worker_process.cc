// SPDX-License-Identifier: MIT
#include "os/worker_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace prefork::os {

namespace {

int own_task_id = -1;

bool supervisor_is_gone(const Birth &birth) {
    const pid_t parent = getppid();
    if (parent == birth.supervisor) {
        return false;
    }
    // A parent outside of this pid namespace is 0. Its pidfd tells for certain.
    pollfd supervisor{};
    supervisor.fd = birth.supervisor_pidfd;
    supervisor.events = POLLIN;
    return parent != 0 || poll(&supervisor, 1, 0) != 0;
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

// The C library's generators would otherwise give the same numbers in every worker.
void reseed_random() {
    struct {
        unsigned int rand_seed;
        unsigned int random_seed;
        unsigned short drand48_seed[3];
    } seeds{};
    if (getrandom(&seeds, sizeof(seeds), GRND_NONBLOCK) != static_cast<ssize_t>(sizeof(seeds))) {
        timespec time{};
        clock_gettime(CLOCK_MONOTONIC, &time);
        const auto mixed =
            static_cast<unsigned int>(time.tv_nsec) ^ (static_cast<unsigned int>(getpid()) << 12);
        seeds.rand_seed = mixed;
        seeds.random_seed = mixed + 1;
        seeds.drand48_seed[0] = static_cast<unsigned short>(mixed);
        seeds.drand48_seed[1] = static_cast<unsigned short>(mixed >> 16);
    }
    srand(seeds.rand_seed);
    srandom(seeds.random_seed);
    seed48(seeds.drand48_seed);
}

// From the fork to the return into the host. Only async-signal-safe calls until the worker is known
// to be alone.
void become_worker(const Birth &birth) {
    own_task_id = static_cast<int>(birth.task_id);
    birth.signals->restore_in_worker();
    if (birth.death_signal != 0) {
        prctl(PR_SET_PDEATHSIG, birth.death_signal);
    }
    // The supervisor may have ended before the kernel was asked to tell of it.
    if (supervisor_is_gone(birth) || (birth.gate >= 0 && !pass_gate(birth))) {
        _exit(EXIT_FAILURE);
    }
    close_noted_descriptors();
    if (!birth.threads) {
        reseed_random();
    }
}

} // namespace

void flush_stdio() { fflush(nullptr); }

int32_t fork_worker(const Birth &birth) {
    const pid_t pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        become_worker(birth);
    }
    return pid;
}

void exit_normally() { exit(EXIT_SUCCESS); }

void discard_worker(int32_t pid) {
    kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

int32_t own_pid() { return getpid(); }

int task_id() { return own_task_id; }

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

bool is_main_thread() { return syscall(SYS_gettid) == getpid(); }

} // namespace prefork::os
