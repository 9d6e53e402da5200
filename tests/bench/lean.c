/*
 * The lean loop: what the library's promises cost at least.
 *
 * A pidfd for each worker, so that no other process is ever reaped or signalled; epoll, so that
 * nothing is polled; close_range in the worker, so that it inherits none of that; PR_SET_PDEATHSIG,
 * so that it does not outlive its supervisor; TERM blocked except while waiting, so that it is
 * not lost. No policy, no events, no limits, no care for failures: those end the program.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE

#include "task.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { EVENTS_MAX = 64 };

struct worker {
    pid_t pid;
    int pidfd;
};

static struct worker *workers;
static pid_t supervisor_pid;
static int epoll_descriptor;
static sigset_t host_mask;
static volatile sig_atomic_t stop_asked;

static void ask_stop(int signal_number) {
    (void)signal_number; /* TERM is the only one */
    stop_asked = 1;
}

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "lean: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static void fork_worker(const struct task *task, uint32_t task_id) {
    pid_t pid = fork();
    check(pid, "fork");
    if (pid > 0) {
        workers[task_id].pid = pid;
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != supervisor_pid) {
        _exit(1); /* it ended before the line above */
    }
    /* The epoll descriptor is the first that this program opened, the pidfds follow. */
    syscall(SYS_close_range, epoll_descriptor, ~0u, 0);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &host_mask, NULL);
    task_work(task, task_id);
}

static void watch_worker(uint32_t task_id) {
    int pidfd = (int)syscall(SYS_pidfd_open, workers[task_id].pid, 0);
    check(pidfd, "pidfd_open");
    struct epoll_event interest = {.events = EPOLLIN, .data = {.u32 = task_id}};
    check(epoll_ctl(epoll_descriptor, EPOLL_CTL_ADD, pidfd, &interest), "epoll_ctl");
    workers[task_id].pidfd = pidfd;
}

static void collect_worker(uint32_t task_id) {
    int pidfd = workers[task_id].pidfd;
    siginfo_t end;
    check(waitid(P_PIDFD, (id_t)pidfd, &end, WEXITED), "waitid");
    check(epoll_ctl(epoll_descriptor, EPOLL_CTL_DEL, pidfd, NULL), "epoll_ctl");
    close(pidfd);
}

/* Supervise until TERM, then until the last worker is reaped. */
static void supervise(const struct task *task) {
    struct epoll_event events[EVENTS_MAX];
    uint32_t alive = task->workers;
    int stopping = 0;
    while (alive > 0) {
        int ready = epoll_pwait(epoll_descriptor, events, EVENTS_MAX, -1, &host_mask);
        if (ready < 0 && errno != EINTR) {
            check(ready, "epoll_pwait");
        }
        if (stop_asked && !stopping) {
            stopping = 1;
            for (uint32_t id = 0; id < task->workers; id++) {
                syscall(SYS_pidfd_send_signal, workers[id].pidfd, SIGTERM, NULL, 0);
            }
        }
        for (int i = 0; i < ready; i++) {
            uint32_t id = events[i].data.u32;
            collect_worker(id);
            if (stopping) {
                alive--;
            } else {
                fork_worker(task, id);
                watch_worker(id);
            }
        }
    }
}

int main(int argc, char **argv) {
    struct task task = task_read(argc, argv);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    signal(SIGTERM, ask_stop);
    task_begin(&task);
    sigprocmask(SIG_BLOCK, &term, &host_mask);
    supervisor_pid = getpid();
    workers = calloc(task.workers, sizeof(*workers));
    epoll_descriptor = epoll_create1(EPOLL_CLOEXEC);
    check(workers == NULL ? -1 : epoll_descriptor, "start");
    /* All forks come first: each one copies every descriptor that is open by then. */
    for (uint32_t id = 0; id < task.workers; id++) {
        fork_worker(&task, id);
    }
    for (uint32_t id = 0; id < task.workers; id++) {
        watch_worker(id);
    }
    supervise(&task);
    return 0;
}
