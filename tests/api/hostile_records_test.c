/*
 * hostile_records_test.c - records that a worker sends about itself and that are not true, and
 * records of processes that are no workers
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "hostile.h"

static int lies_about_its_end(struct board *board, int task_id, int run) {
    enum { KIND_EXIT_CODE = 3 };
    (void)task_id;
    (void)run;
    gate_wait(board, GATE_SEND);
    struct record_bytes record = own_record(board);
    set_kind(&record, KIND_EXIT_CODE, 0);
    board_require(board, write(worker_pipe_to_supervisor(), &record, sizeof(record)) ==
                             (ssize_t)sizeof(record));
    board_note(board, NOTE_DONE, 0);
    return raise(SIGKILL);
}

static void a_worker_can_not_lie_about_its_end(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    begin_hostile(host, 1, lies_about_its_end);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));
    gate_open(host->board, GATE_SEND);
    assert_true(board_reaches(host->board, NOTE_DONE, 0, 1));

    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));

    const struct record *end = board_find(host->board, PF_EVENT_EXITED, 0, 0);
    assert_int_equal(end->signal, SIGKILL);
    assert_int_equal(end->exit_code, -1);
    (void)host_finishes(host);
}

/* A child of the first worker has its pipe and its record, and sends that when the second works. */
static int leaves_a_child(struct board *board, int task_id, int run) {
    enum { KIND_READY = 1, TIMES = 50 };
    (void)task_id;
    if (run > 0) {
        board_require(board, signal(SIGTERM, SIG_IGN) != SIG_ERR);
        gate_open(board, GATE_ATTACK);
        worker_waits_for_stop(board);
        return 0;
    }
    gate_wait(board, GATE_SEND);
    struct record_bytes record = own_record(board);
    set_kind(&record, KIND_READY, 0);
    int fd = worker_pipe_to_supervisor();
    if (fork() == 0) {
        gate_wait(board, GATE_ATTACK);
        for (int time = 0; time < TIMES; time++) {
            (void)!write(fd, &record, sizeof(record));
        }
        board_note_task(board, NOTE_DONE, 0, 0);
        _exit(0);
    }
    board_note(board, NOTE_RESULT, 0);
    return 1;
}

static void a_child_that_outlives_its_worker_sends_for_nobody(void **state) {
    struct host *host = *state;
    begin_hostile(host, 1, leaves_a_child);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));
    gate_open(host->board, GATE_SEND);
    assert_true(board_reaches(host->board, NOTE_RESULT, 0, 1));
    assert_true(host_reaches(host, NOTE_DONE, 0, 1));

    host_goes_on(host, 100);

    assert_int_equal(board_count(host->board, PF_EVENT_READY, 0), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, 0), 1);
    assert_int_equal(host_stops(host), 0);
    assert_true(reap_all() >= 0);
}

/* Process 1 of a namespace of its own has the pid of nobody, and of everybody who is process 1. */
static int has_a_child_in_a_namespace(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 1) {
        return serves(board);
    }
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
        board_note(board, NOTE_UNABLE, errno);
    }
    pid_t child = fork();
    if (child == 0) {
        leave_out_leak_check();
        board_note_task(board, NOTE_RESULT, 0, pf_worker_ready());
        flood(board, FLOOD_MS / 5);
        _exit(0);
    }
    board_require(board, waitpid(child, NULL, 0) == child);
    gate_open(board, GATE_ATTACK);
    wait_for_ever();
    return 1;
}

static void a_process_in_a_namespace_of_its_own_is_no_worker(void **state) {
    struct host *host = *state;
    begin_hostile(host, 2, has_a_child_in_a_namespace);

    assert_sibling_serves(host);

    assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 0)->value, -ECHILD);
    assert_int_equal(board_count(host->board, PF_EVENT_READY, 0), 0);
    skip_if_unable(host);
}

/* ---- The key ------------------------------------------------------------------------------ */

static void *page_of_key;

/* Memory that no child gets, as the kernel shows it. Returns NULL if it does not. */
static void *find_page_of_key(void) {
    char line[512];
    unsigned long start = 0, begin;
    void *found = NULL;
    FILE *maps = fopen("/proc/self/smaps", "re");

    while (maps != NULL && found == NULL && fgets(line, sizeof(line), maps) != NULL) {
        if (sscanf(line, "%lx-", &begin) == 1 && strchr(line, '-') != NULL) {
            start = begin;
        } else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dc") != NULL) {
            found = (void *)start;
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return found;
}

static int looks_for_the_key(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    int ends[2];
    board_require(board, pipe(ends) == 0);
    board_note(board, NOTE_RESULT, write(ends[1], page_of_key, 16) < 0 ? errno : 0);
    wait_for_ever();
    return 1;
}

static void a_forked_worker_does_not_have_the_key(void **state) {
    struct host *host = *state;
    begin_hostile(host, 1, looks_for_the_key);
    page_of_key = find_page_of_key();

    if (page_of_key != NULL) {
        assert_true(host_reaches(host, NOTE_RESULT, 0, 1));
        assert_int_equal(board_find(host->board, NOTE_RESULT, 0, 0)->value, EFAULT);
    }
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
    if (page_of_key == NULL) {
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_forked_worker_does_not_have_the_key),
        host_test(a_worker_can_not_lie_about_its_end),
        host_test(a_child_that_outlives_its_worker_sends_for_nobody),
        host_test(a_process_in_a_namespace_of_its_own_is_no_worker),
    };

    return run_group_with_each_backend("hostile records", tests);
}
