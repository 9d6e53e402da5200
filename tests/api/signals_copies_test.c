/*
 * signals_copies_test.c - pools of two copies of the library in one process, and its signals
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

enum { NOTE_WORKS = KIND_NOTE, NOTE_CHILD, COPIES = 2 };

/* What a test calls of a copy. */
struct copy {
    int (*new)(pf_pool **pool);
    int (*set_workers)(pf_pool *pool, int count);
    int (*set_worker_fn)(pf_pool *pool, int (*fn)(int, void *), void *user, void (*free)(void *));
    int (*set_signals)(pf_pool *pool, int set);
    int (*set_backend)(pf_pool *pool, int backend);
    int (*start)(pf_pool *pool);
    int (*dispatch)(pf_pool *pool, int timeout_ms);
    int (*next_event)(pf_pool *pool, const pf_event **event);
    int (*stop_signal)(const pf_pool *pool);
    pf_pool *(*free)(pf_pool *pool);
};

static struct copy copies[COPIES];
static pf_pool *pools[COPIES];

/* ISO C has no cast from a data pointer to a function pointer. */
static void find(struct board *board, void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);

    board_require(board, symbol != NULL);
    memcpy(function, &symbol, sizeof(symbol));
}

static void open_copy(struct board *board, struct copy *copy, const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    board_require(board, library != NULL);
    find(board, library, "pf_pool_new", &copy->new);
    find(board, library, "pf_pool_set_workers", &copy->set_workers);
    find(board, library, "pf_pool_set_worker_fn", &copy->set_worker_fn);
    find(board, library, "pf_pool_set_signals", &copy->set_signals);
    find(board, library, "pf_pool_set_backend", &copy->set_backend);
    find(board, library, "pf_pool_start", &copy->start);
    find(board, library, "pf_pool_dispatch", &copy->dispatch);
    find(board, library, "pf_pool_next_event", &copy->next_event);
    find(board, library, "pf_pool_stop_signal", &copy->stop_signal);
    find(board, library, "pf_pool_free", &copy->free);
}

static void open_copies(struct board *board) {
    char library[4200];

    (void)snprintf(library, sizeof(library), "%s/libprefork.so", library_directory());
    if (access("copy.so", F_OK) != 0) {
        copy_program(library, "copy.so");
    }
    open_copy(board, &copies[0], library);
    open_copy(board, &copies[1], "./copy.so");
    board_require(board, copies[0].new != copies[1].new);
}

/* A worker starts with what the host had, whichever handlers there are. */
static int works(int task_id, void *board) {
    struct sigaction action;

    (void)task_id;
    board_require(board, sigaction(SIGTERM, NULL, &action) == 0);
    board_require(board, action.sa_handler == SIG_DFL);
    board_note(board, NOTE_WORKS, 0);
    wait_for_ever();
    return 0;
}

/* Returns what the dispatch returned. */
static int turn(int copy, int timeout_ms) {
    const pf_event *event = NULL;
    int result = copies[copy].dispatch(pools[copy], timeout_ms);

    while (copies[copy].next_event(pools[copy], &event) == 1) {
    }
    return result;
}

static void begin(struct board *board, int copy, int backend) {
    unsigned before = board_count(board, NOTE_WORKS, ANY_TASK);

    board_require(board, copies[copy].new(&pools[copy]) == 0);
    board_require(board, copies[copy].set_workers(pools[copy], 1) == 0);
    board_require(board, copies[copy].set_worker_fn(pools[copy], works, board, NULL) == 0);
    board_require(board, copies[copy].set_signals(pools[copy], PF_SIGNALS_STANDARD) == 0);
    board_require(board, copies[copy].set_backend(pools[copy], backend) == 0);
    board_require(board, copies[copy].start(pools[copy]) == 0);
    while (board_count(board, NOTE_WORKS, ANY_TASK) == before &&
           board_count(board, KIND_FAULT, ANY_TASK) == 0) {
        board_require(board, turn(copy, 10) == 1);
    }
}

static void end(int copy) { pools[copy] = copies[copy].free(pools[copy]); }

static void is_stopped_by_term(struct board *board, int copy) {
    uint64_t deadline = now_ms() + PATIENCE_MS;
    int result = 1;

    while (result == 1 && now_ms() < deadline) {
        result = turn(copy, 100);
    }
    board_require(board, result == 0);
    board_require(board, copies[copy].stop_signal(pools[copy]) == SIGTERM);
}

/* ---- Signals of pools ---------------------------------------------------------------------- */

static int first; /* the copy whose pool begins first */

static int host_with_two(struct board *board) {
    open_copies(board);
    begin(board, first, PF_BACKEND_AUTO);
    begin(board, 1 - first, PF_BACKEND_AUTO);
    board_require(board, kill(getpid(), SIGTERM) == 0);
    is_stopped_by_term(board, 0);
    is_stopped_by_term(board, 1);
    end(0);
    end(1);
    return 0;
}

static void one_signal_stops_the_pools_of_all_copies(void **state) {
    for (first = 0; first < COPIES; first++) {
        scenario_start_host(*state, host_with_two);
        assert_exits((struct scenario *)*state, 0);
    }
}

static int first_to_end;

/* The one that is left has the signals; when it is gone too, they are as they were. */
static int host_whose_pools_end(struct board *board) {
    open_copies(board);
    begin(board, 0, PF_BACKEND_AUTO);
    begin(board, 1, PF_BACKEND_AUTO);
    end(first_to_end);
    board_require(board, kill(getpid(), SIGTERM) == 0);
    is_stopped_by_term(board, 1 - first_to_end);
    end(1 - first_to_end);
    board_note(board, NOTE_CHILD, 0);
    (void)kill(getpid(), SIGTERM);
    return 1;
}

static void pools_of_copies_end_in_any_order(void **state) {
    struct scenario *run = *state;

    for (first_to_end = 0; first_to_end < COPIES; first_to_end++) {
        scenario_start_host(run, host_whose_pools_end);
        assert_dies_of(run, SIGTERM);
        assert_int_equal(board_count(run->board, NOTE_CHILD, ANY_TASK), 1 + first_to_end);
    }
}

static int host_that_begins_anew(struct board *board) {
    struct sigaction action;

    open_copies(board);
    begin(board, 0, PF_BACKEND_AUTO);
    begin(board, 1, PF_BACKEND_AUTO);
    for (int i = 0; i < 3; i++) {
        end(i % 2);
        begin(board, i % 2, PF_BACKEND_AUTO);
    }
    board_require(board, kill(getpid(), SIGTERM) == 0);
    is_stopped_by_term(board, 0);
    is_stopped_by_term(board, 1);
    end(1);
    end(0);
    /* The next signal of each kind finds out what is left, if anything. */
    board_require(board, sigaction(SIGWINCH, NULL, &action) == 0);
    board_require(board, raise(SIGWINCH) == 0);
    board_require(board, sigaction(SIGWINCH, NULL, &action) == 0);
    board_require(board, action.sa_handler == SIG_DFL);
    return 0;
}

static void a_copy_may_begin_anew_beside_another(void **state) {
    scenario_start_host(*state, host_that_begins_anew);

    assert_exits((struct scenario *)*state, 0);
}

/* ---- SIGCHLD --------------------------------------------------------------------------------- */

static struct board *handler_board;

static void note_child(int signal) { board_note(handler_board, NOTE_CHILD, signal); }

static int host_with_two_handlers(struct board *board) {
    struct sigaction action;

    handler_board = board;
    board_require(board, signal(SIGCHLD, note_child) != SIG_ERR);
    open_copies(board);
    begin(board, 0, PF_BACKEND_SIGCHLD);
    begin(board, 1, PF_BACKEND_SIGCHLD);
    unsigned before = board_count(board, NOTE_CHILD, ANY_TASK);
    board_require(board, raise(SIGCHLD) == 0);
    board_require(board, board_count(board, NOTE_CHILD, ANY_TASK) == before + 1);
    end(first_to_end);
    end(1 - first_to_end);
    before = board_count(board, NOTE_CHILD, ANY_TASK);
    board_require(board, raise(SIGCHLD) == 0);
    board_require(board, raise(SIGCHLD) == 0);
    board_require(board, board_count(board, NOTE_CHILD, ANY_TASK) == before + 2);
    board_require(board, sigaction(SIGCHLD, NULL, &action) == 0);
    board_require(board, action.sa_handler == note_child);
    return 0;
}

static void the_hosts_handler_of_sigchld_is_called_once_and_stays(void **state) {
    for (first_to_end = 0; first_to_end < COPIES; first_to_end++) {
        scenario_start_host(*state, host_with_two_handlers);
        assert_exits((struct scenario *)*state, 0);
    }
}

/* Each pool looks whether its handler is still there. */
static void look_and_raise(struct board *board) {
    for (int i = 0; i < 3; i++) {
        unsigned before = board_count(board, NOTE_CHILD, ANY_TASK);
        board_require(board, raise(SIGCHLD) == 0);
        board_require(board, board_count(board, NOTE_CHILD, ANY_TASK) == before + 1);
        for (int copy = 0; copy < COPIES; copy++) {
            board_require(board, pools[copy] == NULL || turn(copy, 0) == 1);
        }
    }
}

static int host_with_two_that_look(struct board *board) {
    handler_board = board;
    board_require(board, signal(SIGCHLD, note_child) != SIG_ERR);
    open_copies(board);
    begin(board, 0, PF_BACKEND_SIGCHLD);
    begin(board, 1, PF_BACKEND_SIGCHLD);
    look_and_raise(board);
    board_require(board, signal(SIGCHLD, note_child) != SIG_ERR);
    look_and_raise(board);
    end(first_to_end);
    look_and_raise(board);
    end(1 - first_to_end);
    look_and_raise(board);
    return 0;
}

static void it_is_called_once_however_often_the_pools_look(void **state) {
    for (first_to_end = 0; first_to_end < COPIES; first_to_end++) {
        scenario_start_host(*state, host_with_two_that_look);
        assert_exits((struct scenario *)*state, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(one_signal_stops_the_pools_of_all_copies),
        executed_scenario_test(pools_of_copies_end_in_any_order),
        executed_scenario_test(a_copy_may_begin_anew_beside_another),
        executed_scenario_test(the_hosts_handler_of_sigchld_is_called_once_and_stays),
        executed_scenario_test(it_is_called_once_however_often_the_pools_look),
    };

    return cmocka_run_group_tests_name("signals and copies", tests, NULL, NULL);
}
