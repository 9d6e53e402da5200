/*
 * hostile.c - see hostile.h
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"

enum { NOBODY = 65534 };

int open_again(int fd, int flags) {
    char name[64];

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return open(name, flags | O_NONBLOCK | O_CLOEXEC);
}

struct record_bytes own_record(struct board *board) {
    struct record_bytes record = {0, 0, 0};
    int own_end = open_again(worker_pipe_to_supervisor(), O_RDONLY);

    board_require(board, own_end >= 0 && pf_worker_heartbeat() == 0);
    board_require(board, read(own_end, &record, sizeof(record)) == (ssize_t)sizeof(record));
    (void)close(own_end);
    return record;
}

void set_kind(struct record_bytes *record, uint32_t kind, uint32_t value) {
    record->packed = (record->packed & 0x3ffff) | (value << 6 | kind) << 18;
}

bool become_nobody(struct board *board) {
    bool can = geteuid() == 0;

    if (can) {
        leave_out_leak_check();
        board_require(board, setgroups(0, NULL) == 0 && setgid(NOBODY) == 0);
        board_require(board, setuid(NOBODY) == 0);
    }
    return can;
}

void flood(struct board *board, unsigned milliseconds) {
    char nonsense[4096];
    int fd = worker_pipe_to_supervisor();

    uint64_t start = now_ms(), elapsed = 0, taken = 0;

    memset(nonsense, 0x01, sizeof(nonsense)); /* looks like an instance, a worker and a kind */
    for (; elapsed < milliseconds; elapsed = now_ms() - start) {
        ssize_t count = write(fd, nonsense, sizeof(nonsense));
        taken += count > 0 ? (uint64_t)count : 0;
    }
    board_note(board, NOTE_DONE, (int)(taken / 1024 * 10 / elapsed));
}

int serves(struct board *board) {
    int result = -EAGAIN;

    board_require(board, signal(SIGTERM, SIG_IGN) != SIG_ERR); /* it has its stop descriptor */
    gate_wait(board, GATE_ATTACK);
    for (uint64_t start = now_ms(); result == -EAGAIN && now_ms() - start < PATIENCE_MS;) {
        result = pf_worker_ready();
    }
    board_note(board, NOTE_SIBLING, result);
    worker_waits_for_stop(board);
    return 0;
}

void begin_hostile(struct host *host, int workers,
                   int (*work)(struct board *board, int task_id, int run)) {
    host->work = work;
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_heartbeat_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, workers), 0);
}

void assert_sibling_serves(struct host *host) {
    assert_true(host_reaches(host, PF_EVENT_READY, 1, 1));
    assert_true(host_reaches(host, NOTE_SIBLING, 1, 1));
    assert_int_equal(board_find(host->board, NOTE_SIBLING, 1, 0)->value, 0);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 1, 0)->exit_code, 0);
}

void skip_if_unable(struct host *host) {
    if (board_count(host->board, NOTE_UNABLE, ANY_TASK) > 0) {
        skip();
    }
}
