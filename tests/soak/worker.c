/*
 * worker.c - workers that do all that workers should not do, while the board says so
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { TICK_MS = 20, EATEN_BYTES = 96 << 20 };

static bool in_chaos(const struct board *board) {
    return __atomic_load_n(&board->chaos, __ATOMIC_RELAXED) != 0;
}

static struct entry *enter_register(struct board *board, int pool, int task_id) {
    uint32_t number = __atomic_fetch_add(&board->registered, 1, __ATOMIC_SEQ_CST);
    struct entry *entry = &board->entry[number % REGISTER_SIZE];

    entry->pid = (int32_t)getpid();
    entry->pool = pool;
    entry->task = task_id;
    entry->intent = 0;
    __atomic_store_n(&entry->stamp, number + 1, __ATOMIC_RELEASE);
    return entry;
}

/* Lets the kernel choose this process rather than the supervisor when memory is short. */
static void offer_memory(void) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!write(fd, "1000", 4); /* it is a wish */
        (void)close(fd);             /* the same */
    }
}

/* A status of each kind: normal, usual failures, the largest. */
static int draw_status(struct dice *dice) {
    static const int some[] = {0, 0, 1, 2, 3, 42, 64, 126, 127, 128, 137, 254, 255};

    return some[dice_below(dice, (int)(sizeof(some) / sizeof(some[0])))];
}

static void raise_some(struct dice *dice) {
    static const int some[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGKILL, SIGTERM, SIGPIPE};
    int signal_number = some[dice_below(dice, (int)(sizeof(some) / sizeof(some[0])))];

    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

/* Touches much memory for a moment. */
static void eat(void) {
    char *memory =
        mmap(NULL, EATEN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        return;
    }
    for (size_t at = 0; at < EATEN_BYTES; at += 4096) {
        memory[at] = 1;
    }
    (void)munmap(memory, EATEN_BYTES);
}

/* Waits a tick. Returns whether the worker must stop. */
static bool must_stop(int stop_fd, pid_t supervisor) {
    struct pollfd item = {.fd = stop_fd, .events = POLLIN};

    (void)poll(&item, 1, TICK_MS); /* looked at below */
    return (stop_fd >= 0 && item.revents != 0) || getppid() != supervisor;
}

/* Lets the supervisor do without heartbeats or readiness while the chaos lasts, some longer. */
static void keep_silent(const struct board *board, struct dice *dice, pid_t supervisor) {
    bool for_ever = dice_hit(dice, 2);

    while ((for_ever || in_chaos(board)) && getppid() == supervisor) {
        pause_ms(TICK_MS);
    }
}

/* One tick of a worker in the chaos. Returns an exit status; -1: it goes on. */
static int misbehave(struct board *board, struct dice *dice, pid_t supervisor) {
    switch (dice_below(dice, 1500)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        return draw_status(dice);
    case 6:
    case 7:
        (void)pf_worker_retire(); /* it may fail in a full pipe */
        break;
    case 8:
    case 15:
    case 16:
        keep_silent(board, dice, supervisor);
        break;
    case 9:
    case 10:
        raise_some(dice);
        break;
    case 11:
    case 12:
    case 13:
    case 14:
        if (__atomic_load_n(&board->eaters, __ATOMIC_RELAXED) != 0) {
            eat();
        }
        break;
    default:
        break;
    }
    return -1;
}

/* Works until it must stop or likes to end. Returns its exit status. */
static int work(struct board *board, int pool, pid_t supervisor) {
    struct dice dice = {board->seed ^ ((uint64_t)getpid() << 20) ^ now_ns()};
    bool wild = in_chaos(board);
    int stop_fd = board->plan[pool].stop_fd ? pf_worker_stop_fd() : -1;

    if (wild && dice_hit(&dice, 25)) {
        return draw_status(&dice);
    }
    if (wild && dice_hit(&dice, 12)) {
        (void)signal(SIGTERM, SIG_IGN);
        stop_fd = -1;
    }
    if (wild && dice_hit(&dice, 40)) {
        keep_silent(board, &dice, supervisor);
    } else if (wild) {
        pause_ms((unsigned)dice_below(&dice, 60));
    }
    (void)pf_worker_ready(); /* the supervisor may have ended */
    while (!must_stop(stop_fd, supervisor)) {
        int status = in_chaos(board) ? misbehave(board, &dice, supervisor) : -1;
        if (status >= 0) {
            return status;
        }
        (void)pf_worker_heartbeat(); /* the supervisor may have ended */
    }
    return 0;
}

/* Serves for ever, whatever becomes of the supervisor. */
static void outlive(void) {
    (void)pf_worker_ready();
    (void)prctl(PR_SET_PDEATHSIG, 0); /* cannot fail */
    for (;;) {
        (void)pf_worker_heartbeat(); /* the supervisor may have ended */
        pause_ms(TICK_MS);
    }
}

int worker_work(struct board *board, int pool, int task_id) {
    pid_t supervisor = getppid();
    struct entry *entry = enter_register(board, pool, task_id);

    if (board->plant == PLANT_OUTLIVES && task_id >= 3) {
        outlive();
    }
    offer_memory();
    int status = work(board, pool, supervisor);
    __atomic_store_n(&entry->intent, status + 1, __ATOMIC_RELEASE);
    return status;
}

int worker_main(int pool_number) {
    pf_pool *pool = NULL;
    int task_id = -1;

    if (pf_pool_new(&pool) != 0 || pf_pool_set_name(pool, pool_names[pool_number]) != 0 ||
        pf_pool_run(pool, &task_id) != 0 || task_id < 0) {
        return 99;
    }
    struct board *board = board_map(pf_worker_fd("board"));
    if (board == NULL) {
        return 98;
    }
    int status = worker_work(board, pool_number, task_id);
    pf_pool_free(pool);
    return status;
}
