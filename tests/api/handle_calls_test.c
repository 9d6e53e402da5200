/*
 * handle_calls_test.c - calls that fail one by one in functions of a pool, of a worker and of
 * neither: the function works all the same, or it fails with that error and changes nothing
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "failing.h"
#include "host.h"

enum { NOTE_FAILED = KIND_NOTE, STATUS_DONE = 5 };

/* ---- A pool that has not started ------------------------------------------------------- */

static int make_pool(pf_pool **ret_pool) { return pf_pool_new(ret_pool); }

static int set_program(pf_pool **pool) {
    static const char *const words[] = {"sleep", "1000", NULL};
    static const char *const environment[] = {"ONE=1", "TWO=2", NULL};

    return pf_pool_set_exec(*pool, "/bin/sleep", words, environment);
}

static int set_own_program(pf_pool **pool) { return pf_pool_set_exec(*pool, NULL, NULL, NULL); }

static int add_descriptor(pf_pool **pool) {
    return pf_pool_add_fd(*pool, "standard-input", STDIN_FILENO);
}

static void try_each_allocation(int (*function)(pf_pool **), bool has_pool) {
    static struct descriptors before, after;
    static const char *const calls[] = {"malloc", "calloc", "realloc", "strdup", "open64"};
    unsigned failed = 0;

    descriptors_take(&before);
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        const int error = strcmp(calls[i], "open64") == 0 ? EMFILE : ENOMEM;
        struct failure failure = {calls[i], error, 1, 1, IN_THIS_PROCESS};
        unsigned now = 1;
        while (now > 0) {
            pf_pool *pool = NULL;
            assert_int_equal(has_pool ? pf_pool_new(&pool) : 0, 0);
            failure_begin(&failure);
            const int result = function(&pool);
            now = failure_end();
            assert_true(result == 0 || (now > 0 && result == -error));
            assert_int_equal(result == 0 ? 0 : function(&pool), 0);
            assert_null(pf_pool_free(pool));
            failure.first += 1;
            failed += now;
            assert_in_range(failure.first, 0, USES_MAX);
        }
    }
    descriptors_take(&after);
    assert_string_equal(before.text, after.text);
    assert_true(failed > 0);
}

static void without_memory_there_is_no_pool(void **state) {
    (void)state;
    require_failing();
    try_each_allocation(make_pool, false);
}

static void without_memory_no_setting_changes(void **state) {
    (void)state;
    require_failing();
    try_each_allocation(set_program, true);
    try_each_allocation(set_own_program, true);
    try_each_allocation(add_descriptor, true);
}

/* ---- A pool at work -------------------------------------------------------------------- */

static void without_memory_a_pool_keeps_its_size(void **state) {
    struct host *host = *state;
    unsigned failed = 1;
    require_failing();
    host->work = ends_on_term;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));

    for (struct failure failure = {"calloc", ENOMEM, 1, 1, IN_THIS_PROCESS}; failed > 0;
         failure.first++) {
        failure_begin(&failure);
        const int result = pf_pool_resize(host->pool, 40);
        failed = failure_end();
        assert_int_equal(result, failed > 0 ? -ENOMEM : 0);
        assert_int_equal(pf_pool_worker_count(host->pool), failed > 0 ? 2 : 40);
    }

    assert_int_equal(pf_pool_resize(host->pool, 3), 0);
    assert_true(host_reaches_alive(host, 3));
    assert_int_equal(host_stops(host), 0);
}

static void a_wait_that_fails_ends_the_pool_with_its_error(void **state) {
    struct host *host = *state;
    const struct failure failure = {"epoll_pwait", EPERM, 1, 1, IN_THIS_PROCESS};
    require_failing();
    host->work = ignores_term;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));

    failure_begin(&failure);
    const int result = pf_pool_dispatch(host->pool, 0);
    assert_int_equal(failure_end(), 1);

    assert_int_equal(result, -EPERM);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), -EPERM);
    assert_int_equal(children_alive(), 0);
}

static void a_wait_that_is_interrupted_is_no_failure(void **state) {
    struct host *host = *state;
    const struct failure failure = {"epoll_pwait", EINTR, 1, 3, IN_THIS_PROCESS};
    require_failing();
    host->work = ends_on_term;
    assert_int_equal(host_begin(host, 1), 0);

    failure_begin(&failure);
    assert_true(host_reaches(host, NOTE_READY, 0, 1));
    assert_in_range(failure_end(), 1, 3); /* as often as it has waited */

    assert_int_equal(host_stops(host), 0);
}

/* The system lacks something then: it is not the worker's fault. A program, because a worker that
 * is forked may have begun its work before it is known that it cannot be watched. */
static void a_start_is_tried_again_where_too_much_is_watched(void **state) {
    struct host *host = *state;
    const struct failure failure = {"epoll_ctl", ENOSPC, 1, 0, IN_THIS_PROCESS};
    static const char *const sleep_for_long[] = {"sleep", "1000", NULL};
    require_failing();
    assert_int_equal(pf_pool_set_worker_fn(host->pool, NULL, NULL, NULL), 0);
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/sleep", sleep_for_long, NULL), 0);
    assert_int_equal(host_begin(host, 1), 0);

    failure_begin(&failure);
    assert_int_equal(pf_pool_dispatch(host->pool, 0), 1);
    assert_true(failure_end() > 0);

    if (backend_under_test == PF_BACKEND_PIDFD) { /* which watches it so */
        assert_true(host_reaches(host, PF_EVENT_START_FAILED, 0, 1));
        const struct record *told = board_find(host->board, PF_EVENT_START_FAILED, 0, 0);
        assert_int_equal(told->error, -ENOSPC);
        assert_int_equal(told->restarts, 0);
    }
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 1));
    assert_int_equal(host_stops(host), 0);
}

/* ---- A worker -------------------------------------------------------------------------- */

static int fails_first(struct board *board, const struct use *uses, unsigned count,
                       int (*function)(void)) {
    for (unsigned i = 0; i < count; i++) {
        const struct failure failure = {uses[i].call, uses[i].error, 1, 1, IN_THIS_PROCESS};
        failure_begin(&failure);
        const int result = function();
        const unsigned failed = failure_end();
        board_note(board, NOTE_FAILED, failed);
        board_require(board, result >= 0 || (failed > 0 && result == -uses[i].error));
    }
    return function();
}

static int opens_its_stop_descriptor(struct board *board, int task_id, int run) {
    static const struct use uses[] = {
        {"fcntl64", EBADF},        {"fstat64", EBADF},    {"syscall.pidfd_open", EMFILE},
        {"epoll_create1", ENFILE}, {"epoll_ctl", ENOMEM},
    };
    (void)task_id;
    (void)run;

    const int stop = fails_first(board, uses, sizeof(uses) / sizeof(uses[0]), pf_worker_stop_fd);
    board_require(board, stop > STDERR_FILENO && pf_worker_stop_fd() == stop);
    board_note(board, NOTE_READY, 0);
    worker_waits_for_stop(board);
    return 0;
}

static void a_worker_gets_its_stop_descriptor_after_a_failure(void **state) {
    struct host *host = *state;
    require_failing();
    assert_int_equal(pf_pool_set_stop(host->pool, 0, PATIENCE_MS), 0);
    host->work = opens_its_stop_descriptor;

    assert_int_equal(host_begin(host, 1), 0); /* what counts failures is shared */
    assert_true(host_reaches(host, NOTE_READY, 0, 1));

    assert_true(board_count(host->board, NOTE_FAILED, 0) > 3);
    assert_int_equal(host_stops(host), 0);
}

static int gets_ready(struct board *board, int task_id, int run) {
    static const struct use uses[] = {
        {"sigpending", EPERM},
        {"write", EINTR},
        {"write", EAGAIN},
        {"write", EIO},
    };
    (void)run;

    board_require(board, fails_first(board, uses, sizeof(uses) / sizeof(uses[0]),
                                     task_id == 0 ? pf_worker_ready : pf_worker_retire) == 0);
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 0;
}

static void a_worker_reports_after_a_failure(void **state) {
    struct host *host = *state;
    require_failing();
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    host->work = gets_ready;

    assert_int_equal(host_begin(host, 1), 0);

    assert_true(host_reaches(host, PF_EVENT_READY, 0, 1));
    assert_int_equal(host_stops(host), 0);
}

/* ---- Processors ------------------------------------------------------------------------ */

static int count_with(const char *call, int error, unsigned count) {
    const struct failure failure = {call, error, 1, count, IN_THIS_PROCESS};

    failure_begin(&failure);
    const int processors = pf_cpu_count();
    assert_true(failure_end() > 0);
    return processors;
}

static void there_is_a_processor_whatever_can_be_known(void **state) {
    const int processors = pf_cpu_count();
    (void)state;
    require_failing();

    assert_true(processors >= 1);
    assert_int_equal(count_with("sched_getaffinity", EINVAL, 1), processors); /* a larger set */
    assert_true(count_with("sched_getaffinity", EINVAL, 0) >= processors);
    assert_true(count_with("sched_getaffinity", EPERM, 0) >= processors);
    assert_int_equal(count_with("read", EINTR, 1), processors);
    assert_true(count_with("read", EIO, 0) >= processors);
    assert_true(count_with("open64", EACCES, 0) >= processors);
    assert_int_equal(count_with("open64", ENOENT, 1), processors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(without_memory_a_pool_keeps_its_size),
        host_test(a_wait_that_fails_ends_the_pool_with_its_error),
        host_test(a_wait_that_is_interrupted_is_no_failure),
        host_test(a_start_is_tried_again_where_too_much_is_watched),
        host_test(a_worker_gets_its_stop_descriptor_after_a_failure),
        host_test(a_worker_reports_after_a_failure),
    };
    const struct CMUnitTest once[] = {
        scenario_test(without_memory_there_is_no_pool),
        scenario_test(without_memory_no_setting_changes),
        scenario_test(there_is_a_processor_whatever_can_be_known),
    };

    return run_group_with_each_backend("calls of a pool", tests) +
           cmocka_run_group_tests_name("calls without a pool", once, NULL, NULL);
}
