/*
 * pool_groups_race_test.c - a worker ends while the library asks whether it has ended
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_GRANDCHILD = KIND_NOTE, NOTE_LATE };

enum { LATE_MS = 200 };

/* The library asks by this function in place of libc's. Once, of that process, it answers what was
 * true before the process ended, after it has ended: if it does so at all. */
static pid_t late_for;
static struct board *late_board;

static bool ends_meanwhile(id_t id, siginfo_t *info) {
    for (int waited_ms = 0; waited_ms < LATE_MS; waited_ms++) {
        memset(info, 0, sizeof(*info));
        (void)syscall(SYS_waitid, P_PID, id, info, WEXITED | WNOWAIT | WNOHANG, NULL);
        if (info->si_pid == (pid_t)id) {
            return true;
        }
        pause_ms(1);
    }
    return false;
}

/* The parameter names of libc are reserved. */
int waitid(idtype_t type, id_t id, siginfo_t *info, int options) { // NOLINT
    if (type == P_PID && late_for > 0 && id == (id_t)late_for && ends_meanwhile(id, info)) {
        late_for = 0;
        board_note(late_board, NOTE_LATE, (int64_t)id);
        memset(info, 0, sizeof(*info));
        return 0;
    }
    return (int)syscall(SYS_waitid, type, id, info, options, NULL);
}

static int has_grandchild(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    pid_t pid = fork();
    board_require(board, pid >= 0);
    if (pid == 0) {
        board_note(board, NOTE_GRANDCHILD, getpid());
    }
    wait_for_ever();
    return 0;
}

static void a_worker_that_ends_meanwhile_does_not_leave_its_group(void **state) {
    struct host *host = *state;
    host->work = has_grandchild;
    assert_int_equal(pf_pool_set_process_groups(host->pool, PF_GROUP_KILL), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_true(host_reaches(host, NOTE_GRANDCHILD, ANY_TASK, 1));
    late_board = host->board;
    late_for = host_pid(host, 0, 0);

    host_close(host);

    assert_int_equal(board_count(host->board, NOTE_LATE, ANY_TASK), 1);
    const pid_t grandchild = (pid_t)board_find(host->board, NOTE_GRANDCHILD, ANY_TASK, 0)->value;
    const uint64_t deadline = now_ms() + PATIENCE_MS;
    int status = 0;
    while (waitpid(grandchild, &status, WNOHANG) == 0) {
        assert_true(now_ms() < deadline);
        pause_ms(1);
    }
    assert_int_equal(status, SIGKILL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_worker_that_ends_meanwhile_does_not_leave_its_group),
    };

    return run_group_with_each_backend("pool groups race", tests);
}
