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

/* ---- The register ---------------------------------------------------------------------- */

static const struct entry *entry_at(const struct observer *observer, uint32_t number) {
    const struct entry *entry = &observer->board->entry[number % REGISTER_SIZE];

    return __atomic_load_n(&entry->stamp, __ATOMIC_ACQUIRE) == number + 1 ? entry : NULL;
}

/* A process that works without a report. A worker that cannot be watched, because the limit of
 * descriptors is below those that are open, is killed at once, and its start has failed. */
static void check_unreported(struct observer *observer, const struct entry *entry) {
    int pool = entry->pool;
    long failed =
        observer->failed_starts[pool] + (long)observer->pool[pool].reported[PF_COUNT_START_FAILED];

    observer->unreported[pool]++;
    check(ROW_KNOWN, observer->unreported[pool] <= failed, "process %d of pool %d was not reported",
          (int)entry->pid, pool);
}

void observer_read_register(struct observer *observer) {
    uint32_t registered = __atomic_load_n(&observer->board->registered, __ATOMIC_SEQ_CST);

    for (; observer->register_read != registered; observer->register_read++) {
        const struct entry *entry = entry_at(observer, observer->register_read);
        if (entry == NULL) {
            continue; /* it ended before it had written all */
        }
        if (entry->pid > 0 && observer->known[entry->pid] > 0) {
            check(ROW_KNOWN, true, "known");
            observer->known[entry->pid]--;
        } else {
            check_unreported(observer, entry);
        }
    }
}

/* A worker exits with the status that it chose, whatever the kernel keeps of it. */
static void compare_intent(const struct observer *observer, const struct line *line) {
    uint32_t number = __atomic_load_n(&observer->board->registered, __ATOMIC_SEQ_CST);

    for (int steps = 0; number > 0 && steps < 16 * LIVE_MAX; steps++) {
        const struct entry *entry = entry_at(observer, --number);
        if (entry != NULL && entry->pid == line->pid) {
            int intent = __atomic_load_n(&entry->intent, __ATOMIC_ACQUIRE);
            check(ROW_STATUS, line->exit_code < 0 || intent == line->exit_code + 1,
                  "process %d: status %d in the log, and %d by intent", line->pid, line->exit_code,
                  intent - 1);
            return;
        }
    }
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
    compare_intent(observer, line);
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
