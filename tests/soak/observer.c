/*
 * observer.c - reads the log, and asks the kernel whether it is true
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "observer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct totals totals;

/* struct pidfd_info of <linux/pidfd.h>, first version. */
struct pidfd_info_0 {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t ids[11];
    int32_t exit_code;
};
enum { INFO_EXIT = 1 << 3 };
#define GET_INFO _IOWR(0xff, 11, struct pidfd_info_0)

static struct live *find_live(struct observer *observer, pid_t pid) {
    for (int at = 0; at < LIVE_MAX; at++) {
        if (observer->live[at].pid == pid) {
            return &observer->live[at];
        }
    }
    return NULL;
}

int observer_alive(const struct observer *observer, int pool) {
    int count = 0;

    for (int at = 0; at < LIVE_MAX; at++) {
        const struct live *live = &observer->live[at];
        count += live->pid != 0 && (pool < 0 || live->pool == pool);
    }
    return count;
}

/* Each slot has at most two workers, and two only where it is replaced. */
static void check_slots(const struct observer *observer, int pool) {
    int workers[GROWN_SLOTS] = {0};
    int doubled = 0;
    int most = 0;

    for (int at = 0; at < LIVE_MAX; at++) {
        const struct live *live = &observer->live[at];
        if (live->pid != 0 && live->pool == pool && live->task >= 0 && live->task < GROWN_SLOTS) {
            int now = ++workers[live->task];
            doubled += now == 2;
            most = now > most ? now : most;
        }
    }
    check(ROW_SLOTS, most <= 2 && doubled <= observer->board->plan[pool].width,
          "pool %d has %d workers in a slot, and two in %d slots", pool, most, doubled);
}

static void on_started(struct observer *observer, const struct line *line) {
    struct live *live = find_live(observer, 0);

    check(ROW_LOG, find_live(observer, line->pid) == NULL, "process %d started twice", line->pid);
    bool fits = live != NULL && line->task >= 0 && line->task < GROWN_SLOTS;
    check(ROW_SLOTS, fits, "pool %d has a worker in slot %d, or too many", line->pool, line->task);
    if (!fits) {
        return;
    }
    *live = (struct live){.pid = line->pid,
                          .pool = line->pool,
                          .generation = line->generation,
                          .task = line->task,
                          .pidfd = (int)syscall(SYS_pidfd_open, line->pid, 0)};
    observer->known[line->pid]++;
    totals.restarts += line->reason == PF_REASON_RESTART;
    check_slots(observer, line->pool);
}

/* The wait status of a process that ended and was reaped; -1: the kernel does not tell. */
static int kernel_status(const struct observer *observer, int pidfd) {
    struct pidfd_info_0 info = {.mask = INFO_EXIT};

    if (!observer->keeps_statuses || ioctl(pidfd, GET_INFO, &info) != 0 ||
        (info.mask & INFO_EXIT) == 0) {
        return -1;
    }
    return info.exit_code;
}

static bool is_readable(int fd) {
    struct pollfd item = {.fd = fd, .events = POLLIN};

    return poll(&item, 1, 0) == 1;
}

static void compare_status(const struct observer *observer, const struct live *live,
                           const struct line *line) {
    int status = kernel_status(observer, live->pidfd);

    if (status < 0) {
        totals.unseen++;
        return;
    }
    int wanted_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    int wanted_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    totals.statuses++;
    check(ROW_STATUS, line->exit_code == wanted_code && line->signal == wanted_signal,
          "process %d: status %d, signal %d in the log; %d, %d in the kernel", line->pid,
          line->exit_code, line->signal, wanted_code, wanted_signal);
}

static void on_exited(struct observer *observer, const struct line *line) {
    struct live *live = line->pid == 0 ? NULL : find_live(observer, line->pid);

    check(ROW_ONE_END, live != NULL, "process %d of pool %d ended, and did not live", line->pid,
          line->pool);
    if (live == NULL) {
        return;
    }
    check(ROW_LOG,
          live->pool == line->pool && live->generation == line->generation &&
              live->task == line->task,
          "process %d ended in another slot than it started in", line->pid);
    if (live->pidfd >= 0) {
        check(ROW_ENDED, is_readable(live->pidfd), "process %d lives after its end", line->pid);
        compare_status(observer, live, line);
        (void)close(live->pidfd); /* it is no file */
    } else {
        totals.unseen++;
    }
    if (line->signal > 0 && line->signal <= 64) {
        totals.signalled[line->signal]++;
    }
    bool known = line->exit_code >= 0 || line->signal > 0;
    check(ROW_STATUS, known || observer->thief, "process %d: unknown status", line->pid);
    live->pid = 0;
}

void observer_event(struct observer *observer, const struct line *line) {
    struct view *view = &observer->pool[line->pool];
    struct live *live = NULL;

    totals.events[line->type]++;
    check(ROW_LOG, view->exists && line->generation == view->generation && !view->done,
          "pool %d: event %d when there is no such pool", line->pool, line->type);
    switch (line->type) {
    case PF_EVENT_STARTED:
        view->counted[PF_COUNT_STARTED]++;
        view->counted[PF_COUNT_RESTARTED] += line->reason == PF_REASON_RESTART;
        on_started(observer, line);
        break;
    case PF_EVENT_READY:
        live = find_live(observer, line->pid);
        check(ROW_LOG, live != NULL && !live->ready && live->task == line->task,
              "process %d of slot %d is ready, and not alive or ready before", line->pid,
              line->task);
        if (live != NULL) {
            live->ready = true;
        }
        break;
    case PF_EVENT_EXITED:
        view->counted[PF_COUNT_EXITED]++;
        view->counted[PF_COUNT_ABNORMAL] += line->level == 4;
        on_exited(observer, line);
        break;
    case PF_EVENT_UNRESPONSIVE:
        view->counted[PF_COUNT_UNRESPONSIVE] += line->error == 0;
        check(ROW_LOG, line->error == 0, "process %d: error %d", line->pid, line->error);
        break;
    case PF_EVENT_RELOADING:
        view->counted[PF_COUNT_RELOADS]++;
        break;
    case PF_EVENT_RELOAD_FAILED:
        view->counted[PF_COUNT_REPLACE_FAILED]++;
        break;
    case PF_EVENT_START_FAILED:
        view->counted[PF_COUNT_START_FAILED]++; /* some have no event */
        break;
    case PF_EVENT_GAVE_UP:
        check(ROW_LOG, false, "pool %d gave up", line->pool);
        break;
    case PF_EVENT_DONE:
        view->done = true;
        check(ROW_LOG, view->stops, "pool %d ended, with %d", line->pool, line->error);
        observer_expect_none(observer, line->pool, ROW_ONE_END);
        break;
    default:
        break;
    }
}

void observer_expect_none(struct observer *observer, int pool, enum row row) {
    for (int at = 0; at < LIVE_MAX; at++) {
        struct live *live = &observer->live[at];
        if (live->pid != 0 && live->pool == pool) {
            check(row, live->pidfd < 0 || is_readable(live->pidfd),
                  "process %d of pool %d lives after the end of the pool", (int)live->pid, pool);
            check(ROW_ONE_END, row != ROW_ONE_END, "process %d of pool %d has no end",
                  (int)live->pid, pool);
            (void)close(live->pidfd); /* it is no file */
            live->pid = 0;
        }
    }
}
