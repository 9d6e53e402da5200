/*
 * launch.c - daemons, each launched by a process that a scenario starts
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"

char launch_directory[256];

int launch_setup(void **state) {
    scratch_enter(launch_directory, sizeof(launch_directory));
    return scenario_setup(state);
}

int launch_teardown(void **state) {
    int result = scenario_teardown(state);

    scratch_leave(launch_directory);
    return result;
}

bool become_daemon(struct board *board, const char *pid_file) {
    int result = pf_daemonize(pid_file);

    board_note(board, result == 0 ? NOTE_DAEMON : NOTE_REFUSED, result);
    return result == 0;
}

pid_t launch(struct scenario *scenario, host_fn host) {
    scenario_start_host(scenario, host);
    return scenario->supervisor;
}

pid_t daemon_pid(const struct scenario *scenario, unsigned nth) {
    assert_true(board_reaches(scenario->board, NOTE_DAEMON, ANY_TASK, nth + 1));
    return board_find(scenario->board, NOTE_DAEMON, ANY_TASK, nth)->author;
}

int end_of(pid_t process) {
    int status = -1;
    uint64_t deadline = now_ms() + PATIENCE_MS;

    if (!process_reaches_state(process, 'Z')) {
        return -1;
    }
    /* It is not a child of the test before the process that forked it has ended. */
    while (waitpid(process, &status, 0) != process) {
        if (errno != ECHILD || now_ms() > deadline) {
            return -1;
        }
        pause_ms(1);
    }
    return status;
}

int end_behind_gate(const struct scenario *scenario, int gate, pid_t process) {
    gate_open(scenario->board, gate);
    return end_of(process);
}

void assert_link(pid_t pid, const char *name, const char *target) {
    char path[64];
    char found[512];

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    ssize_t length = readlink(path, found, sizeof(found) - 1);
    assert_true(length > 0);
    found[length] = '\0';
    assert_string_equal(found, target);
}
