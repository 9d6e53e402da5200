/*
 * planted.c - faults that the observer must find
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "soak.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TURNS = 5, ONE_IN = 20, LEAKED_BYTES = 20000 };

static unsigned turns;
void *planted_leak; /* the newest */
static unsigned ends;

/* A child that only SIGKILL ends. */
static void start_child(struct board *board, bool works) {
    if (fork() == 0) {
        (void)signal(SIGTERM, SIG_IGN);
        if (works) {
            (void)worker_work(board, 0, 0);
        }
        wait_for_ever();
    }
}

void planted_turn(struct board *board) {
    bool in_chaos = __atomic_load_n(&board->chaos, __ATOMIC_RELAXED) != 0;

    if (in_chaos && board->plant == PLANT_REAPER) {
        (void)waitpid(-1, NULL, WNOHANG); /* takes what it can get */
    }
    if (!in_chaos || ++turns % TURNS != 0) {
        return;
    }
    switch (board->plant) {
    case PLANT_DESCRIPTOR:
        (void)fcntl(LOG_FD, F_DUPFD_CLOEXEC, 0);
        break;
    case PLANT_MEMORY:
        planted_leak = realloc(NULL, LEAKED_BYTES);
        break;
    case PLANT_CHILD:
        start_child(board, false);
        break;
    case PLANT_WORKER:
        start_child(board, true);
        break;
    case PLANT_FILE:
        (void)close(open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        break;
    case PLANT_CRASH:
        (void)raise(SIGSEGV);
        break;
    default:
        break;
    }
}

int planted_event(const struct board *board, int type, int *exit_code) {
    bool early = board->plant == PLANT_EARLY_END;

    if (type == PF_EVENT_EXITED && board->plant == PLANT_WRONG_STATUS && *exit_code >= 0) {
        *exit_code ^= 1;
    }
    if (type != (early ? PF_EVENT_READY : PF_EVENT_EXITED) || ++ends % ONE_IN != 0) {
        return 1;
    }
    if (board->plant == PLANT_LOST_END) {
        return 0;
    }
    return early || board->plant == PLANT_TWO_ENDS ? 2 : 1;
}

uint64_t planted_counter(const struct board *board, uint64_t count) {
    return board->plant == PLANT_COUNTER && ends > 3 * ONE_IN ? count + 1 : count;
}
