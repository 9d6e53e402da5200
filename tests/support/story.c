/*
 * story.c - what must hold for the events of every pool, whatever happened to it
 *
 * SPDX-License-Identifier: MIT
 */
#include "story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEVEL_ERROR = 3, LEVEL_WARNING = 4, LEVEL_INFORMATION = 6 };

/* Where the story stands. */
struct story {
    bool running;  /* between STARTING and DONE */
    bool stopping; /* the workers have been asked to end */
    bool finished; /* the last pool came to its DONE */
    int32_t author;
    uint64_t time_ns;
    int32_t living[BOARD_TASKS_MAX]; /* the pid of each slot's worker; 0: none */
};

/* A check that says what it checked. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return #condition;                                                                     \
        }                                                                                          \
    } while (0)

/* The line for an end, to the letter. */
static void end_message(const struct record *end, char *text, size_t size) {
    const char *tail = end->will_restart != 0 ? ", restarting" : "";

    if (end->exit_code == 0) {
        (void)snprintf(text, size, "child %d (pid %d) exited normally", end->task_id, end->pid);
    } else if (end->exit_code > 0) {
        (void)snprintf(text, size, "child %d (pid %d) exited with status %d%s", end->task_id,
                       end->pid, end->exit_code, tail);
    } else if (end->signal > 0) {
        (void)snprintf(text, size, "child %d (pid %d) killed by signal %d%s", end->task_id,
                       end->pid, end->signal, tail);
    } else {
        (void)snprintf(text, size, "child %d (pid %d) ended with unknown status%s", end->task_id,
                       end->pid, tail);
    }
}

static const char *check_starting(struct story *story, const struct record *record) {
    int count = 0;

    if (story->author != record->author) {
        /* The one before was killed in the middle; what became of its workers is not told. */
        memset(story->living, 0, sizeof(story->living));
        story->running = false;
    }
    EXPECT(!story->running);
    story->author = record->author;
    story->running = true;
    story->stopping = false;
    story->finished = false;
    EXPECT(record->task_id == -1 && record->pid == 0);
    EXPECT(record->level == LEVEL_INFORMATION);
    EXPECT(sscanf(record->message, "Starting %d processes", &count) == 1 && count >= 1);
    return NULL;
}

static const char *check_started(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];

    EXPECT(record->pid > 0);
    EXPECT(story->living[record->task_id] == 0);
    story->living[record->task_id] = record->pid;
    EXPECT(record->level == LEVEL_INFORMATION);
    (void)snprintf(expected, sizeof(expected), "child %d (pid %d) started", record->task_id,
                   record->pid);
    EXPECT(strcmp(record->message, expected) == 0);
    return NULL;
}

static const char *check_exited(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];
    bool normal = record->exit_code == 0;

    EXPECT(record->pid > 0 && story->living[record->task_id] == record->pid);
    story->living[record->task_id] = 0;
    EXPECT(record->exit_code == -1 || record->signal == 0);
    EXPECT(!normal || record->will_restart == 0);
    EXPECT(!story->stopping || record->will_restart == 0);
    EXPECT(record->level == (normal || story->stopping ? LEVEL_INFORMATION : LEVEL_WARNING));
    end_message(record, expected, sizeof(expected));
    EXPECT(strcmp(record->message, expected) == 0);
    return NULL;
}

static const char *check_start_failed(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];

    EXPECT(record->pid == 0 && story->living[record->task_id] == 0);
    EXPECT(record->level == LEVEL_ERROR);
    EXPECT(record->error < 0);
    int length = snprintf(expected, sizeof(expected), "child %d could not be started: %s",
                          record->task_id, pf_strerror(record->error));
    if (record->will_restart != 0) {
        (void)snprintf(expected + length, sizeof(expected) - (size_t)length,
                       ", trying again in %d ms", (int)record->delay_ms);
    }
    EXPECT(strcmp(record->message, expected) == 0);
    return NULL;
}

static const char *check_stopping(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];
    int count = 0;

    story->stopping = true;
    EXPECT(record->task_id == -1 && record->level == LEVEL_INFORMATION);
    EXPECT(sscanf(record->message, "Stopping %d processes", &count) == 1);
    if (record->signal > 0) {
        (void)snprintf(expected, sizeof(expected), "Stopping %d processes on signal %d", count,
                       record->signal);
    } else {
        (void)snprintf(expected, sizeof(expected), "Stopping %d processes", count);
    }
    EXPECT(strcmp(record->message, expected) == 0);
    return NULL;
}

static const char *check_killed(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];

    EXPECT(story->stopping && story->living[record->task_id] == record->pid);
    EXPECT(record->level == LEVEL_ERROR || record->level == LEVEL_WARNING);
    (void)snprintf(expected, sizeof(expected),
                   "child %d (pid %d) did not stop within 10000 ms, killed", record->task_id,
                   record->pid);
    EXPECT(strcmp(record->message, expected) == 0);
    return NULL;
}

static const char *check_gave_up(const struct record *record) {
    EXPECT(record->level == LEVEL_ERROR);
    EXPECT(strcmp(record->message, "Too many child restarts, giving up") == 0);
    return NULL;
}

static const char *check_done(struct story *story, const struct record *record) {
    story->running = false;
    story->finished = true;
    EXPECT(record->task_id == -1);
    EXPECT(record->error != 0 || record->level == LEVEL_INFORMATION);
    EXPECT(strcmp(record->message, "All processes have ended") == 0);
    for (int i = 0; i < BOARD_TASKS_MAX; i++) {
        EXPECT(story->living[i] == 0);
    }
    return NULL;
}

/* Returns what is wrong with the next event; NULL: nothing. */
static const char *check_event(struct story *story, const struct record *record) {
    EXPECT(record->task_id >= -1 && record->task_id < BOARD_TASKS_MAX);
    EXPECT(record->kind == PF_EVENT_STARTING || story->author == record->author);
    EXPECT(record->time_ns >= story->time_ns);
    story->time_ns = record->time_ns;
    EXPECT(story->running || record->kind == PF_EVENT_STARTING);
    switch (record->kind) {
    case PF_EVENT_STARTING:
        return check_starting(story, record);
    case PF_EVENT_STARTED:
        EXPECT(record->task_id >= 0);
        return check_started(story, record);
    case PF_EVENT_EXITED:
        EXPECT(record->task_id >= 0);
        return check_exited(story, record);
    case PF_EVENT_START_FAILED:
        EXPECT(record->task_id >= 0);
        return check_start_failed(story, record);
    case PF_EVENT_KILLED:
        EXPECT(record->task_id >= 0);
        return check_killed(story, record);
    case PF_EVENT_STOPPING:
        return check_stopping(story, record);
    case PF_EVENT_GAVE_UP:
        return check_gave_up(record);
    case PF_EVENT_DONE:
        return check_done(story, record);
    default:
        return "an event of a type that is not expected";
    }
}

/* Every process that calls itself a worker was told of as started, in its slot. */
static const char *check_workers(const struct board *board) {
    const struct record *worker = NULL;

    for (unsigned i = 0; (worker = board_find(board, KIND_WORKER, ANY_TASK, i)) != NULL; i++) {
        const struct record *started = board_find_pid(board, PF_EVENT_STARTED, worker->author);
        EXPECT(started != NULL);
        EXPECT(started->task_id == worker->task_id);
    }
    return NULL;
}

bool story_is_true(const struct board *board, char *complaint, size_t size) {
    struct story *story = calloc(1, sizeof(*story));
    const char *wrong = story == NULL ? "no memory" : NULL;
    uint32_t i = 0;

    for (; wrong == NULL && i < board->used && i < BOARD_RECORDS_MAX; i++) {
        const struct record *record = &board->records[i];
        if (record->ready != 0 && record->kind < KIND_WORKER) {
            wrong = check_event(story, record);
        }
    }
    if (wrong == NULL && story->finished) {
        wrong = check_workers(board);
    }
    if (wrong != NULL) {
        (void)snprintf(complaint, size, "record %u: not so: %s", (unsigned)i, wrong);
    }
    free(story);
    return wrong == NULL;
}
