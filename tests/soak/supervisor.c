/*
 * supervisor.c - three pools in one event loop, driven by commands
 *
 * The lines of the log, after the time:
 *   N pool generation                       a new pool
 *   E pool generation type level task pid exit-code signal reason restarts-again error
 *   R request pool task value result        a request was made of a pool
 *   S serial pool generation slots alive counter... heap states
 *   D pool generation result counter...     dispatch says that the pool has ended
 *   F pool generation counter...            the pool was freed
 *   H pid exit-code                         a child that is no worker was started
 *   W pid status                            a child was reaped by the host; status -1: it was not
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct slot_of_pool {
    pf_pool *pool; /* NULL: there is none now */
    int generation;
};

static struct board *board;
static struct slot_of_pool pools[POOLS];
static bool ending;

static int be_worker(int task_id, void *user) {
    return worker_work(board, (int)(intptr_t)user, task_id);
}

static int configure(pf_pool *pool, int number) {
    const struct pool_plan *plan = &board->plan[number];
    char name[2] = {(char)('0' + number), '\0'};
    const char *const argv[] = {"soak", "worker", name, NULL};
    int result = 0;

#define set(call) result = result < 0 ? result : (call)
    set(pf_pool_set_name(pool, pool_names[number]));
    set(pf_pool_set_workers(pool, BASE_SLOTS));
    set(pf_pool_set_backend(pool, plan->backend));
    set(pf_pool_set_restart_policy(pool, PF_RESTART_ALWAYS));
    set(pf_pool_set_max_restarts(pool, PF_UNLIMITED));
    set(pf_pool_set_backoff(pool, 5, 60));
    set(pf_pool_set_min_uptime(pool, 50));
    set(pf_pool_set_stop(pool, SIGTERM, 250 * SLOW));
    set(pf_pool_set_ready_timeout(pool, (uint64_t)plan->ready_timeout_ms));
    set(pf_pool_set_heartbeat_timeout(pool, (uint64_t)plan->heartbeat_timeout_ms));
    set(pf_pool_set_lifetime(pool, (uint64_t)plan->lifetime_ms, (uint64_t)plan->lifetime_ms / 2));
    set(pf_pool_set_replace_width(pool, plan->width));
    set(pf_pool_set_reload_order(pool, plan->stop_first));
    set(pf_pool_set_parent_death_signal(pool, plan->death_signal));
    set(pf_pool_set_stop_fd(pool, plan->stop_fd));
    set(pf_pool_set_process_groups(pool, plan->groups));
    set(pf_pool_set_thread_policy(pool, board->thief == THIEF_THREAD ? PF_THREADS_ALLOW
                                                                     : PF_THREADS_REFUSE));
    set(pf_pool_set_signals(pool, plan->signals));
    set(pf_pool_add_fd(pool, "board", BOARD_FD));
    if (plan->exec) {
        set(pf_pool_set_exec(pool, NULL, argv, NULL));
    } else {
        set(pf_pool_set_worker_fn(pool, be_worker, (void *)(intptr_t)number, NULL));
    }
    set(pf_pool_start(pool));
#undef set
    return result;
}

/* Makes a pool where there is none. It may lack descriptors or memory now. */
static void make_pool(int number) {
    struct slot_of_pool *at = &pools[number];

    if (at->pool != NULL || ending) {
        return;
    }
    int result = pf_pool_new(&at->pool);
    if (result == 0) {
        result = configure(at->pool, number);
    }
    if (result < 0) {
        log_line(LOG_FD, "X %d %d %s", number, result, pf_strerror(result));
        at->pool = pf_pool_free(at->pool);
        return;
    }
    at->generation++;
    log_line(LOG_FD, "N %d %d", number, at->generation);
}

static void write_event(int number, const pf_event *event) {
    int exit_code = pf_event_exit_code(event);
    int type = pf_event_type(event);
    int times = planted_event(board, type, &exit_code);

    for (; times > 0; times--) {
        log_line(LOG_FD, "E %d %d %d %d %d %d %d %d %d %d %d", number, pools[number].generation,
                 type, pf_event_level(event), pf_event_task_id(event), (int)pf_event_pid(event),
                 exit_code, pf_event_signal(event), pf_event_reason(event),
                 pf_event_will_restart(event), pf_event_error(event));
        type = board->plant == PLANT_EARLY_END ? PF_EVENT_EXITED : type;
    }
}

static void write_counters(const pf_pool *pool, char *text, size_t size) {
    size_t used = 0;

    for (int which = 1; which <= COUNTERS; which++) {
        int length =
            snprintf(text + used, size - used, " %llu",
                     (unsigned long long)planted_counter(board, pf_pool_counter(pool, which)));
        used += length > 0 ? (size_t)length : 0;
    }
}

static void free_pool(int number) {
    char counters[256];

    write_counters(pools[number].pool, counters, sizeof(counters));
    pools[number].pool = pf_pool_free(pools[number].pool);
    log_line(LOG_FD, "F %d %d%s", number, pools[number].generation, counters);
}

static void write_events(int number) {
    const pf_event *event = NULL;

    while (pf_pool_next_event(pools[number].pool, &event) == 1) {
        write_event(number, event);
    }
}

/* Lets one pool work. */
static void turn(int number) {
    struct slot_of_pool *at = &pools[number];
    char counters[256];

    if (at->pool == NULL) {
        return;
    }
    int result = pf_pool_dispatch(at->pool, 0);
    write_events(number);
    if (result == 1) {
        return;
    }
    write_counters(at->pool, counters, sizeof(counters));
    log_line(LOG_FD, "D %d %d %d%s", number, at->generation, result, counters);
    free_pool(number);
}

/* ---- Commands -------------------------------------------------------------------------- */

/* The bytes that are allocated; 0: unknown. */
static long heap_bytes(void) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    return (long)mallinfo2().uordblks;
#else
    return 0;
#endif
}

static void write_status(uint32_t serial) {
    for (int number = 0; number < POOLS; number++) {
        const pf_pool *pool = pools[number].pool;
        char counters[256] = " 0 0 0 0 0 0 0 0 0 0";
        char states[GROWN_SLOTS + 2] = "-";
        int slots = pool != NULL ? pf_pool_worker_count(pool) : 0;
        for (int task = 0; task < slots && task < GROWN_SLOTS; task++) {
            states[task] = (char)('0' + pf_pool_worker_state(pool, task));
            states[task + 1] = '\0';
        }
        if (pool != NULL) {
            write_events(number); /* requests have some, which are counted already */
            write_counters(pool, counters, sizeof(counters));
        }
        log_line(LOG_FD, "S %u %d %d %d %d%s %ld %s", serial, number, pools[number].generation,
                 slots, pool != NULL ? pf_pool_alive_count(pool) : 0, counters, heap_bytes(),
                 states);
    }
}

static void make_normal(void) {
    for (int number = 0; number < POOLS; number++) {
        make_pool(number);
        pf_pool *pool = pools[number].pool;
        if (pool == NULL) {
            continue;
        }
        if (pf_pool_worker_count(pool) != BASE_SLOTS) {
            (void)pf_pool_resize(pool, BASE_SLOTS); /* it may be stopping */
        }
        for (int task = 0; task < BASE_SLOTS; task++) {
            int state = pf_pool_worker_state(pool, task);
            if (board->plant == PLANT_EMPTY_SLOT && task == 3) {
                (void)pf_pool_stop_worker(pool, task); /* it may be stopped already */
                continue;
            }
            if (state == PF_WORKER_EMPTY || state == PF_WORKER_DONE) {
                (void)pf_pool_replace_worker(pool, task); /* it may be requested already */
            }
        }
    }
}

/* Makes a request of one pool. */
static int ask(pf_pool *pool, const struct command *command) {
    switch (command->request) {
    case ASK_RESIZE:
        return pf_pool_resize(pool, command->value);
    case ASK_RELOAD:
        return pf_pool_reload(pool);
    case ASK_REPLACE:
        return pf_pool_replace_worker(pool, command->task);
    case ASK_STOP_WORKER:
        return pf_pool_stop_worker(pool, command->task);
    case ASK_SEND_SIGNAL:
        return pf_pool_send_signal(pool, command->task, command->value);
    case ASK_SIGNAL:
        return pf_pool_handle_signal(pool, command->value);
    case ASK_STOP:
        return pf_pool_stop(pool);
    case ASK_KILL:
        return pf_pool_kill(pool);
    default:
        return 0;
    }
}

static void obey(const struct command *command) {
    switch (command->request) {
    case ASK_NORMAL:
        make_normal();
        return;
    case ASK_STATUS:
        write_status(command->serial);
        return;
    case ASK_FOREIGN:
        children_start(command->value);
        return;
    case ASK_END:
        ending = true;
        if (board->plant == PLANT_LEFT && fork() == 0) {
            wait_for_ever();
        }
        return;
    default:
        break;
    }
    pf_pool *pool = pools[command->pool].pool;
    if (pool == NULL) {
        return;
    }
    int result = ask(pool, command);
    log_line(LOG_FD, "R %d %d %d %d %d", command->request, command->pool, command->task,
             command->value, result);
    if (command->request == ASK_FREE) {
        free_pool(command->pool);
    }
}

static bool has_pools(void) {
    return pools[0].pool != NULL || pools[1].pool != NULL || pools[2].pool != NULL;
}

int supervisor_main(void) {
    struct pollfd items[POOLS + 1];
    struct command command;

    for (int fd = BOARD_FD; fd <= LOG_FD; fd++) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* cannot fail: they are open */
    }
    board = board_map(BOARD_FD);
    if (board == NULL) {
        return 97;
    }
    for (int number = 0; number < POOLS; number++) {
        make_pool(number);
    }
    children_open(board->thief);
    while (!ending || has_pools()) {
        bool waits = children_reap();
        for (int number = 0; number < POOLS; number++) {
            items[number].fd = pools[number].pool != NULL ? pf_pool_fd(pools[number].pool) : -1;
            items[number].events = POLLIN;
        }
        items[POOLS] = (struct pollfd){.fd = COMMAND_FD, .events = POLLIN};
        planted_turn(board);
        (void)poll(items, POOLS + 1, waits ? 10 : 1000); /* all is looked at */
        while (read(COMMAND_FD, &command, sizeof(command)) == (ssize_t)sizeof(command)) {
            obey(&command);
        }
        for (int number = 0; number < POOLS; number++) {
            turn(number);
        }
    }
    children_finish();
    return 0;
}
