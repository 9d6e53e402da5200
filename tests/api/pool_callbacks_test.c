/*
 * pool_callbacks_test.c - the host's functions: how long they live and what they may call
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

/* ---- free_user ------------------------------------------------------------------------- */

/* Shared with all processes of the test: how often free_user was called with it. */
struct counter {
    struct board *board;
    int number;
};

enum { NOTE_FREED = KIND_NOTE, NOTE_CALLED };

static void note_freed(void *user) {
    const struct counter *counter = user;

    board_note_task(counter->board, NOTE_FREED, counter->number, getpid());
}

static unsigned times_freed(const struct counter *counter) {
    return board_count(counter->board, NOTE_FREED, counter->number);
}

static void ignore_event(const pf_event *event, void *user) {
    (void)event;
    (void)user;
}

static int crash(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return 1;
}

static void a_value_is_freed_when_another_takes_its_place(void **state) {
    const struct host *host = *state;
    struct counter first = {host->board, 1};
    struct counter second = {host->board, 2};
    struct counter third = {host->board, 3};

    assert_int_equal(pf_pool_set_event_callback(host->pool, ignore_event, &first, note_freed), 0);
    assert_int_equal(pf_pool_set_worker_fn(host->pool, crash, &third, note_freed), 0);
    assert_int_equal(times_freed(&first), 0);
    assert_int_equal(pf_pool_set_event_callback(host->pool, ignore_event, &second, note_freed), 0);
    assert_int_equal(times_freed(&first), 1);
    assert_int_equal(pf_pool_set_event_callback(host->pool, NULL, NULL, NULL), 0);
    assert_int_equal(times_freed(&second), 1);
    assert_int_equal(times_freed(&third), 0);
    assert_int_equal(pf_pool_set_worker_fn(host->pool, NULL, NULL, NULL), 0);
    assert_int_equal(times_freed(&third), 1);
    assert_int_equal(times_freed(&first), 1);
}

static void the_same_value_set_twice_is_freed_for_each(void **state) {
    struct host *host = *state;
    struct counter counter = {host->board, 1};

    assert_int_equal(pf_pool_set_event_callback(host->pool, ignore_event, &counter, note_freed), 0);
    assert_int_equal(pf_pool_set_event_callback(host->pool, ignore_event, &counter, note_freed), 0);
    assert_int_equal(times_freed(&counter), 1);
    host_close(host);
    assert_int_equal(times_freed(&counter), 2);
}

static void values_are_freed_with_the_pool(void **state) {
    struct host *host = *state;
    struct counter event = {host->board, 1};
    struct counter worker = {host->board, 2};
    assert_int_equal(pf_pool_set_event_callback(host->pool, ignore_event, &event, note_freed), 0);
    assert_int_equal(pf_pool_set_worker_fn(host->pool, crash, &worker, note_freed), 0);
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 3), 0);
    assert_int_equal(host_begin(host, 2), 0);

    assert_int_equal(host_finishes(host), PF_EGAVEUP);

    assert_int_equal(times_freed(&event) + times_freed(&worker), 0);
    host_close(host);
    assert_int_equal(times_freed(&event), 1);
    assert_int_equal(times_freed(&worker), 1);
    assert_int_equal(board_find(host->board, NOTE_FREED, 2, 0)->value, getpid());
}

static void values_are_freed_with_a_pool_that_runs(void **state) {
    struct host *host = *state;
    struct counter event = {host->board, 1};
    assert_int_equal(pf_pool_set_event_callback(host->pool, ignore_event, &event, note_freed), 0);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 2));

    host_close(host);

    assert_int_equal(times_freed(&event), 1);
}

static void values_are_freed_when_the_setter_fails(void **state) {
    struct host *host = *state;
    struct counter event = {host->board, 1};
    struct counter worker = {host->board, 2};
    struct counter nobodys = {host->board, 3};
    assert_int_equal(host_begin(host, 1), 0);

    assert_int_equal(pf_pool_set_event_callback(host->pool, ignore_event, &event, note_freed),
                     -EBUSY);
    assert_int_equal(pf_pool_set_worker_fn(host->pool, crash, &worker, note_freed), -EBUSY);
    assert_int_equal(pf_pool_set_event_callback(NULL, ignore_event, &nobodys, note_freed), -EINVAL);
    assert_int_equal(pf_pool_set_worker_fn(NULL, crash, &nobodys, note_freed), -EINVAL);

    assert_int_equal(times_freed(&event), 1);
    assert_int_equal(times_freed(&worker), 1);
    assert_int_equal(times_freed(&nobodys), 2);
    assert_int_equal(host_stops(host), 0);
    host_close(host);
    assert_int_equal(times_freed(&event), 1);
    assert_int_equal(times_freed(&worker), 1);
}

static struct counter worker_counter;
static pf_pool *inherited;

/* Neither by its free, nor by setters that fail here. */
static int frees_the_pool(int task_id, void *user) {
    const struct counter *counter = user;
    bool fine = counter->number == 1 && pf_pool_free(inherited) == NULL;

    (void)task_id;
    return fine ? 0 : 9;
}

static void nothing_is_freed_in_a_worker_or_another_child(void **state) {
    struct host *host = *state;
    int status = 0;
    worker_counter = (struct counter){host->board, 1};
    inherited = host->pool;
    assert_int_equal(pf_pool_set_worker_fn(host->pool, frees_the_pool, &worker_counter, note_freed),
                     0);
    assert_int_equal(host_begin(host, 2), 0);

    assert_int_equal(host_finishes(host), 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(pf_pool_free(inherited) == NULL ? 0 : 9);
    }

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(times_freed(&worker_counter), 0);
    host_close(host);
    assert_int_equal(times_freed(&worker_counter), 1);
}

/* What is set there is the child's, and refused; what the pool has stays. */
static void in_a_child_only_what_is_refused_is_freed(void **state) {
    struct host *host = *state;
    struct counter kept = {host->board, 1};
    struct counter refused = {host->board, 2};
    int status = 0;
    assert_int_equal(pf_pool_set_event_callback(host->pool, ignore_event, &kept, note_freed), 0);

    pid_t child = fork();
    if (child == 0) {
        bool fine =
            pf_pool_set_event_callback(host->pool, ignore_event, &refused, note_freed) == -ECHILD &&
            pf_pool_set_worker_fn(host->pool, crash, &refused, note_freed) == -ECHILD;
        _exit(fine ? 0 : 9);
    }

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(times_freed(&refused), 2);
    assert_int_equal(times_freed(&kept), 0);
    host_close(host); /* while the values exist */
}

static struct host *freeing_host;

/* Sets another one while the first is freed. */
static void note_and_set_another(void *user) {
    static struct counter another;

    note_freed(user);
    another = (struct counter){freeing_host->board, 2};
    board_require(freeing_host->board, pf_pool_set_event_callback(freeing_host->pool, ignore_event,
                                                                  &another, note_freed) == 0);
}

static void a_value_that_sets_another_when_it_is_freed_is_freed_once(void **state) {
    struct host *host = *state;
    struct counter first = {host->board, 1};
    struct counter second = {host->board, 2};
    struct counter third = {host->board, 3};
    freeing_host = host;
    assert_int_equal(
        pf_pool_set_event_callback(host->pool, ignore_event, &first, note_and_set_another), 0);

    assert_int_equal(pf_pool_set_event_callback(host->pool, ignore_event, &third, note_freed), 0);

    assert_int_equal(times_freed(&first), 1);
    assert_int_equal(times_freed(&third), 1); /* the second has taken its place */
    assert_int_equal(times_freed(&second), 0);
    host_close(host);
    assert_int_equal(times_freed(&second), 1);
}

/* ---- Calls from a callback ------------------------------------------------------------- */

/* What a callback does, once, at the first event of a type. */
struct deed {
    struct host *host;
    int at;
    void (*act)(struct host *host);
    bool done;
};

static void do_deed(const pf_event *event, void *user) {
    struct deed *deed = user;

    board_note_event(deed->host->board, event);
    if (pf_event_type(event) == deed->at && !deed->done) {
        deed->done = true;
        deed->act(deed->host);
        board_note(deed->host->board, NOTE_CALLED, deed->at);
    }
}

static struct deed the_deed;

static void begin_with_deed(struct host *host, int at, void (*act)(struct host *), int workers) {
    the_deed = (struct deed){.host = host, .at = at, .act = act};
    assert_int_equal(pf_pool_set_event_callback(host->pool, do_deed, &the_deed, NULL), 0);
    assert_int_equal(host_begin(host, workers), 0);
}

static void try_what_is_not_allowed(struct host *host) {
    const pf_event *event = NULL;
    int task_id = 5;

    board_require(host->board, pf_pool_dispatch(host->pool, 0) == -EBUSY);
    board_require(host->board, pf_pool_run(host->pool, &task_id) != 0 && task_id == 5);
    board_require(host->board, pf_pool_free(host->pool) == host->pool);
    board_require(host->board, pf_pool_set_workers(host->pool, 1) == -EBUSY);
    board_require(host->board, pf_pool_next_event(host->pool, &event) == 0);
}

static void run_dispatch_and_free_are_refused_in_it(void **state) {
    struct host *host = *state;
    begin_with_deed(host, PF_EVENT_STARTED, try_what_is_not_allowed, 3);

    assert_true(host_reaches(host, NOTE_CALLED, ANY_TASK, 1));

    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 3));
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 3);
}

static void run_in_callback(const pf_event *event, void *user) {
    struct host *host = user;
    int task_id = 5;

    board_note_event(host->board, event);
    board_require(host->board, pf_pool_run(host->pool, &task_id) == -EBUSY);
    board_require(host->board, pf_pool_dispatch(host->pool, 0) < 0);
    board_require(host->board, pf_pool_free(host->pool) == host->pool);
}

static void run_within_run_is_refused(void **state) {
    struct host *host = *state;
    int task_id = 5;
    host->work = ends_at_once;
    assert_int_equal(pf_pool_set_event_callback(host->pool, run_in_callback, host, NULL), 0);
    assert_int_equal(pf_pool_set_workers(host->pool, 2), 0);

    host->result = pf_pool_run(host->pool, &task_id);

    assert_int_equal(host->result, 0);
    assert_int_equal(task_id, -1);
    assert_int_equal(board_count(host->board, PF_EVENT_DONE, ANY_TASK), 1);
}

static void look_at_the_pool(struct host *host) {
    struct board *board = host->board;

    board_require(board, pf_pool_worker_count(host->pool) == 3);
    board_require(board, pf_pool_alive_count(host->pool) == 3);
    for (int i = 0; i < 3; i++) {
        board_require(board, pf_pool_worker_pid(host->pool, i) > 0);
        board_require(board, pf_pool_worker_state(host->pool, i) == PF_WORKER_READY);
        board_require(board, pf_pool_worker_restarts(host->pool, i) == 0);
    }
    board_require(board, pf_pool_fd(host->pool) >= 0);
    board_require(board, pf_pool_stop_signal(host->pool) == 0);
}

static void getters_work_in_it(void **state) {
    struct host *host = *state;
    begin_with_deed(host, PF_EVENT_STARTED, look_at_the_pool, 3);

    assert_true(host_reaches(host, NOTE_CALLED, ANY_TASK, 1));

    assert_int_equal(host_stops(host), 0);
}

static void resize_and_signal(struct host *host) {
    board_require(host->board, pf_pool_resize(host->pool, 5) == 0);
    board_require(host->board, pf_pool_worker_count(host->pool) == 5);
    board_require(host->board, pf_pool_send_signal(host->pool, 0, SIGKILL) == 0);
}

static void resize_and_signal_work_in_it(void **state) {
    struct host *host = *state;
    begin_with_deed(host, PF_EVENT_STARTED, resize_and_signal, 2);

    assert_true(host_reaches(host, PF_EVENT_STARTED, ANY_TASK, 6));

    assert_int_equal(pf_pool_alive_count(host->pool), 5);
    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2);
    assert_int_equal(board_count(host->board, PF_EVENT_RESIZED, ANY_TASK), 1);
    assert_int_equal(host_stops(host), 0);
}

static void start_the_slot(struct host *host) {
    board_require(host->board, host_replaces(host, 0) == 0);
    board_require(host->board, pf_pool_worker_state(host->pool, 0) == PF_WORKER_STARTING);
}

static int the_first_ends_at_once(struct board *board, int task_id, int run) {
    return task_id == 0 && run == 0 ? 0 : ends_on_term(board, task_id, run);
}

/* Here of a slot whose worker has just ended for good. */
static void restart_works_in_it(void **state) {
    struct host *host = *state;
    host->work = the_first_ends_at_once;
    begin_with_deed(host, PF_EVENT_EXITED, start_the_slot, 2);

    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));

    assert_int_equal(board_count(host->board, PF_EVENT_STARTED, 0), 2);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, NOTE_CALLED, ANY_TASK), 1);
}

static void kill_the_pool(struct host *host) {
    board_require(host->board, pf_pool_kill(host->pool) == 0);
}

static void kill_works_in_it(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    begin_with_deed(host, PF_EVENT_STARTED, kill_the_pool, 4);

    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 4);
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 3, 0)->signal, SIGKILL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_value_is_freed_when_another_takes_its_place),
        host_test(the_same_value_set_twice_is_freed_for_each),
        host_test(values_are_freed_with_the_pool),
        host_test(values_are_freed_with_a_pool_that_runs),
        host_test(values_are_freed_when_the_setter_fails),
        host_test(nothing_is_freed_in_a_worker_or_another_child),
        host_test(in_a_child_only_what_is_refused_is_freed),
        host_test(a_value_that_sets_another_when_it_is_freed_is_freed_once),
        host_test(run_dispatch_and_free_are_refused_in_it),
        host_test(run_within_run_is_refused),
        host_test(getters_work_in_it),
        host_test(resize_and_signal_work_in_it),
        host_test(restart_works_in_it),
        host_test(kill_works_in_it),
    };

    return run_group_with_each_backend("pool callbacks", tests);
}
