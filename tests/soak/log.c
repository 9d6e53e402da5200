/*
 * log.c - the lines of the log, see supervisor.c
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "observer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void compare_counters(const struct view *view, int pool, const uint64_t *counters) {
    for (int which = 1; which <= COUNTERS; which++) {
        uint64_t wanted = view->counted[which];
        if (which == PF_COUNT_READY || which == PF_COUNT_ALIVE) {
            continue;
        }
        bool same =
            which == PF_COUNT_START_FAILED ? counters[which] >= wanted : counters[which] == wanted;
        check(ROW_COUNTERS, same, "pool %d: counter %d is %llu, of the log %llu", pool, which,
              (unsigned long long)counters[which], (unsigned long long)wanted);
    }
}

/* Reads numbers. Returns how many there are. */
static int read_numbers(const char *text, long *numbers, int most) {
    int count = 0;
    char *end = NULL;

    while (count < most) {
        numbers[count] = strtol(text, &end, 10);
        if (end == text) {
            break;
        }
        text = end;
        count++;
    }
    return count;
}

static void on_status(struct observer *observer, const char *text) {
    long n[6 + COUNTERS] = {0};
    const char *states = strrchr(text, ' ');

    if (!check(ROW_LOG,
               read_numbers(text, n, 6 + COUNTERS) == 6 + COUNTERS && states != NULL && n[1] >= 0 &&
                   n[1] < POOLS,
               "cannot read: %s", text)) {
        return;
    }
    struct view *view = &observer->pool[n[1]];
    view->status_serial = (uint32_t)n[0];
    view->slots = (int)n[3];
    view->alive = (int)n[4];
    for (int which = 1; which <= COUNTERS; which++) {
        view->reported[which] = (uint64_t)n[4 + which];
    }
    observer->heap = n[5 + COUNTERS];
    (void)snprintf(view->states, sizeof(view->states), "%s", states + 1);
    if (view->exists) {
        compare_counters(view, (int)n[1], view->reported);
    }
}

static void on_new_pool(struct observer *observer, const long *n) {
    struct view *view = &observer->pool[n[0]];

    check(ROW_LOG, !view->exists, "pool %ld is there twice", n[0]);
    *view = (struct view){.generation = (int)n[1], .exists = true};
    totals.pools++;
}

static void on_pool_done(struct observer *observer, const long *n) {
    struct view *view = &observer->pool[n[0]];
    uint64_t counters[COUNTERS + 1] = {0};

    for (int which = 1; which <= COUNTERS; which++) {
        counters[which] = (uint64_t)n[2 + which];
    }
    check(ROW_LOG, view->done && n[2] == 0, "pool %ld ended with %ld", n[0], n[2]);
    check(ROW_COUNTERS, counters[PF_COUNT_ALIVE] == 0 && counters[PF_COUNT_READY] == 0,
          "pool %ld ended with %llu workers", n[0], (unsigned long long)counters[PF_COUNT_ALIVE]);
    compare_counters(view, (int)n[0], counters);
}

static void on_pool_freed(struct observer *observer, const long *n) {
    observer->failed_starts[n[0]] += n[1 + PF_COUNT_START_FAILED];
    observer_expect_none(observer, (int)n[0], ROW_STOPPED);
    observer->pool[n[0]].exists = false;
    observer->pool[n[0]].reported[PF_COUNT_START_FAILED] = 0;
}

static void on_request(struct observer *observer, const long *n) {
    static const int usual[] = {0, -EALREADY, -EINVAL, -ECANCELED, -ESRCH, -EBUSY};
    bool fine = false;

    for (size_t at = 0; at < sizeof(usual) / sizeof(usual[0]); at++) {
        fine = fine || n[4] == usual[at];
    }
    check(ROW_REQUESTS, fine, "request %ld of pool %ld returned %ld", n[0], n[1], n[4]);
    if (n[0] == ASK_STOP || n[0] == ASK_KILL || n[0] == ASK_FREE) {
        observer->pool[n[1]].stops = true;
    }
}

static void on_foreign(struct observer *observer, const long *n) {
    for (int at = 0; at < 64; at++) {
        if (observer->foreign[at].pid == 0) {
            observer->foreign[at].pid = (pid_t)n[0];
            observer->foreign[at].status = (int)n[1];
            totals.foreign++;
            return;
        }
    }
    check(ROW_FOREIGN, false, "too many children that are no workers");
}

/* The host has reaped a child: its own, or as a thief one of a pool. */
static void on_reaped(struct observer *observer, const long *n) {
    for (int at = 0; at < 64; at++) {
        if (observer->foreign[at].pid == (pid_t)n[0]) {
            check(ROW_FOREIGN, n[1] == (long)observer->foreign[at].status << 8,
                  "child %ld ended with %ld, not %d", n[0], n[1],
                  observer->foreign[at].status << 8);
            observer->foreign[at].pid = 0;
            return;
        }
    }
    check(ROW_FOREIGN, observer->thief, "child %ld is not of the host", n[0]);
    totals.stolen++;
}

static void on_line(struct observer *observer, const char *text) {
    long n[16] = {0};
    const char *kind = strchr(text, ' ');

    if (kind == NULL || kind[1] == '#') {
        return;
    }
    observer->lines += kind[1] != 'S';
    const char *rest = kind + 2;
    if (kind[1] == 'S') {
        on_status(observer, rest);
        return;
    }
    int count = read_numbers(rest, n, 16);
    if (kind[1] == 'E' &&
        check(ROW_LOG, count == 11 && n[0] < POOLS && n[2] < TYPES, "cannot read: %s", text)) {
        struct line line = {.pool = (int)n[0],
                            .generation = (int)n[1],
                            .type = (int)n[2],
                            .level = (int)n[3],
                            .task = (int)n[4],
                            .pid = (int)n[5],
                            .exit_code = (int)n[6],
                            .signal = (int)n[7],
                            .reason = (int)n[8],
                            .again = (int)n[9],
                            .error = (int)n[10]};
        observer_event(observer, &line);
    } else if (kind[1] == 'N') {
        on_new_pool(observer, n);
    } else if (kind[1] == 'D') {
        on_pool_done(observer, n);
    } else if (kind[1] == 'F') {
        on_pool_freed(observer, n);
    } else if (kind[1] == 'R') {
        on_request(observer, n);
    } else if (kind[1] == 'H') {
        on_foreign(observer, n);
    } else if (kind[1] == 'W') {
        on_reaped(observer, n);
    }
}

void observer_read(struct observer *observer) {
    ssize_t got = 0;

    while ((got = read(observer->log_fd, observer->text + observer->used,
                       sizeof(observer->text) - 1 - observer->used)) > 0) {
        char *start = observer->text;
        observer->used += (size_t)got;
        observer->text[observer->used] = '\0';
        for (char *end = NULL; (end = strchr(start, '\n')) != NULL; start = end + 1) {
            *end = '\0';
            on_line(observer, start);
        }
        observer->used -= (size_t)(start - observer->text);
        memmove(observer->text, start, observer->used);
    }
}
