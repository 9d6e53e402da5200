/*
 * board.c - shared memory on which all processes of a test write down what they saw
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "board.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process.h"

struct board *board_new(void) {
    void *memory =
        mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void board_free(struct board *board) {
    if (board != NULL) {
        (void)munmap(board, sizeof(*board)); /* nothing to do about a failure */
    }
}

/* Takes the next free record; the writer fills it and then publishes it. */
static struct record *take(struct board *board, int kind, int task_id) {
    uint32_t index = __atomic_fetch_add(&board->used, 1, __ATOMIC_RELAXED);

    if (index >= BOARD_RECORDS_MAX) {
        _exit(98); /* A test that writes more than this has gone wild. */
    }
    struct record *record = &board->records[index];
    record->kind = kind;
    record->task_id = task_id;
    record->pid = (int32_t)getpid();
    record->author = (int32_t)getpid();
    record->time_ns = now_ns();
    return record;
}

static void publish(struct record *record) {
    __atomic_store_n(&record->ready, 1, __ATOMIC_RELEASE);
}

void board_note_task(struct board *board, int kind, int task_id, int64_t value) {
    struct record *record = take(board, kind, task_id);

    record->value = value;
    publish(record);
}

void board_note(struct board *board, int kind, int64_t value) {
    board_note_task(board, kind, pf_task_id(), value);
}

void board_note_event(struct board *board, const pf_event *event) {
    struct record *record = take(board, pf_event_type(event), pf_event_task_id(event));

    record->pid = pf_event_pid(event);
    record->level = pf_event_level(event);
    record->exit_code = pf_event_exit_code(event);
    record->signal = pf_event_signal(event);
    record->core_dumped = pf_event_core_dumped(event);
    record->will_restart = pf_event_will_restart(event);
    record->error = pf_event_error(event);
    record->restarts = pf_event_restarts(event);
    record->delay_ms = pf_event_delay_ms(event);
    record->uptime_ms = pf_event_uptime_ms(event);
    record->time_ns = pf_event_time_ns(event);
    record->user_us = pf_event_user_us(event);
    record->system_us = pf_event_system_us(event);
    record->worker_count = pf_event_worker_count(event);
    record->reason = pf_event_reason(event);
    record->max_rss_kib = pf_event_max_rss_kib(event);
    (void)snprintf(record->message, sizeof(record->message), "%s", pf_event_message(event));
    publish(record);
}

int board_note_worker(struct board *board, int task_id) {
    if (task_id < 0 || task_id >= BOARD_TASKS_MAX) {
        board_fault(board, __FILE__, __LINE__, "a task id out of range");
        _exit(97);
    }
    uint32_t run = __atomic_fetch_add(&board->runs[task_id], 1, __ATOMIC_RELAXED);
    board_note_task(board, KIND_WORKER, task_id, (int64_t)run);
    return (int)run;
}

void board_fault(struct board *board, const char *where, int line, const char *what) {
    struct record *record = take(board, KIND_FAULT, pf_task_id());

    (void)snprintf(record->message, sizeof(record->message), "%s:%d: %s", where, line, what);
    publish(record);
}

/* The next record at or after *index that was published; NULL: no more. */
static const struct record *next(const struct board *board, uint32_t *index) {
    uint32_t used = __atomic_load_n(&board->used, __ATOMIC_ACQUIRE);

    while (*index < used && *index < BOARD_RECORDS_MAX) {
        const struct record *record = &board->records[(*index)++];
        if (__atomic_load_n(&record->ready, __ATOMIC_ACQUIRE) != 0) {
            return record;
        }
    }
    return NULL;
}

static bool matches(const struct record *record, int kind, int task_id) {
    return record->kind == kind && (task_id == ANY_TASK || record->task_id == task_id);
}

unsigned board_count(const struct board *board, int kind, int task_id) {
    unsigned count = 0;
    uint32_t index = 0;

    for (const struct record *record; (record = next(board, &index)) != NULL;) {
        count += matches(record, kind, task_id) ? 1 : 0;
    }
    return count;
}

const struct record *board_find(const struct board *board, int kind, int task_id, unsigned nth) {
    uint32_t index = 0;

    for (const struct record *record; (record = next(board, &index)) != NULL;) {
        if (matches(record, kind, task_id) && nth-- == 0) {
            return record;
        }
    }
    return NULL;
}

const struct record *board_find_pid(const struct board *board, int kind, int32_t pid) {
    uint32_t index = 0;

    for (const struct record *record; (record = next(board, &index)) != NULL;) {
        if (record->kind == kind && record->pid == pid) {
            return record;
        }
    }
    return NULL;
}

bool board_reaches(const struct board *board, int kind, int task_id, unsigned count) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (board_count(board, kind, task_id) < count) {
        if (now_ms() > deadline) {
            return false;
        }
        pause_ms(1);
    }
    return true;
}

void board_print(const struct board *board) {
    uint32_t index = 0;
    unsigned lines = 0;

    for (const struct record *record; (record = next(board, &index)) != NULL && lines < 100;) {
        (void)fprintf(stderr, "  board: kind %d task %d pid %d by %d value %lld %s\n", record->kind,
                      record->task_id, (int)record->pid, (int)record->author,
                      (long long)record->value, record->message);
        lines++;
    }
}

void gate_open(struct board *board, int gate) {
    __atomic_store_n(&board->gates[gate], 1, __ATOMIC_RELEASE);
}

void gate_wait(const struct board *board, int gate) {
    while (__atomic_load_n(&board->gates[gate], __ATOMIC_ACQUIRE) == 0) {
        pause_ms(1);
    }
}
