/*
 * pid_file_race_test.c - many daemons for one pid file
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "launch.h"

enum { GATE_START, GATE_END };

static const char *const path = "daemon.pid";

enum { LAUNCHES = 8 };

static int starts_with_others(struct board *board) {
    gate_wait(board, GATE_START);
    if (!become_daemon(board, path)) {
        return STATUS_REFUSED;
    }
    board_require(board, pf_daemon_ready() == 0);
    gate_wait(board, GATE_END);
    return EXIT_SUCCESS;
}

static void of_several_at_once_one_succeeds(void **state) {
    struct scenario *scenario = *state;
    pid_t launching[LAUNCHES];
    int failed = 0;
    for (int i = 0; i < LAUNCHES; i++) {
        launching[i] = launch(scenario, starts_with_others);
    }

    gate_open(scenario->board, GATE_START);

    for (int i = 0; i < LAUNCHES; i++) {
        failed += end_of(launching[i]) == STATUS_REFUSED << 8;
    }
    scenario->supervisor = 0;
    assert_int_equal(failed, LAUNCHES - 1);
    for (unsigned i = 0; i < LAUNCHES - 1; i++) {
        assert_int_equal(board_find(scenario->board, NOTE_REFUSED, ANY_TASK, i)->value, -EEXIST);
    }
    assert_int_equal(board_count(scenario->board, NOTE_DAEMON, ANY_TASK), 1);
    assert_int_equal(access(path, F_OK), 0);
    gate_open(scenario->board, GATE_END);
    assert_int_equal(reap_all(), LAUNCHES); /* those too that ended before they were daemons */
    assert_true(access(path, F_OK) < 0);
}

enum { ROUNDS = SANITIZED ? 40 : 200 };

static bool is_named(void) {
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    return length > 0 && atoi(text) == getpid(); /* never closed: that would drop the lock */
}

/* Takes the file for a moment, again and again, while the others do the same. */
static int comes_and_goes(struct board *board) {
    gate_wait(board, GATE_START);
    for (int round = 0; round < ROUNDS; round++) {
        pid_t launching = fork();
        if (launching == 0) {
            int result = pf_daemonize(path);
            if (result < 0) {
                board_require(board, result == -EEXIST);
                _exit(EXIT_SUCCESS);
            }
            board_require(board, is_named());
            int alone = open("alone", O_CREAT | O_EXCL | O_CLOEXEC, 0600);
            board_require(board, alone >= 0 && close(alone) == 0);
            board_require(board, unlink("alone") == 0);
            board_note(board, NOTE_DAEMON, 0);
            exit(EXIT_SUCCESS); /* which takes the file away */
        }
        (void)waitpid(launching, NULL, 0); /* what went wrong is on the board */
    }
    return EXIT_SUCCESS;
}

static void no_two_ever_have_it_at_a_time(void **state) {
    struct scenario *scenario = *state;
    pid_t launching[4];
    for (int i = 0; i < 4; i++) {
        launching[i] = launch(scenario, comes_and_goes);
    }

    gate_open(scenario->board, GATE_START);

    for (int i = 0; i < 4; i++) {
        assert_int_equal(end_of(launching[i]), 0);
    }
    scenario->supervisor = 0;
    assert_true(reap_all() >= 1);
    assert_true(board_count(scenario->board, NOTE_DAEMON, ANY_TASK) >= 2);
    assert_true(access(path, F_OK) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        launch_test(of_several_at_once_one_succeeds),
        launch_test(no_two_ever_have_it_at_a_time),
    };

    return cmocka_run_group_tests_name("pid file race", tests, NULL, NULL);
}
