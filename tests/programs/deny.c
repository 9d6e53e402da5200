/*
 * deny.c - play a pool once for each system call that is denied, and print what came of it
 *
 * Usage: deny. For each call and each of ENOSYS and EPERM it prints what two scenarios do: "fork"
 * (start, crash, restart, stop of a pool with a function) and "exec" (the same with a program). A
 * seccomp filter denies the call to the supervisor and to its workers.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <prefork.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "error_name.h"
#include "filter.h"

enum { WORKERS = 2, LIMIT_MS = 8000 };

struct result {
    bool started;   /* the first worker ran */
    bool restarted; /* after the crash */
    bool reported;  /* the crash, with its signal */
    bool done;      /* the supervisor saw the end of the pool */
    int error;      /* of the call that failed */
};

static struct result *result;

/* Each is made by a supervisor or a worker of the scenarios, so no result is an empty one. */
static const struct {
    const char *name;
    long number;
} calls[] = {
    {"close_range", SYS_close_range},
    {"epoll_create1", SYS_epoll_create1},
    {"epoll_ctl", SYS_epoll_ctl},
    {"eventfd2", SYS_eventfd2},
    {"getrandom", SYS_getrandom},
    {"madvise", SYS_madvise},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"pipe2", SYS_pipe2},
    {"prlimit64", SYS_prlimit64},
    {"timerfd_create", SYS_timerfd_create},
    {"timerfd_settime", SYS_timerfd_settime},
    {"waitid", SYS_waitid},
};

static int wait_for_end(int task_id, void *user) {
    (void)task_id;
    (void)user;
    while (pause() != 0) {
    }
    return 1;
}

static long now_ms(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

static int failed(int error) {
    result->error = -error;
    return 1;
}

/* Kills the first worker once all have started; stops the pool after its restart. */
static int react(pf_pool *pool, int *started) {
    const pf_event *event = NULL;

    while (pf_pool_next_event(pool, &event) > 0) {
        if (pf_event_type(event) == PF_EVENT_EXITED && !result->restarted) {
            result->reported = pf_event_signal(event) == SIGKILL;
        }
        if (pf_event_type(event) != PF_EVENT_STARTED) {
            continue;
        }
        result->started = true;
        if (++*started == WORKERS && kill(pf_event_pid(event), SIGKILL) != 0) {
            return -errno;
        }
        if (*started == WORKERS + 1) {
            result->restarted = true;
            return pf_pool_stop(pool);
        }
    }
    return 0;
}

static int supervise(bool executes) {
    static const char *const argv[] = {"sleep", "1000", NULL};
    pf_pool *pool = NULL;
    int started = 0;
    int error = pf_pool_new(&pool);

    if (error == 0) {
        error = pf_pool_set_workers(pool, WORKERS);
    }
    if (error == 0) {
        error = executes ? pf_pool_set_exec(pool, "/bin/sleep", argv, NULL)
                         : pf_pool_set_worker_fn(pool, wait_for_end, NULL, NULL);
    }
    if (error == 0) {
        error = pf_pool_start(pool);
    }
    while (error >= 0) {
        error = pf_pool_dispatch(pool, 1000);
        if (error >= 0) {
            int reaction = react(pool, &started);

            if (reaction < 0) {
                error = reaction;
            } else if (error == 0 && result->restarted) {
                break;
            }
        }
    }
    pf_pool_free(pool);
    if (error < 0) {
        return failed(error);
    }
    result->done = true;
    return 0;
}

/* Kills and reaps what the supervisor left; returns whether there was any. */
static bool clear_children(void) {
    bool left = false;
    char path[64];
    FILE *children = NULL;
    int pid = 0;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    children = fopen(path, "re");
    while (children != NULL && fscanf(children, "%d", &pid) == 1) {
        left = true;
        (void)kill(pid, SIGKILL);
    }
    if (children != NULL) {
        (void)fclose(children);
    }
    while (waitpid(-1, NULL, 0) > 0) {
    }
    return left;
}

static void play(const char *name, long number, int denial, bool executes) {
    long end = now_ms() + LIMIT_MS;
    const char *shown = denial == EPERM ? "EPERM" : "ENOSYS";
    int status = 0;
    pid_t ended = 0;
    pid_t pid = 0;
    bool left = false;

    memset(result, 0, sizeof(*result));
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        _exit(filter_forbid(number, denial) ? supervise(executes) : 77);
    }
    while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() < end) {
        (void)usleep(2000);
    }
    if (ended == 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
    }
    left = clear_children();
    printf("%s %s %s: ", name, shown, executes ? "exec" : "fork");
    if (ended == 0) {
        puts("HANGS");
    } else if (WIFSIGNALED(status)) {
        printf("DIES of signal %d\n", WTERMSIG(status));
    } else if (WEXITSTATUS(status) == 77) {
        puts("NO FILTER");
    } else if (left) {
        puts("LEAVES workers");
    } else if (result->done) {
        puts(result->reported ? "works" : "works, but LOSES the exit status");
    } else if (!result->started) {
        printf("refused at the start: %s\n", error_name(result->error));
    } else {
        printf("FAILS LATE: %s\n", error_name(result->error));
    }
}

int main(void) {
    result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (result == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) != 0) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        for (int kind = 0; kind < 4; kind++) {
            play(calls[i].name, calls[i].number, kind < 2 ? ENOSYS : EPERM, kind % 2 == 1);
        }
    }
    return 0;
}
