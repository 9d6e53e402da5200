/*
 * outsiders_test.c - processes that are no workers can send nothing to a pool
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "hostile.h"
#include "manager.h"

enum { DESCRIPTORS = 256, LIVES = 64, GUESSES = 64 };

static int work_waits(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    wait_for_ever();
    return 1;
}

/* Nothing can connect to it, nor send it a message. */
static bool has_no_name(int fd) {
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    int listens = 0;
    socklen_t flag_size = sizeof(listens);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag_size), 0);
    return address.sun_family == AF_UNIX && listens == 0 &&
           size == offsetof(struct sockaddr_un, sun_path);
}

static void no_socket_of_a_pool_has_a_name(void **state) {
    struct host *host = *state;
    bool known[DESCRIPTORS];
    unsigned sockets = 0;
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        known[fd] = fcntl(fd, F_GETFD) >= 0;
    }
    host->work = work_waits;
    assert_int_equal(host_begin(host, 2), 0);
    assert_string_equal(await_message(host), "READY=1");

    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        struct stat status;
        if (!known[fd] && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode)) {
            assert_true(has_no_name(fd));
            sockets++;
        }
    }

    assert_int_equal(sockets, 1); /* which sends to the service manager */
    while (*next_message() != '\0') {
    }
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
    while (*next_message() != '\0') {
    }
}

/* The supervisor's own end, found by /proc as every process of its user can. */
static int pipe_of(pid_t supervisor) {
    for (int fd = 3; fd < DESCRIPTORS; fd++) {
        char name[64];
        struct stat status;
        (void)snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)supervisor, fd);
        if (fd == worker_pipe_to_supervisor() && stat(name, &status) == 0 &&
            S_ISFIFO(status.st_mode)) {
            return open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        }
    }
    return -1;
}

/* Tells the instances of all workers, and what their pids are, but not their tokens. */
static void guess(struct board *board, int fd) {
    enum { KIND_READY = 1, KIND_RETIRE = 4 };
    for (uint32_t life = 1; life < LIVES; life++) {
        for (uint32_t try = 0; try < GUESSES; try++) {
            struct record_bytes record = {life, try % 2, 0x9e3779b97f4a7c15U * try};
            set_kind(&record, try % 3 == 0 ? KIND_READY : KIND_RETIRE, 0);
            (void)!write(fd, &record, sizeof(record));
        }
        pause_ms(1);
    }
    board_note_task(board, NOTE_DONE, 0, 0);
}

static void who_does_not_know_a_token_sends_for_nobody(void **state) {
    struct host *host = *state;
    begin_hostile(host, 2, work_waits);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));
    pid_t supervisor = getpid();
    pid_t outsider = fork();
    if (outsider == 0) {
        int fd = pipe_of(supervisor);
        board_require(host->board, fd >= 0);
        guess(host->board, fd);
        _exit(0);
    }
    assert_true(host_reaches(host, NOTE_DONE, 0, 1));
    host_goes_on(host, 50);

    assert_int_equal(waitpid(outsider, NULL, 0), outsider);
    assert_int_equal(board_count(host->board, PF_EVENT_READY, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 2);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
}

static void another_user_has_no_way_to_the_pipe(void **state) {
    struct host *host = *state;
    if (geteuid() != 0) {
        skip();
    }
    begin_hostile(host, 1, work_waits);
    assert_true(host_reaches(host, KIND_WORKER, 0, 1));
    pid_t supervisor = getpid();
    pid_t outsider = fork();
    if (outsider == 0) {
        board_require(host->board, become_nobody(host->board));
        for (int fd = 3; fd < DESCRIPTORS; fd++) {
            char name[64];
            (void)snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)supervisor, fd);
            board_require(host->board, open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC) < 0);
        }
        _exit(0);
    }

    assert_int_equal(waitpid(outsider, NULL, 0), outsider);

    assert_int_equal(pf_pool_kill(host->pool), 0);
    assert_int_equal(host_finishes(host), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        manager_test(no_socket_of_a_pool_has_a_name),
        host_test(who_does_not_know_a_token_sends_for_nobody),
        host_test(another_user_has_no_way_to_the_pipe),
    };

    return run_group_with_each_backend("outsiders", tests);
}
