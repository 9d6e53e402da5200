/*
 * accept_test.c - what pf_accept() returns, and what it passes over
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "net.h"
#include "scenario.h"

/* Errors that accept4() below returns first, one a call, ended by 0. */
static const int *scripted = (const int[]){0};
static unsigned calls;

/* The library's calls come here, as the program goes before its libraries. */
int accept4(int fd, socket_address address, socklen_t *length, int flags) {
    calls++;
    if (*scripted != 0) {
        errno = *scripted++;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, address, length, flags);
}

static int listener;
static int client;

static int listening_setup(void **state) {
    int result = scenario_setup(state);

    calls = 0;
    client = -1;
    return pf_bind_sockets("127.0.0.1", 0, AF_INET, 0, 0, &listener, 1) == 1 ? result : -1;
}

static int listening_teardown(void **state) {
    (void)close(listener); /* nothing was written; so below */
    if (client >= 0) {
        (void)close(client);
    }
    return scenario_teardown(state);
}

#define listening_test(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, listening_setup, listening_teardown)

static void connect_client(void) {
    client = connect_to(listener);
    assert_true(client >= 0);
    assert_true(becomes_readable(listener));
}

static void assert_accepts(void) {
    int connection = pf_accept(listener);

    assert_true(connection >= 0);
    assert_true(is_nonblocking(connection));
    assert_true(is_close_on_exec(connection));
    assert_int_equal(write(client, "x", 1), 1);
    assert_true(becomes_readable(connection));
    assert_int_equal(close(connection), 0);
}

static void a_connection_is_non_blocking_and_close_on_exec(void **state) {
    (void)state;
    connect_client();

    assert_accepts();
    assert_int_equal(calls, 1);
}

static void without_a_connection_nobody_waits(void **state) {
    (void)state;

    assert_int_equal(pf_accept(listener), -EAGAIN);
    assert_int_equal(calls, 1);
}

static void errors_of_one_connection_are_passed_over(void **state) {
    static const int errors[] = {EINTR,       ECONNABORTED, ENETDOWN,  EPROTO,
                                 ENOPROTOOPT, ENONET,       EHOSTDOWN, EHOSTUNREACH,
                                 ENETUNREACH, EINTR,        0};
    (void)state;
    connect_client();
    scripted = errors;

    assert_accepts();
    assert_int_equal(calls, 11);
}

static void after_such_errors_there_may_be_no_connection(void **state) {
    static const int errors[] = {ECONNABORTED, 0};
    (void)state;
    scripted = errors;

    assert_int_equal(pf_accept(listener), -EAGAIN);
    assert_int_equal(calls, 2);
}

/* As of a client that breaks off one connection after the other. */
static void errors_without_an_end_do_not_keep_the_caller(void **state) {
    static int errors[1001];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        errors[i] = ECONNABORTED;
    }
    connect_client();
    scripted = errors;

    assert_int_equal(pf_accept(listener), -ECONNABORTED);
    assert_int_equal(calls, 128);
    scripted = &errors[1000];
    assert_accepts();
}

static void other_errors_are_returned_at_once(void **state) {
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EINVAL, EOPNOTSUPP, 0};
    (void)state;
    connect_client();
    scripted = errors;

    for (int i = 0; errors[i] != 0; i++) {
        assert_int_equal(pf_accept(listener), -errors[i]);
    }
    assert_accepts();
}

static void a_connection_waits_while_there_is_no_descriptor_for_it(void **state) {
    struct rlimit limit;
    (void)state;
    connect_client();
    int lowest = dup(STDERR_FILENO);
    assert_int_equal(close(lowest), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);

    int result = pf_accept(listener);
    limit.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);

    assert_int_equal(result, -EMFILE);
    assert_accepts();
}

static void what_does_not_listen_is_refused(void **state) {
    int ends[2];
    (void)state;
    connect_client();

    assert_int_equal(pf_accept(-1), -EBADF);
    assert_int_equal(pf_accept(client), -EINVAL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(pf_accept(ends[0]), -ENOTSOCK);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
    int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(pf_accept(datagrams), -EOPNOTSUPP);
    assert_int_equal(close(datagrams), 0);
    assert_accepts();
}

/* ---- Siblings ------------------------------------------------------------------------- */

enum { NOTE_RESULT = KIND_NOTE, GATE = 0, WORKERS = 4 };

static void bind_and_connect(struct board *board) {
    board_require(board, pf_bind_sockets("127.0.0.1", 0, AF_INET, 0, 0, &listener, 1) == 1);
    client = connect_to(listener);
    board_require(board, client >= 0);
}

/* Worker 0 lets all go when it has seen the connection. */
static int accept_beside_siblings(struct board *board, int task_id, int run) {
    (void)run;
    if (task_id == 0) {
        board_require(board, becomes_readable(listener));
        gate_open(board, GATE);
    }
    gate_wait(board, GATE);
    board_note(board, NOTE_RESULT, pf_accept(listener));
    return 0;
}

static void one_of_all_siblings_gets_a_connection(void **state) {
    static const struct plan plan = {
        .workers = WORKERS, .prepare = bind_and_connect, .work = accept_beside_siblings};
    struct scenario *run = *state;
    unsigned accepted = 0;

    scenario_start(run, &plan);

    assert_exits(run, 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        const struct record *result = board_find(run->board, NOTE_RESULT, ANY_TASK, i);
        assert_non_null(result);
        assert_true(result->value >= 0 || result->value == -EAGAIN);
        accepted += result->value >= 0;
    }
    assert_int_equal(accepted, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        listening_test(a_connection_is_non_blocking_and_close_on_exec),
        listening_test(without_a_connection_nobody_waits),
        listening_test(errors_of_one_connection_are_passed_over),
        listening_test(after_such_errors_there_may_be_no_connection),
        listening_test(errors_without_an_end_do_not_keep_the_caller),
        listening_test(other_errors_are_returned_at_once),
        listening_test(a_connection_waits_while_there_is_no_descriptor_for_it),
        listening_test(what_does_not_listen_is_refused),
        scenario_test(one_of_all_siblings_gets_a_connection),
    };

    return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
