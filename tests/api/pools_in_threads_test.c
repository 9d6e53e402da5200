/*
 * pools_in_threads_test.c - pools of several threads, and requests that other threads make
 *
 * ThreadSanitizer plays these cases too. It has a thread of its own in each process, so all pools
 * allow threads.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"
#include "story.h"

enum { THREADS = 4, SLOTS = 3, LIVES = 3, CRASHES = 4, REQUESTS = 20 };
enum { GATE_ALL_RUN = 1 };

static struct board *common;

static int crashes_some_times(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    return run % (CRASHES + 1) < CRASHES ? 3 : 0;
}

static void open_beside_threads(struct host *host, struct board *board) {
    host_open(host, board);
    board_require(common, pf_pool_set_thread_policy(host->pool, PF_THREADS_ALLOW) == 0);
    board_require(common, pf_pool_set_max_restarts(host->pool, PF_UNLIMITED) == 0);
}

/* What a board of a pool's own says is told to the test by that of the scenario. */
static void judge(struct board *board) {
    char complaint[256];

    if (!story_is_true(board, complaint, sizeof(complaint))) {
        board_fault(common, __FILE__, __LINE__, complaint);
    }
    board_require(common, board_count(board, KIND_FAULT, ANY_TASK) == 0);
}

static pthread_t threads[THREADS];

static void begin_threads(void *(*body)(void *)) {
    for (int i = 0; i < THREADS; i++) {
        board_require(common, pthread_create(&threads[i], NULL, body, NULL) == 0);
    }
}

static void join_threads(void) {
    for (int i = 0; i < THREADS; i++) {
        board_require(common, pthread_join(threads[i], NULL) == 0);
    }
}

/* ---- A pool in each thread ------------------------------------------------------------- */

/* Pools are made and freed while other threads have theirs, so that what they share is made, used
 * and given up by all of them. */
static void *lives_of_pools(void *nothing) {
    for (int life = 0; life < LIVES; life++) {
        struct board *board = board_new();
        struct host host;
        board_require(common, board != NULL);
        open_beside_threads(&host, board);
        host.work = crashes_some_times;
        board_require(common, host_begin(&host, SLOTS) == 0);
        board_require(common, host_finishes(&host) == 0);
        host_close(&host);
        board_require(common,
                      board_count(board, PF_EVENT_EXITED, ANY_TASK) == SLOTS * (CRASHES + 1));
        judge(board);
        board_free(board);
    }
    return nothing;
}

static int host_with_pools_in_all_threads(struct board *board) {
    common = board;
    begin_threads(lives_of_pools);
    join_threads();
    return 0;
}

static void pools_of_different_threads_are_independent(void **state) {
    scenario_start_host(*state, host_with_pools_in_all_threads);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Requests from other threads ------------------------------------------------------- */

static pf_pool *requested;

/* Threads that ask something of the pool begin once all of its workers run. */
static void begin_beside_threads(struct host *host, struct board *board, void *(*asks)(void *)) {
    common = board;
    open_beside_threads(host, board);
    requested = host->pool;
    begin_threads(asks);
    board_require(board, host_begin(host, SLOTS) == 0);
    board_require(board, host_reaches(host, KIND_WORKER, ANY_TASK, SLOTS));
    gate_open(board, GATE_ALL_RUN);
}

static void *makes_requests(void *nothing) {
    gate_wait(common, GATE_ALL_RUN);
    for (int i = 0; i < REQUESTS; i++) {
        board_require(common, pf_pool_wake(requested) == 0);
        int result = pf_pool_reload(requested);
        board_require(common, result == 0 || result == -EBUSY);
        pause_ms(1);
    }
    board_require(common, pf_pool_stop(requested) == 0);
    return nothing;
}

static int host_that_others_ask(struct board *board) {
    struct host host;

    begin_beside_threads(&host, board, makes_requests);
    board_require(board, host_finishes(&host) == 0);
    join_threads();
    host_close(&host);
    return 0;
}

static void any_thread_wakes_reloads_and_stops_a_pool(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_others_ask);

    assert_exits(run, 0);
    assert_int_equal(board_count(run->board, PF_EVENT_STOPPING, ANY_TASK), 1);
    assert_int_equal(board_count(run->board, PF_EVENT_DONE, ANY_TASK), 1);
}

/* ---- Sockets that one thread binds while another starts a pool ------------------------- */

static void *binds_and_closes(void *nothing) {
    for (int i = 0; i < REQUESTS; i++) {
        int fd = -1;
        board_require(common, pf_bind_sockets("127.0.0.1", 0, AF_INET, 0, 0, &fd, 1) == 1);
        (void)close(fd);
    }
    return nothing;
}

static int host_that_binds_and_starts(struct board *board) {
    pthread_t thread;

    common = board;
    board_require(board, pthread_create(&thread, NULL, binds_and_closes, NULL) == 0);
    for (int i = 0; i < REQUESTS; i++) {
        struct host host;
        open_beside_threads(&host, board);
        board_require(board, pf_pool_set_worker_fn(host.pool, NULL, NULL, NULL) == 0);
        board_require(board, pf_pool_set_exec(host.pool, "/bin/true", NULL, NULL) == 0);
        board_require(board, host_begin(&host, 1) == 0);
        host_close(&host);
    }
    board_require(board, pthread_join(thread, NULL) == 0);
    return 0;
}

static void sockets_are_bound_while_a_pool_starts(void **state) {
    scenario_start_host(*state, host_that_binds_and_starts);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Requests while the host closes descriptors ---------------------------------------- */

static bool has_ended;

static void *wakes_to_the_end(void *nothing) {
    gate_wait(common, GATE_ALL_RUN);
    while (pf_pool_wake(requested) == 0 && !__atomic_load_n(&has_ended, __ATOMIC_RELAXED)) {
    }
    return nothing;
}

static void close_all_from(unsigned first) {
    for (unsigned descriptor = first; descriptor < 256; descriptor++) {
        (void)syscall(SYS_close, descriptor); /* of which ThreadSanitizer knows nothing */
    }
}

static int host_that_closes_all(struct board *board) {
    struct host host;

    begin_beside_threads(&host, board, wakes_to_the_end);
    close_all_from(STDERR_FILENO + 1);
    board_require(board, pf_pool_dispatch(host.pool, -1) == -EBADF);
    __atomic_store_n(&has_ended, true, __ATOMIC_RELAXED);
    join_threads();
    host_close(&host);
    return 0;
}

static void any_thread_wakes_a_pool_whose_descriptors_are_closed(void **state) {
    scenario_start_host(*state, host_that_closes_all);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- Upgrades that fail while other threads use their pools ---------------------------- */

static int ended_threads;

static int waits_to_the_end(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

static void *uses_its_pool(void *nothing) {
    for (int life = 0; life < LIVES; life++) {
        pf_pool *pool = NULL;
        const pf_event *event = NULL;
        board_require(common, pf_pool_new(&pool) == 0);
        board_require(common, pf_pool_set_workers(pool, 1) == 0);
        board_require(common, pf_pool_set_thread_policy(pool, PF_THREADS_ALLOW) == 0);
        board_require(common, pf_pool_set_worker_fn(pool, waits_to_the_end, NULL, NULL) == 0);
        board_require(common, pf_pool_start(pool) == 0);
        for (int turn = 0; turn < REQUESTS; turn++) {
            board_require(common, pf_pool_dispatch(pool, 0) == 1);
            while (pf_pool_next_event(pool, &event) == 1) {
                board_require(common, pf_event_message(event) != NULL);
            }
            board_require(common, pf_pool_resize(pool, 1 + turn % SLOTS) == 0);
            int result = pf_pool_send_signal(pool, -1, 0);
            board_require(common, result == 0);
        }
        board_require(common, pf_pool_free(pool) == NULL);
    }
    (void)__atomic_fetch_add(&ended_threads, 1, __ATOMIC_RELAXED);
    return nothing;
}

static int host_that_upgrades_in_vain(struct board *board) {
    static const char *const arguments[] = {"missing", NULL};

    common = board;
    begin_threads(uses_its_pool);
    while (__atomic_load_n(&ended_threads, __ATOMIC_RELAXED) < THREADS) {
        int result = pf_upgrade("./missing", arguments, NULL);
        board_require(board, result == -ENOENT || result == -EBUSY || result == -EAGAIN);
    }
    join_threads();
    return 0;
}

static void upgrades_that_fail_do_not_disturb_pools_of_other_threads(void **state) {
    scenario_start_host(*state, host_that_upgrades_in_vain);

    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(pools_of_different_threads_are_independent),
        scenario_test(any_thread_wakes_reloads_and_stops_a_pool),
        scenario_test(sockets_are_bound_while_a_pool_starts),
        scenario_test(any_thread_wakes_a_pool_whose_descriptors_are_closed),
        scenario_test(upgrades_that_fail_do_not_disturb_pools_of_other_threads),
    };

    return run_group_with_each_backend("pools in threads", tests);
}
