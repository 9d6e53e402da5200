/*
 * pool_kills_test.c - thousands of workers killed, each told once with what killed it
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { WORKERS = 100, KILLS = SANITIZED ? 1000 : 10000, NOTE_COUNTED = KIND_NOTE };

/* Those that end a process that does nothing about them. */
static const int deadly[] = {SIGHUP,  SIGINT,    SIGQUIT, SIGILL,  SIGTRAP, SIGABRT,
                             SIGBUS,  SIGFPE,    SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2,
                             SIGPIPE, SIGALRM,   SIGTERM, SIGXCPU, SIGXFSZ, SIGVTALRM,
                             SIGPROF, SIGSTKFLT, SIGIO,   SIGPWR,  SIGSYS};
enum { DEADLY = sizeof(deadly) / sizeof(deadly[0]) };

/* The test's numbers; the same seed gives the same signals. */
static uint64_t seed;

static uint64_t draw(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* What is known of the workers, from the events alone. */
struct slot {
    int32_t pid;  /* 0: none */
    int expected; /* the signal that was sent to it; 0: none */
};

struct count {
    struct slot slots[WORKERS];
    unsigned sent;
    unsigned told;
    unsigned started;
    int next_signal; /* goes through all, so that each comes */
};

static void take_event(struct board *board, struct count *count, const pf_event *event) {
    int task_id = pf_event_task_id(event);

    if (pf_event_type(event) == PF_EVENT_STARTED) {
        board_require(board, count->slots[task_id].pid == 0);
        count->slots[task_id] = (struct slot){.pid = pf_event_pid(event)};
        count->started++;
    } else if (pf_event_type(event) == PF_EVENT_EXITED) {
        board_require(board, count->slots[task_id].pid == pf_event_pid(event));
        board_require(board, count->slots[task_id].expected == pf_event_signal(event));
        board_require(board, pf_event_exit_code(event) == -1);
        board_require(board, pf_event_will_restart(event) == 1);
        count->slots[task_id].pid = 0;
        count->told++;
    } else {
        board_require(board, pf_event_type(event) == PF_EVENT_STARTING);
    }
}

/* A worker that was drawn gets the next signal, unless it has one already. */
static void kill_one(struct board *board, struct count *count) {
    struct slot *slot = &count->slots[draw() % WORKERS];

    if (slot->pid == 0 || slot->expected != 0) {
        return;
    }
    slot->expected = deadly[count->next_signal++ % DEADLY];
    board_require(board, kill(slot->pid, slot->expected) == 0);
    count->sent++;
}

static int do_nothing(int task_id, void *user) {
    (void)task_id;
    (void)user;
    wait_for_ever();
    return 0;
}

static int host_of_kills(struct board *board) {
    static struct count count;
    struct rlimit no_core = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    const pf_event *event = NULL;
    pf_pool *pool = NULL;
    int result = 0;

    (void)setrlimit(RLIMIT_CORE, &no_core); /* with dumps it only takes longer */
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_backend(pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(pool, WORKERS) == 0);
    board_require(board, pf_pool_set_max_restarts(pool, PF_UNLIMITED) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, do_nothing, NULL, NULL) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    while (count.told < KILLS) {
        /* Some at a time, so that many end together, and others meanwhile. */
        for (uint64_t some = draw() % 8; some > 0 && count.sent < KILLS; some--) {
            kill_one(board, &count);
        }
        result = pf_pool_dispatch(pool, count.sent == count.told ? 0 : 100);
        board_require(board, result == 1);
        while (pf_pool_next_event(pool, &event) == 1) {
            take_event(board, &count, event);
        }
    }
    while (count.started < WORKERS + KILLS) {
        (void)pf_pool_dispatch(pool, 100);
        while (pf_pool_next_event(pool, &event) == 1) {
            take_event(board, &count, event);
        }
    }
    board_require(board, pf_pool_alive_count(pool) == WORKERS);
    board_require(board, pf_pool_next_event(pool, &event) == 0);
    board_note(board, NOTE_COUNTED, count.told);
    (void)pf_pool_free(pool);
    return 0;
}

static void each_is_reported_once_with_its_signal(void **state) {
    struct scenario *run = *state;
    const char *wanted = getenv("SEED");
    seed = wanted != NULL ? strtoull(wanted, NULL, 10) : now_ns() | 1;
    print_message("SEED=%" PRIu64 "\n", seed);

    scenario_start_host(run, host_of_kills);

    assert_exits(run, 0);
    assert_int_equal(board_find(run->board, NOTE_COUNTED, ANY_TASK, 0)->value, KILLS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(each_is_reported_once_with_its_signal),
    };

    return run_group_with_each_backend("pool kills", tests);
}
