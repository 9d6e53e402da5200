/*
 * pool_closed_one_test.c - hosts that close one descriptor of the library by mistake
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "host.h"

enum { NOTE_RESULT = KIND_NOTE };
enum { FIRST = STDERR_FILENO + 1 };

static void require_no_children(struct board *board) {
    board_require(board, waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void begin(struct host *host, struct board *board) {
    host_open(host, board);
    host->work = ignores_term;
    board_require(board, host_begin(host, 3) == 0);
    board_require(board, host_reaches(host, NOTE_READY, ANY_TASK, 3));
}

/* The descriptor by which a worker is watched; -1: there is none. */
static int pidfd_of(pid_t pid) {
    for (int descriptor = FIRST; descriptor < 64; descriptor++) {
        char path[64], line[128];
        int found = -1;
        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", descriptor);
        FILE *file = fopen(path, "re");
        while (file != NULL && found != pid && fgets(line, sizeof(line), file) != NULL) {
            (void)sscanf(line, "Pid: %d", &found);
        }
        if (file != NULL) {
            (void)fclose(file);
        }
        if (found == pid) {
            return descriptor;
        }
    }
    return -1;
}

static int host_that_closes_one_twice(struct board *board) {
    struct host host;
    struct stat status;

    begin(&host, board);
    int pidfd = pidfd_of(host_pid(&host, 1, 0));
    board_require(board, pidfd >= 0);
    board_require(board, close(pidfd) == 0);
    board_require(board, open("/dev/null", O_RDONLY | O_CLOEXEC) == pidfd);
    board_require(board, pf_pool_send_signal(host.pool, 1, SIGKILL) == 0);
    board_require(board, host_reaches(&host, PF_EVENT_EXITED, 1, 1));
    board_require(board, host_reaches(&host, NOTE_READY, 1, 2));
    board_require(board, pf_pool_kill(host.pool) == 0);
    board_require(board, host_finishes(&host) == 0);
    host_close(&host);
    board_require(board, fstat(pidfd, &status) == 0 && S_ISCHR(status.st_mode));
    return 0;
}

static void a_worker_whose_descriptor_is_gone_is_signalled_by_pid(void **state) {
    struct scenario *run = *state;
    if (backend_under_test != PF_BACKEND_PIDFD) {
        print_message("skipped: there are no pidfds\n");
        skip();
    }

    scenario_start_host(run, host_that_closes_one_twice);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, PF_EVENT_EXITED, 1, 0)->signal, SIGKILL);
}

static int descriptor_to_close;
static bool has_replacements; /* a pipe instead of the eventfd, and no timer */

/* The host's file is left alone, and no worker, whichever descriptor it is; and no call hangs. */
static int host_that_closes_any_one(struct board *board) {
    struct host host;
    struct stat status;

    if (has_replacements) {
        board_require(board, filter_forbid(SYS_eventfd2, EPERM));
        board_require(board, filter_forbid(SYS_timerfd_create, EPERM));
    }
    host_open(&host, board);
    host.work = ignores_term;
    board_require(board, pf_pool_set_manager_notify(host.pool, 1) == 0);
    board_require(board, pf_pool_set_stop(host.pool, SIGTERM, 20) == 0);
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    if (close(descriptor_to_close) != 0) {
        host_close(&host);
        _exit(77); /* there are no more */
    }
    int file = memfd_create("host", MFD_CLOEXEC);
    board_require(board, file == descriptor_to_close);
    board_require(board, write(file, "the host", 8) == 8);
    host_goes_on(&host, 20);
    board_require(board, pf_pool_stop(host.pool) == 0);
    board_note(board, NOTE_RESULT, host_finishes(&host));
    host_close(&host);
    require_no_children(board);
    board_require(board, fstat(file, &status) == 0);
    board_require(board, S_ISREG(status.st_mode) && status.st_size == 8);
    board_require(board, lseek(file, 0, SEEK_CUR) == 8);
    return 0;
}

static void assert_any_one_may_be_closed(void) {
    int status = 0;

    for (descriptor_to_close = FIRST; status == 0; descriptor_to_close++) {
        struct scenario one;
        assert_true(scenario_open(&one));
        scenario_start_host(&one, host_that_closes_any_one);
        status = scenario_wait(&one);
        const struct record *result = board_find(one.board, NOTE_RESULT, ANY_TASK, 0);
        const bool good = status == 77 << 8 || (result != NULL && result->value <= 0);
        if (!good || !scenario_close(&one)) {
            print_message("descriptor %d: status %d\n", descriptor_to_close, status);
            fail();
        }
    }
    assert_int_equal(status, 77 << 8);
    assert_true(descriptor_to_close > FIRST + 8);
}

static void any_one_may_be_closed(void **state) {
    (void)state;
    has_replacements = false;
    assert_any_one_may_be_closed();
}

static void any_replacement_of_one_may_be_closed(void **state) {
    (void)state;
    has_replacements = true;
    assert_any_one_may_be_closed();
}

/* ---- Nobody may look ------------------------------------------------------------------- */

static int host_that_may_not_look(struct board *board) {
    struct host host;

    begin(&host, board);
#ifdef SYS_newfstatat
    board_require(board, filter_forbid(SYS_newfstatat, EPERM));
#endif
#ifdef SYS_fstat
    board_require(board, filter_forbid(SYS_fstat, EPERM));
#endif
    board_require(board, filter_forbid_value(SYS_epoll_ctl, 1, EPOLL_CTL_MOD, EPERM));
    host_goes_on(&host, 20);
    board_require(board, kill(host_pid(&host, 1, 0), SIGKILL) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 1, 2));
    board_require(board, pf_pool_kill(host.pool) == 0);
    board_require(board, host_finishes(&host) == 0);
    host_close(&host);
    return 0;
}

static void where_nobody_may_look_the_pool_goes_on(void **state) {
    scenario_start_host(*state, host_that_may_not_look);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_worker_whose_descriptor_is_gone_is_signalled_by_pid),
        scenario_test(any_one_may_be_closed),
        scenario_test(any_replacement_of_one_may_be_closed),
        scenario_test(where_nobody_may_look_the_pool_goes_on),
    };

    return run_group_with_each_backend("pool closed one", tests);
}
