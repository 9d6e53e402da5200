/*
 * arguments_test.c - calls that are refused, texts for codes, the version
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scenario.h"

enum { NOTE_RESULT = KIND_NOTE };

/* ---- Calls that are refused ---------------------------------------------------------- */

static void note_event(const pf_event *event, void *user) { board_note_event(user, event); }

/* Calls, and notes the result, which is to be a failure that leaves nothing behind. */
static void call_in_vain(struct board *board, int num_processes) {
    struct descriptors before;
    struct descriptors after;

    descriptors_take(&before);
    pf_set_event_callback(note_event, board);
    int result = pf_fork_processes(num_processes, 0);
    if (result >= 0) {
        _exit(0); /* a worker, where there should be none */
    }
    board_note(board, NOTE_RESULT, result);
    board_require(board, waitpid(-1, NULL, WNOHANG) == -1);
    board_require(board, errno == ECHILD);
    board_require(board, pf_task_id() == -1);
    descriptors_take(&after);
    board_require(board, strcmp(before.text, after.text) == 0);
}

static int host_with_too_many_workers(struct board *board) {
    call_in_vain(board, 65537);
    call_in_vain(board, INT_MAX);
    return 0;
}

static void more_than_65536_workers_are_refused(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_too_many_workers);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, NOTE_RESULT, ANY_TASK), 2);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, -EINVAL);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 1)->value, -EINVAL);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTING, ANY_TASK), 0);
}

/* A machine for so many workers is rare; that descriptors are lacking is told only after the
 * number was found good. */
static int host_with_the_most_workers(struct board *board) {
    struct rlimit limit;
    struct rlimit none;

    board_require(board, getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = 0;
    board_require(board, setrlimit(RLIMIT_NOFILE, &none) == 0);
    call_in_vain(board, 65536);
    board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
    return 0;
}

static void as_many_as_65536_workers_are_not_refused(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_the_most_workers);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, -EMFILE);
}

static void *wait_at_gate(void *board) {
    gate_wait(board, 0);
    return NULL;
}

static int host_with_a_thread(struct board *board) {
    pthread_t thread;

    board_require(board, pthread_create(&thread, NULL, wait_at_gate, board) == 0);
    call_in_vain(board, 2);
    gate_open(board, 0);
    board_require(board, pthread_join(thread, NULL) == 0);

    /* Once it is gone there is no objection any more. */
    int task_id = pf_fork_processes(2, 0);
    if (task_id >= 0) {
        (void)board_note_worker(board, task_id);
        _exit(0);
    }
    return STATUS_RETURNED;
}

static void other_threads_are_refused_while_they_run(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_a_thread);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, PF_ETHREADS);
    assert_int_equal(board_count(run->board, KIND_WORKER, ANY_TASK), 2);
    assert_int_equal(board_count(run->board, PF_EVENT_STARTING, ANY_TASK), 1);
}

enum { THREADS = SANITIZED ? 1000 : 4000 };

static void *return_at_once(void *nothing) { return nothing; }

/* The kernel lists a thread for a moment after it was joined. Without descriptors a call that has
 * no objection to threads fails in a way of its own, so that there can be many. */
static int host_that_joins_threads(struct board *board) {
    struct rlimit limit;
    struct rlimit none;
    int64_t refused = 0;

    board_require(board, getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = 0;
    board_require(board, setrlimit(RLIMIT_NOFILE, &none) == 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        board_require(board, pthread_create(&thread, NULL, return_at_once, NULL) == 0);
        board_require(board, pthread_join(thread, NULL) == 0);
        refused += pf_fork_processes(1, 0) == -EMFILE ? 0 : 1;
    }
    board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
    board_note(board, NOTE_RESULT, refused);
    return 0;
}

static void a_thread_that_was_joined_is_no_objection(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_joins_threads);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_RESULT, ANY_TASK, 0)->value, 0);
}

/* ---- Texts --------------------------------------------------------------------------- */

static void every_code_has_a_text_of_its_own(void **state) {
    static const int codes[] = {0,       PF_EGAVEUP, PF_ETHREADS, PF_ERESOLVE, PF_EFATAL,
                                -EINVAL, -EALREADY,  -EBUSY,      -EMFILE,     -ENFILE,
                                -ENOMEM, -EAGAIN,    -ECHILD,     -5000};
    enum { CODES = sizeof(codes) / sizeof(codes[0]) };

    (void)state;
    for (int i = 0; i < CODES; i++) {
        const char *text = pf_strerror(codes[i]);
        assert_non_null(text);
        assert_true(strlen(text) > 4);
        assert_null(strchr(text, '\n'));
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(text, pf_strerror(codes[j]));
        }
        assert_ptr_equal(text, pf_strerror(codes[i])); /* static, so it stays where it is */
    }
}

static void no_failure_is_success(void **state) {
    (void)state;
    assert_string_equal(pf_strerror(0), "Success");
    assert_string_equal(pf_strerror(1), "Success");
    assert_string_equal(pf_strerror(INT_MAX), "Success");
}

static void texts_of_errno_values_are_those_of_the_system(void **state) {
    (void)state;
    for (int error = 1; error <= 133; error++) {
        if (strstr(strerror(error), "Unknown") == NULL) {
            assert_string_equal(pf_strerror(-error), strerror(error));
        }
    }
}

static void unknown_codes_have_a_text_too(void **state) {
    static const int codes[] = {-4000, -4095, -4096, -4100, -65536, INT_MIN, INT_MIN + 1};

    (void)state;
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        assert_non_null(pf_strerror(codes[i]));
        assert_string_not_equal(pf_strerror(codes[i]), "Success");
    }
}

static void the_version_is_that_of_the_header(void **state) {
    char expected[64];

    (void)state;
    (void)snprintf(expected, sizeof(expected), "%d.%d.%d", PF_VERSION_MAJOR, PF_VERSION_MINOR,
                   PF_VERSION_PATCH);
    assert_string_equal(pf_version(), expected);
    assert_int_equal(pf_version_number(),
                     10000 * PF_VERSION_MAJOR + 100 * PF_VERSION_MINOR + PF_VERSION_PATCH);
}

static void each_type_of_events_has_a_name(void **state) {
    (void)state;
    for (int type = PF_EVENT_STARTING; type <= PF_EVENT_SPARE_EXITED; type++) {
        assert_non_null(pf_event_type_name(type));
        for (int other = PF_EVENT_STARTING; other < type; other++) {
            assert_string_not_equal(pf_event_type_name(type), pf_event_type_name(other));
        }
    }
    assert_string_equal(pf_event_type_name(PF_EVENT_EXITED), "worker_exited");
    assert_string_equal(pf_event_type_name(PF_EVENT_SPARE_STARTED), "spare_started");
    assert_string_equal(pf_event_type_name(PF_EVENT_SPARE_EXITED), "spare_exited");
    assert_null(pf_event_type_name(0));
    assert_null(pf_event_type_name(-1));
    assert_null(pf_event_type_name(PF_EVENT_SPARE_EXITED + 1));
    assert_int_equal(pf_event_worker_count(NULL), 0);
}

static void this_process_is_no_worker(void **state) {
    (void)state;
    assert_int_equal(pf_task_id(), -1);
}

static void no_event_has_no_fields(void **state) {
    (void)state;
    assert_int_equal(pf_event_type(NULL), 0);
    assert_int_equal(pf_event_level(NULL), 0);
    assert_string_equal(pf_event_message(NULL), "");
    assert_int_equal(pf_event_task_id(NULL), -1);
    assert_int_equal(pf_event_pid(NULL), 0);
    assert_int_equal(pf_event_exit_code(NULL), -1);
    assert_int_equal(pf_event_signal(NULL), 0);
    assert_int_equal(pf_event_core_dumped(NULL), 0);
    assert_int_equal(pf_event_will_restart(NULL), 0);
    assert_int_equal(pf_event_error(NULL), 0);
    assert_int_equal(pf_event_restarts(NULL), 0);
    assert_int_equal(pf_event_reason(NULL), PF_REASON_NONE);
    assert_int_equal(pf_event_delay_ms(NULL), 0);
    assert_int_equal(pf_event_uptime_ms(NULL), 0);
    assert_int_equal(pf_event_time_ns(NULL), 0);
    assert_int_equal(pf_event_user_us(NULL), 0);
    assert_int_equal(pf_event_system_us(NULL), 0);
    assert_int_equal(pf_event_max_rss_kib(NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(more_than_65536_workers_are_refused),
        scenario_test(as_many_as_65536_workers_are_not_refused),
        scenario_test(other_threads_are_refused_while_they_run),
        scenario_test(a_thread_that_was_joined_is_no_objection),
        scenario_test(every_code_has_a_text_of_its_own),
        scenario_test(no_failure_is_success),
        scenario_test(texts_of_errno_values_are_those_of_the_system),
        scenario_test(unknown_codes_have_a_text_too),
        scenario_test(the_version_is_that_of_the_header),
        scenario_test(each_type_of_events_has_a_name),
        scenario_test(this_process_is_no_worker),
        scenario_test(no_event_has_no_fields),
    };

    return cmocka_run_group_tests_name("arguments", tests, NULL, NULL);
}
