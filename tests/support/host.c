/*
 * host.c - a host that drives a pool from its own loop and writes the events on the board
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int backend_under_test = PF_BACKEND_AUTO;

/* How long a turn waits for a pool that has nothing to do, while the test waits for a worker. */
enum { TURN_MS = 2 };

const char *backend_name(void) {
    switch (backend_under_test) {
    case PF_BACKEND_PIDFD:
        return "pidfd";
    case PF_BACKEND_SIGCHLD:
        return "sigchld";
    default:
        return "auto";
    }
}

static int be_worker(int task_id, void *user) {
    struct host *host = user;
    int run = board_note_worker(host->board, task_id);

    if (host->work != NULL) {
        return host->work(host->board, task_id, run);
    }
    wait_for_ever();
    return 0;
}

void host_open(struct host *host, struct board *board) {
    memset(host, 0, sizeof(*host));
    host->board = board;
    host->result = 1;
    board->of_pool = 1;
    board_require(board, pf_pool_new(&host->pool) == 0);
    board_require(board, pf_pool_set_backend(host->pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_worker_fn(host->pool, be_worker, host, NULL) == 0);
}

int host_begin(struct host *host, int workers) {
    int result = pf_pool_set_workers(host->pool, workers);

    return result < 0 ? result : pf_pool_start(host->pool);
}

bool host_turn(struct host *host, int timeout_ms) {
    const pf_event *event = NULL;

    if (host->result == 1) {
        host->result = pf_pool_dispatch(host->pool, timeout_ms);
    }
    while (pf_pool_next_event(host->pool, &event) == 1) {
        board_note_event(host->board, event);
    }
    return host->result == 1;
}

/* What a host waits for. */
struct goal {
    int kind; /* -1: not a record but one of the next two */
    int task_id;
    unsigned count;
    int alive; /* -1: not this */
    int state; /* -1: not this */
};

static bool is_reached(const struct host *host, const struct goal *goal) {
    if (goal->kind >= 0) {
        return board_count(host->board, goal->kind, goal->task_id) >= goal->count;
    }
    if (goal->alive >= 0) {
        return pf_pool_alive_count(host->pool) == goal->alive;
    }
    return pf_pool_worker_state(host->pool, goal->task_id) == goal->state;
}

static bool work_towards(struct host *host, const struct goal *goal) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (!is_reached(host, goal)) {
        if (now_ms() > deadline) {
            return false;
        }
        if (!host_turn(host, TURN_MS)) {
            return is_reached(host, goal);
        }
    }
    return true;
}

bool host_reaches(struct host *host, int kind, int task_id, unsigned count) {
    struct goal goal = {.kind = kind, .task_id = task_id, .count = count};

    return work_towards(host, &goal);
}

bool host_reaches_alive(struct host *host, int count) {
    struct goal goal = {.kind = -1, .alive = count};

    return work_towards(host, &goal);
}

bool host_reaches_state(struct host *host, int task_id, int state) {
    struct goal goal = {.kind = -1, .alive = -1, .task_id = task_id, .state = state};

    return work_towards(host, &goal);
}

void host_goes_on(struct host *host, unsigned milliseconds) {
    uint64_t end = now_ms() + milliseconds;

    while (now_ms() < end && host_turn(host, TURN_MS)) {
    }
}

int host_finishes(struct host *host) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (host_turn(host, 100) && now_ms() < deadline) {
    }
    return host->result;
}

int host_stops(struct host *host) {
    board_require(host->board, pf_pool_stop(host->pool) == 0);
    return host_finishes(host);
}

int host_replaces(struct host *host, int task_id) {
    board_note_task(host->board, KIND_REPLACED, task_id, 0);
    return pf_pool_replace_worker(host->pool, task_id);
}

void host_close(struct host *host) { host->pool = pf_pool_free(host->pool); }

void host_note_event(const pf_event *event, void *board) { board_note_event(board, event); }

pid_t host_pid(const struct host *host, int task_id, unsigned nth) {
    const struct record *started = board_find(host->board, PF_EVENT_STARTED, task_id, nth);

    return started == NULL ? 0 : (pid_t)started->pid;
}

/* ---- Works ----------------------------------------------------------------------------- */

static void exit_normally(int signal) {
    (void)signal;
    _exit(0);
}

int ends_on_term(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, signal(SIGTERM, exit_normally) != SIG_ERR);
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 1;
}

int ignores_term(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, signal(SIGTERM, SIG_IGN) != SIG_ERR);
    board_note(board, NOTE_READY, 0);
    wait_for_ever();
    return 1;
}

int crashes_at_once(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    return 1;
}

int ends_at_once(struct board *board, int task_id, int run) {
    (void)board;
    (void)task_id;
    (void)run;
    return 0;
}

/* ---- Groups and fixtures --------------------------------------------------------------- */

int host_setup(void **state) {
    static struct host host;

    if (scenario_setup(state) != 0) {
        return -1;
    }
    struct scenario *scenario = *state;
    host_open(&host, scenario->board);
    host.scenario = scenario;
    *state = &host;
    /* Should the test process itself be killed, nothing of it is to live on. */
    return host.pool != NULL && pf_pool_set_parent_death_signal(host.pool, SIGKILL) == 0 ? 0 : -1;
}

int host_teardown(void **state) {
    struct host *host = *state;

    host_close(host);
    *state = host->scenario;
    return scenario_teardown(state);
}

bool backend_use(int backend) {
    pf_pool *pool = NULL;

    backend_under_test = backend;
    bool there = pf_pool_new(&pool) == 0 && pf_pool_set_backend(pool, backend) == 0;
    (void)pf_pool_free(pool);
    if (!there) {
        (void)printf("skipped: this system lacks the backend %s\n", backend_name());
    }
    return there;
}

/* Takes out what connects a worker with its supervisor: ends of pipes, close-on-exec, that the host
 * does not have. */
static void leave_out_own_pipes(struct board *board, struct descriptors *own,
                                const struct descriptors *host) {
    int read_ends = 0, write_ends = 0;

    for (char *line = own->text; *line != '\0';) {
        char *end = strchr(line, '\n');
        char text[256];
        int number = -1, flags = -1, inode = -1;
        board_require(board, end != NULL && end - line < (long)sizeof(text) - 2);
        (void)snprintf(text, sizeof(text), "%.*s\n", (int)(end - line), line);
        if (strstr(host->text, text) != NULL) {
            line = end + 1;
            continue;
        }
        board_require(board, sscanf(line, "%d %d pipe:[%d]", &number, &flags, &inode) == 3);
        board_require(board, flags == FD_CLOEXEC);
        bool writes = (fcntl(number, F_GETFL) & O_ACCMODE) == O_WRONLY;
        write_ends += writes ? 1 : 0;
        read_ends += writes ? 0 : 1;
        memmove(line, end + 1, strlen(end + 1) + 1);
    }
    board_require(board, write_ends == 1);
    board_require(board, read_ends == (backend_under_test == PF_BACKEND_SIGCHLD ? 2 : 1));
}

void worker_has_descriptors_of(struct board *board, struct descriptors *own,
                               const struct descriptors *host) {
    leave_out_own_pipes(board, own, host);
    board_require(board, strcmp(own->text, host->text) == 0);
}

int worker_pipe_to_supervisor(void) {
    for (int fd = 3; fd < 1024; fd++) {
        struct stat status;
        if (fcntl(fd, F_GETFD) == FD_CLOEXEC && fstat(fd, &status) == 0 &&
            S_ISFIFO(status.st_mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
            return fd;
        }
    }
    return -1;
}

void worker_waits_for_stop(struct board *board) {
    struct pollfd told = {.fd = pf_worker_stop_fd(), .events = POLLIN};

    board_require(board, told.fd >= 0);
    while (poll(&told, 1, -1) < 0) {
        board_require(board, errno == EINTR);
    }
}
