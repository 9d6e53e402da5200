/*
 * forker.c - a host that forks the workers of its pool by itself
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "forker.h"

#include <errno.h>
#include <unistd.h>

enum { TURN_MS = 2, STATUS_REFUSED = 71 };

int forker_begin(struct host *host, int workers) {
    int result = pf_pool_set_host_fork(host->pool, 1);

    return result < 0 ? result : host_begin(host, workers);
}

static void dispatch(struct host *host, int timeout_ms) {
    if (host->result == 1) {
        host->result = pf_pool_dispatch(host->pool, timeout_ms);
    }
}

int forker_take_waiting(struct host *host) {
    const pf_event *event = NULL;

    while (pf_pool_next_event(host->pool, &event) == 1) {
        board_note_event(host->board, event);
        if (pf_event_type(event) == PF_EVENT_FORK_WANTED) {
            return pf_event_task_id(event);
        }
    }
    return -1;
}

int forker_take(struct host *host) {
    uint64_t deadline = now_ms() + PATIENCE_MS;
    int task_id = forker_take_waiting(host);

    while (task_id == -1 && host->result == 1 && now_ms() < deadline) {
        dispatch(host, TURN_MS);
        task_id = forker_take_waiting(host);
    }
    return task_id;
}

/* Never returns. */
static void be_child(struct host *host, int task_id) {
    int result = pf_pool_fork_child(host->pool, task_id);

    if (result < 0) {
        board_note_task(host->board, NOTE_REFUSED, task_id, result);
        _exit(STATUS_REFUSED);
    }
    board_require(host->board, result == 0 || task_id == PF_TASK_SPARE);
    task_id = task_id == PF_TASK_SPARE ? result : task_id; /* it has a slot now */
    int run = board_note_worker(host->board, task_id);
    board_require(host->board, pf_task_id() == task_id);
    if (host->work != NULL) {
        _exit(host->work(host->board, task_id, run));
    }
    wait_for_ever();
}

pid_t forker_child(struct host *host, int task_id) {
    pid_t pid = fork();

    if (pid == 0) {
        be_child(host, task_id);
    }
    return pid;
}

int forker_fork(struct host *host, int task_id) {
    int prepared = pf_pool_fork_prepare(host->pool, task_id);
    pid_t pid = forker_child(host, task_id);
    int result = pf_pool_fork_parent(host->pool, task_id, pid < 0 ? -errno : pid);

    board_require(host->board, prepared == (result == -ESRCH ? -ESRCH : 0));
    return result;
}

bool forker_turn(struct host *host, int timeout_ms) {
    int task_id = -1;

    dispatch(host, timeout_ms);
    while ((task_id = forker_take_waiting(host)) != -1) {
        board_require(host->board, forker_fork(host, task_id) == 0);
    }
    return host->result == 1;
}

bool forker_reaches(struct host *host, int kind, int task_id, unsigned count) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    /* What is on the board already may be ahead of the events that wait, so these are taken. */
    while (forker_turn(host, TURN_MS) && board_count(host->board, kind, task_id) < count &&
           now_ms() < deadline) {
    }
    return board_count(host->board, kind, task_id) >= count;
}

int forker_finishes(struct host *host) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (forker_turn(host, 100) && now_ms() < deadline) {
    }
    return host->result;
}

int forker_stops(struct host *host) {
    board_require(host->board, pf_pool_stop(host->pool) == 0);
    return forker_finishes(host);
}
