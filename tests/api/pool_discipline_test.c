/*
 * pool_discipline_test.c - who may call what, when, and with which values
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_FAILED = KIND_NOTE };

static int be_idle(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

/* Every setter with a value that is in range. Returns the number of the first that does not
 * return what is wanted, from 1; 0: all do. */
static int setters_that_differ(pf_pool *pool, int wanted) {
    const int got[] = {
        pf_pool_set_name(pool, "name"),
        pf_pool_set_workers(pool, 2),
        pf_pool_set_restart_policy(pool, PF_RESTART_ALWAYS),
        pf_pool_set_max_restarts(pool, 7),
        pf_pool_set_restart_window(pool, 3, 1000),
        pf_pool_set_backoff(pool, 10, 100),
        pf_pool_set_limit_action(pool, PF_LIMIT_DEGRADE),
        pf_pool_set_stop(pool, SIGINT, 500),
        pf_pool_set_exit_action(pool, 3, PF_EXIT_FATAL),
        pf_pool_set_min_uptime(pool, 0),
        pf_pool_set_boot_limit(pool, 5),
        pf_pool_set_signals(pool, PF_SIGNALS_STANDARD),
        pf_pool_set_thread_policy(pool, PF_THREADS_ALLOW),
        pf_pool_set_process_groups(pool, 1),
        pf_pool_set_parent_death_signal(pool, SIGUSR1),
        pf_pool_set_reap_orphans(pool, 1),
        pf_pool_set_backend(pool, backend_under_test),
        pf_pool_set_event_callback(pool, NULL, NULL, NULL),
        pf_pool_set_worker_fn(pool, be_idle, NULL, NULL),
    };

    for (int i = 0; i < (int)(sizeof(got) / sizeof(got[0])); i++) {
        if (got[i] != wanted) {
            return i + 1;
        }
    }
    return 0;
}

/* The same for all that needs a pool that has started. */
static int controls_that_differ(pf_pool *pool, int wanted) {
    const pf_event *event = NULL;
    const int got[] = {
        pf_pool_fd(pool),
        pf_pool_dispatch(pool, 0),
        pf_pool_next_event(pool, &event),
        pf_pool_stop(pool),
        pf_pool_kill(pool),
        pf_pool_reload(pool),
        pf_pool_wake(pool),
        pf_pool_handle_signal(pool, SIGTERM),
        pf_pool_resize(pool, 3),
        pf_pool_replace_worker(pool, 0),
        pf_pool_send_signal(pool, 0, SIGTERM),
        pf_pool_send_signal(pool, -1, SIGTERM),
        pf_pool_worker_count(pool),
        pf_pool_alive_count(pool),
        pf_pool_worker_pid(pool, 0),
        pf_pool_worker_state(pool, 0),
        pf_pool_worker_restarts(pool, 0),
        pf_pool_stop_signal(pool),
        pf_pool_worker_uptime_ms(pool, 0) == 0 ? wanted : 0,
    };

    for (int i = 0; i < (int)(sizeof(got) / sizeof(got[0])); i++) {
        if (got[i] != wanted) {
            return i + 1;
        }
    }
    return event == NULL ? 0 : -1;
}

static int starts_that_differ(pf_pool *pool, int wanted) {
    int task_id = 5;

    if (pf_pool_start(pool) != wanted) {
        return 1;
    }
    return pf_pool_run(pool, &task_id) != wanted || task_id != 5 ? 2 : 0;
}

/* ---- When ------------------------------------------------------------------------------ */

static void no_pool_is_an_invalid_one(void **state) {
    (void)state;

    assert_int_equal(setters_that_differ(NULL, -EINVAL), 0);
    assert_int_equal(controls_that_differ(NULL, -EINVAL), 0);
    assert_int_equal(starts_that_differ(NULL, -EINVAL), 0);
    assert_int_equal(pf_pool_new(NULL), -EINVAL);
    assert_null(pf_pool_free(NULL));
}

static void before_the_start_only_settings_are_made(void **state) {
    const struct host *host = *state;

    assert_int_equal(controls_that_differ(host->pool, -EINVAL), 0);
    assert_int_equal(setters_that_differ(host->pool, 0), 0);
    assert_int_equal(setters_that_differ(host->pool, 0), 0); /* as often as the host likes */
}

static void after_the_start_no_setting_is_made(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(setters_that_differ(host->pool, -EBUSY), 0);
    assert_int_equal(pf_pool_set_workers(host->pool, INT_MAX), -EBUSY);

    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(setters_that_differ(host->pool, -EBUSY), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 1);
}

static void a_start_needs_a_worker_function(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_worker_fn(host->pool, NULL, NULL, NULL), 0);

    assert_int_equal(pf_pool_start(host->pool), -EINVAL);

    assert_int_equal(pf_pool_fd(host->pool), -EINVAL); /* it has not started */
    assert_int_equal(pf_pool_set_worker_fn(host->pool, be_idle, NULL, NULL), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(pf_pool_start(host->pool), -EALREADY);
    assert_int_equal(host_stops(host), 0);
}

/* ---- Ranges ---------------------------------------------------------------------------- */

static void values_out_of_range_are_refused(void **state) {
    const struct host *host = *state;
    pf_pool *pool = host->pool;
    char name[65];
    memset(name, 'n', sizeof(name));

    name[64] = '\0';
    assert_int_equal(pf_pool_set_name(pool, name), -EINVAL);
    assert_int_equal(pf_pool_set_name(pool, NULL), -EINVAL);
    assert_int_equal(pf_pool_set_workers(pool, 65537), -EINVAL);
    assert_int_equal(pf_pool_set_workers(pool, INT_MAX), -EINVAL);
    assert_int_equal(pf_pool_set_restart_policy(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_restart_policy(pool, 3), -EINVAL);
    assert_int_equal(pf_pool_set_restart_window(pool, 1, 0), -EINVAL);
    assert_int_equal(pf_pool_set_restart_window(pool, 0, 1), -EINVAL);
    assert_int_equal(pf_pool_set_restart_window(pool, -1, 1), -EINVAL);
    assert_int_equal(pf_pool_set_restart_window(pool, 65537, 1), -EINVAL);
    assert_int_equal(pf_pool_set_restart_window(pool, 1, UINT64_MAX), -EINVAL);
    assert_int_equal(pf_pool_set_backoff(pool, 2, 1), -EINVAL);
    assert_int_equal(pf_pool_set_backoff(pool, 0, 1), -EINVAL);
    assert_int_equal(pf_pool_set_backoff(pool, 1, 0), -EINVAL);
    assert_int_equal(pf_pool_set_backoff(pool, 1, UINT64_MAX), -EINVAL);
    assert_int_equal(pf_pool_set_limit_action(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_limit_action(pool, 2), -EINVAL);
    assert_int_equal(pf_pool_set_stop(pool, -1, 1), -EINVAL);
    assert_int_equal(pf_pool_set_stop(pool, SIGRTMAX + 1, 1), -EINVAL);
    assert_int_equal(pf_pool_set_stop(pool, SIGTERM, UINT64_MAX), -EINVAL);
    assert_int_equal(pf_pool_set_exit_action(pool, -1, PF_EXIT_DONE), -EINVAL);
    assert_int_equal(pf_pool_set_exit_action(pool, 256, PF_EXIT_DONE), -EINVAL);
    assert_int_equal(pf_pool_set_exit_action(pool, 1, -1), -EINVAL);
    assert_int_equal(pf_pool_set_exit_action(pool, 1, 4), -EINVAL);
    assert_int_equal(pf_pool_set_min_uptime(pool, UINT64_MAX), -EINVAL);
    assert_int_equal(pf_pool_set_boot_limit(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_signals(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_signals(pool, 3), -EINVAL);
    assert_int_equal(pf_pool_set_thread_policy(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_thread_policy(pool, 2), -EINVAL);
    assert_int_equal(pf_pool_set_parent_death_signal(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_parent_death_signal(pool, SIGRTMAX + 1), -EINVAL);
    assert_int_equal(pf_pool_set_host_fork(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_host_fork(pool, 2), -EINVAL);
    assert_int_equal(pf_pool_set_manager_notify(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_manager_notify(pool, 2), -EINVAL);
    assert_int_equal(pf_pool_set_stop_fd(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_stop_fd(pool, 2), -EINVAL);
    assert_int_equal(pf_pool_set_process_groups(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_process_groups(pool, 3), -EINVAL);
    assert_int_equal(pf_pool_set_backend(pool, -1), -EINVAL);
    assert_int_equal(pf_pool_set_backend(pool, 3), -EINVAL);
}

static void values_at_the_edge_are_taken(void **state) {
    const struct host *host = *state;
    pf_pool *pool = host->pool;
    const uint64_t year_ms = UINT64_C(365) * 24 * 3600 * 1000;
    char name[64];
    memset(name, 'n', sizeof(name));
    name[63] = '\0';

    assert_int_equal(pf_pool_set_name(pool, name), 0);
    assert_int_equal(pf_pool_set_name(pool, ""), 0);
    assert_int_equal(pf_pool_set_workers(pool, 65536), 0);
    assert_int_equal(pf_pool_set_workers(pool, 0), 0);
    assert_int_equal(pf_pool_set_workers(pool, INT_MIN), 0);
    assert_int_equal(pf_pool_set_max_restarts(pool, INT_MIN), 0);
    assert_int_equal(pf_pool_set_max_restarts(pool, 0), 0);
    assert_int_equal(pf_pool_set_max_restarts(pool, PF_UNLIMITED), 0);
    assert_int_equal(pf_pool_set_restart_window(pool, 65536, year_ms), 0);
    assert_int_equal(pf_pool_set_restart_window(pool, 0, 0), 0);
    assert_int_equal(pf_pool_set_backoff(pool, 1, 1), 0);
    assert_int_equal(pf_pool_set_backoff(pool, year_ms, year_ms), 0);
    assert_int_equal(pf_pool_set_backoff(pool, 0, 0), 0);
    assert_int_equal(pf_pool_set_stop(pool, 0, 0), 0);
    assert_int_equal(pf_pool_set_stop(pool, SIGRTMAX, year_ms), 0);
    assert_int_equal(pf_pool_set_exit_action(pool, 255, PF_EXIT_FATAL), 0);
    assert_int_equal(pf_pool_set_exit_action(pool, 0, PF_EXIT_DEFAULT), 0);
    assert_int_equal(pf_pool_set_min_uptime(pool, 0), 0);
    assert_int_equal(pf_pool_set_min_uptime(pool, year_ms), 0);
    assert_int_equal(pf_pool_set_boot_limit(pool, INT_MAX), 0);
    assert_int_equal(pf_pool_set_boot_limit(pool, 0), 0);
    assert_int_equal(pf_pool_set_parent_death_signal(pool, SIGRTMAX), 0);
    assert_int_equal(pf_pool_set_parent_death_signal(pool, 0), 0);
    assert_int_equal(pf_pool_set_backend(pool, PF_BACKEND_AUTO), 0);
}

/* A setting that was refused has changed nothing. */
static void a_refused_value_leaves_the_one_before(void **state) {
    struct host *host = *state;
    host->work = crashes_at_once;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 2), 0);
    assert_int_equal(pf_pool_set_restart_policy(host->pool, 9), -EINVAL);
    assert_int_equal(pf_pool_set_exit_action(host->pool, 1000, PF_EXIT_FATAL), -EINVAL);
    assert_int_equal(pf_pool_set_workers(host->pool, 1), 0);
    assert_int_equal(pf_pool_set_workers(host->pool, 65537), -EINVAL);
    assert_int_equal(pf_pool_start(host->pool), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), 3);
}

static void without_a_number_there_is_a_worker_for_each_processor(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;
    assert_int_equal(pf_pool_start(host->pool), 0);

    assert_int_equal(pf_pool_worker_count(host->pool), pf_cpu_count());

    assert_int_equal(host_finishes(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, ANY_TASK), pf_cpu_count());
}

static void controls_refuse_what_is_out_of_range(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));

    assert_int_equal(pf_pool_resize(host->pool, 0), -EINVAL);
    assert_int_equal(pf_pool_resize(host->pool, -1), -EINVAL);
    assert_int_equal(pf_pool_resize(host->pool, 65537), -EINVAL);
    assert_int_equal(pf_pool_replace_worker(host->pool, -1), -EINVAL);
    assert_int_equal(pf_pool_replace_worker(host->pool, 2), -EINVAL);
    assert_int_equal(pf_pool_send_signal(host->pool, 2, SIGUSR1), -EINVAL);
    assert_int_equal(pf_pool_send_signal(host->pool, -2, SIGUSR1), -EINVAL);
    assert_int_equal(pf_pool_send_signal(host->pool, 0, -1), -EINVAL);
    assert_int_equal(pf_pool_send_signal(host->pool, 0, SIGRTMAX + 1), -EINVAL);
    assert_int_equal(pf_pool_worker_pid(host->pool, 2), -EINVAL);
    assert_int_equal(pf_pool_worker_pid(host->pool, -1), -EINVAL);
    assert_int_equal(pf_pool_worker_state(host->pool, 2), -EINVAL);
    assert_int_equal(pf_pool_worker_restarts(host->pool, INT_MAX), -EINVAL);
    assert_int_equal(pf_pool_worker_uptime_ms(host->pool, INT_MIN), 0);
    assert_int_equal(pf_pool_next_event(host->pool, NULL), -EINVAL);

    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 2);
}

/* ---- Another process ------------------------------------------------------------------- */

static pf_pool *handle;

static int note_differences(void) {
    int differ = setters_that_differ(handle, -ECHILD);

    differ = differ == 0 ? 100 * controls_that_differ(handle, -ECHILD) : differ;
    return differ == 0 ? 10000 * starts_that_differ(handle, -ECHILD) : differ;
}

static int tries_the_handle(struct board *board, int task_id, int run) {
    (void)run;
    board_note(board, NOTE_FAILED, note_differences());
    if (task_id == 0) {
        board_require(board, pf_pool_free(handle) == NULL);
    }
    return 0;
}

static void in_a_worker_the_handle_is_good_for_free_only(void **state) {
    struct host *host = *state;
    host->work = tries_the_handle;
    handle = host->pool;
    assert_int_equal(host_begin(host, 2), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(board_find(host->board, NOTE_FAILED, 0, 0)->value, 0);
    assert_int_equal(board_find(host->board, NOTE_FAILED, 1, 0)->value, 0);
}

static void assert_child_has_no_use_of(struct board *board, unsigned nth) {
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        board_note(board, NOTE_FAILED, note_differences());
        board_require(board, pf_pool_free(handle) == NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(board_find(board, NOTE_FAILED, ANY_TASK, nth)->value, 0);
}

/* Before, during and after the pool's life; the workers are as they were. */
static void in_a_child_of_the_host_it_is_so_too(void **state) {
    struct host *host = *state;
    handle = host->pool;
    assert_child_has_no_use_of(host->board, 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_child_has_no_use_of(host->board, 1);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));

    assert_child_has_no_use_of(host->board, 2);

    host_goes_on(host, 20);
    assert_int_equal(pf_pool_alive_count(host->pool), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);
    assert_int_equal(kill(host_pid(host, 1, 0), SIGKILL), 0);
    assert_true(host_reaches(host, KIND_WORKER, 1, 2));
    assert_int_equal(host_stops(host), 0);
    assert_child_has_no_use_of(host->board, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(no_pool_is_an_invalid_one),
        host_test(before_the_start_only_settings_are_made),
        host_test(after_the_start_no_setting_is_made),
        host_test(a_start_needs_a_worker_function),
        host_test(values_out_of_range_are_refused),
        host_test(values_at_the_edge_are_taken),
        host_test(a_refused_value_leaves_the_one_before),
        host_test(without_a_number_there_is_a_worker_for_each_processor),
        host_test(controls_refuse_what_is_out_of_range),
        host_test(in_a_worker_the_handle_is_good_for_free_only),
        host_test(in_a_child_of_the_host_it_is_so_too),
    };

    return run_group_with_each_backend("pool discipline", tests);
}
