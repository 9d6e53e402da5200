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
    int done_status;
    bool of_pool;  /* its host can resize it, replace workers and choose the settings */
    bool running;  /* between STARTING and DONE */
    bool stopping; /* the workers have been asked to end */
    bool finished; /* the last pool came to its DONE */
    int32_t author;
    uint64_t time_ns;
    int slots_least; /* the fewest that there have been */
    enum { NO, YES, PERHAPS } reloading;
    bool replaced[BOARD_TASKS_MAX];     /* the slot may have a second worker */
    int32_t living[BOARD_TASKS_MAX][2]; /* the pids of each slot's workers; 0: none */
    int32_t ready[BOARD_TASKS_MAX];     /* the pid of the last worker that was ready */
    int32_t sick[BOARD_TASKS_MAX];      /* the pid of the last one that did not respond */
};

/* A check that says what it checked. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return #condition;                                                                     \
        }                                                                                          \
    } while (0)

/* Takes a worker's pid in or out of its slot. Returns false if it has no place there. */
static bool change_living(struct story *story, int task_id, int32_t from, int32_t to) {
    for (int instance = 0; instance < (story->replaced[task_id] ? 2 : 1); instance++) {
        if (story->living[task_id][instance] == from) {
            story->living[task_id][instance] = to;
            return true;
        }
    }
    return false;
}

static bool is_living(const struct story *story, int task_id, int32_t pid) {
    return story->living[task_id][0] == pid || story->living[task_id][1] == pid;
}

/* Whether the library may have asked the slot's workers to end. */
static bool may_be_asked(const struct story *story, int task_id) {
    return story->stopping || story->replaced[task_id] || task_id >= story->slots_least;
}

static void may_replace(struct story *story, int task_id) {
    for (int i = 0; i < BOARD_TASKS_MAX; i++) {
        story->replaced[i] = story->replaced[i] || task_id == ANY_TASK || i == task_id;
    }
}

/* The line for an end, to the letter. */
static void end_message(const struct record *end, char *text, size_t size) {
    char tail[64] = "";

    const char *format = end->delay_ms > 0 ? ", restarting in %d ms" : ", restarting";
    if (end->will_restart != 0) {
        (void)snprintf(tail, sizeof(tail), format, (int)end->delay_ms);
    }
    if (end->exit_code == 0) {
        (void)snprintf(text, size, "child %d (pid %d) exited normally%s", end->task_id, end->pid,
                       tail);
    } else if (end->exit_code > 0) {
        (void)snprintf(text, size, "child %d (pid %d) exited with status %d%s", end->task_id,
                       end->pid, end->exit_code, tail);
    } else if (end->signal > 0) {
        const bool is_hinted = end->reason == PF_REASON_OUT_OF_MEMORY;
        const char *hint = is_hinted ? "; the kernel has killed for lack of memory" : "";
        (void)snprintf(text, size, "child %d (pid %d) killed by signal %d%s%s", end->task_id,
                       end->pid, end->signal, tail, hint);
    } else {
        (void)snprintf(text, size, "child %d (pid %d) ended with unknown status%s", end->task_id,
                       end->pid, tail);
    }
}

static const char *check_starting(struct story *story, const struct record *record) {
    int count = 0;

    if (story->author != 0 && story->author != record->author) {
        /* The one before was killed in the middle; what became of its workers is not told. */
        memset(story->living, 0, sizeof(story->living));
        memset(story->replaced, 0, sizeof(story->replaced));
        story->running = false;
    }
    EXPECT(!story->running);
    story->author = record->author;
    story->running = true;
    story->stopping = false;
    story->reloading = NO;
    story->finished = false;
    EXPECT(record->task_id == -1 && record->pid == 0);
    EXPECT(record->level == LEVEL_INFORMATION);
    EXPECT(sscanf(record->message, "Starting %d processes", &count) == 1 && count >= 1);
    story->slots_least = count;
    return NULL;
}

static const char *check_started(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];

    EXPECT(record->pid > 0);
    EXPECT(change_living(story, record->task_id, 0, record->pid));
    EXPECT(record->level == LEVEL_INFORMATION);
    (void)snprintf(expected, sizeof(expected), "child %d (pid %d) started", record->task_id,
                   record->pid);
    EXPECT(strcmp(record->message, expected) == 0);
    return NULL;
}

static const char *check_exited(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];
    bool sick = story->sick[record->task_id] == record->pid;
    bool normal = !sick && (record->exit_code == 0 ||
                            (record->exit_code > 0 && record->exit_code == story->done_status));

    EXPECT(record->pid > 0);
    EXPECT(change_living(story, record->task_id, record->pid, 0));
    EXPECT(record->exit_code == -1 || record->signal == 0);
    EXPECT(!normal || record->will_restart == 0 || story->of_pool);
    EXPECT(!story->stopping || record->will_restart == 0);
    if (normal || story->stopping) {
        EXPECT(record->level == LEVEL_INFORMATION);
    } else if (!may_be_asked(story, record->task_id)) {
        EXPECT(record->level == LEVEL_WARNING);
    }
    EXPECT(record->level == LEVEL_WARNING || record->level == LEVEL_INFORMATION);
    end_message(record, expected, sizeof(expected));
    EXPECT(strcmp(record->message, expected) == 0);
    return NULL;
}

static const char *check_start_failed(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];

    EXPECT(record->pid == 0);
    EXPECT(story->living[record->task_id][0] == 0 || story->replaced[record->task_id]);
    EXPECT(record->level == LEVEL_ERROR);
    EXPECT(record->error < 0);
    int length = snprintf(expected, sizeof(expected), "child %d could not be started: %s",
                          record->task_id, pf_strerror(record->error));
    char *tail = expected + length;
    size_t room = sizeof(expected) - (size_t)length;
    if (record->will_restart != 0 && record->delay_ms == 0) {
        (void)snprintf(tail, room, ", trying again");
    } else if (record->will_restart != 0) {
        (void)snprintf(tail, room, ", trying again in %d ms", (int)record->delay_ms);
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

    EXPECT(may_be_asked(story, record->task_id) || story->sick[record->task_id] == record->pid);
    EXPECT(record->pid > 0 && is_living(story, record->task_id, record->pid));
    EXPECT(record->level == LEVEL_WARNING);
    EXPECT(record->delay_ms == 10000 || story->of_pool);
    (void)snprintf(expected, sizeof(expected),
                   "child %d (pid %d) did not stop within %d ms, killed", record->task_id,
                   record->pid, (int)record->delay_ms);
    EXPECT(strcmp(record->message, expected) == 0);
    return NULL;
}

static const char *check_gave_up(const struct story *story, const struct record *record) {
    EXPECT(record->level == LEVEL_ERROR);
    EXPECT(record->task_id == -1 || story->of_pool);
    if (record->error == PF_EFATAL) {
        EXPECT(story->of_pool);
        EXPECT(strcmp(record->message, "A child exited with a fatal status, giving up") == 0);
        return NULL;
    }
    EXPECT(record->error == PF_EGAVEUP);
    EXPECT(strcmp(record->message, "Too many child restarts, giving up") == 0 ||
           (story->of_pool && strcmp(record->message, "No child became ready, giving up") == 0));
    return NULL;
}

static const char *check_resized(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];
    int count = 0;

    EXPECT(story->of_pool && !story->stopping);
    EXPECT(record->task_id == -1 && record->level == LEVEL_INFORMATION);
    EXPECT(sscanf(record->message, "Resized to %d processes", &count) == 1 && count >= 1);
    (void)snprintf(expected, sizeof(expected), "Resized to %d processes", count);
    EXPECT(strcmp(record->message, expected) == 0);
    story->slots_least = count < story->slots_least ? count : story->slots_least;
    return NULL;
}

static const char *check_ready(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];

    EXPECT(story->of_pool && record->pid > 0 && is_living(story, record->task_id, record->pid));
    EXPECT(story->ready[record->task_id] != record->pid); /* told once */
    EXPECT(story->sick[record->task_id] != record->pid);
    EXPECT(record->level == LEVEL_INFORMATION);
    (void)snprintf(expected, sizeof(expected), "child %d (pid %d) is ready", record->task_id,
                   record->pid);
    EXPECT(strcmp(record->message, expected) == 0);
    story->ready[record->task_id] = record->pid;
    return NULL;
}

static const char *check_unresponsive(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];
    bool talks = record->reason == PF_REASON_PROTOCOL;

    EXPECT(record->pid > 0 && is_living(story, record->task_id, record->pid));
    if (record->error != 0 && !talks) { /* a signal could not be sent */
        EXPECT(record->level == LEVEL_ERROR && record->signal > 0);
        EXPECT(strstr(record->message, " could not be sent signal ") != NULL);
        story->sick[record->task_id] = story->stopping ? 0 : record->pid;
        return NULL;
    }
    EXPECT(story->of_pool && !story->stopping);
    EXPECT(story->sick[record->task_id] != record->pid); /* told once */
    EXPECT(record->level == LEVEL_WARNING);
    (void)snprintf(expected, sizeof(expected), "child %d (pid %d) %s, killing", record->task_id,
                   record->pid, talks ? "sends too many messages" : "does not respond");
    EXPECT(strcmp(record->message, expected) == 0);
    story->sick[record->task_id] = record->pid;
    return NULL;
}

/* Its beginning and, if it did not fail, its end. */
static const char *check_reload(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];
    bool begins = record->kind == PF_EVENT_RELOADING;
    int count = 0;

    EXPECT(story->of_pool && !story->stopping);
    EXPECT(record->task_id == -1 && record->pid == 0 && record->level == LEVEL_INFORMATION);
    EXPECT(story->reloading != (begins ? YES : NO));
    EXPECT(sscanf(record->message, begins ? "Reloading %d" : "Reloaded %d", &count) == 1);
    (void)snprintf(expected, sizeof(expected), "%s %d processes", begins ? "Reloading" : "Reloaded",
                   count);
    EXPECT(strcmp(record->message, expected) == 0);
    story->reloading = begins ? YES : NO;
    may_replace(story, ANY_TASK);
    return NULL;
}

static const char *check_reload_failed(struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];

    EXPECT(record->task_id >= 0 && story->replaced[record->task_id]);
    EXPECT(record->level == LEVEL_ERROR);
    (void)snprintf(expected, sizeof(expected), "child %d could not be replaced", record->task_id);
    EXPECT(strcmp(record->message, expected) == 0);
    /* If it was not the reload's, but another replacement, the reload goes on. */
    story->reloading = story->reloading == NO ? NO : PERHAPS;
    return NULL;
}

static const char *check_fork_wanted(const struct story *story, const struct record *record) {
    char expected[BOARD_MESSAGE_SIZE];

    EXPECT(story->of_pool && !story->stopping);
    EXPECT(record->task_id >= 0 && record->pid == 0);
    EXPECT(story->living[record->task_id][0] == 0 || story->replaced[record->task_id]);
    EXPECT(record->level == LEVEL_INFORMATION);
    (void)snprintf(expected, sizeof(expected), "fork slot %d", record->task_id);
    EXPECT(strcmp(record->message, expected) == 0);
    return NULL;
}

static const char *check_done(struct story *story, const struct record *record) {
    story->running = false;
    story->finished = true;
    EXPECT(record->task_id == -1);
    if (strcmp(record->message, "Some processes could not be ended") == 0) {
        return NULL;
    }
    EXPECT(record->error != 0 || record->level == LEVEL_INFORMATION);
    EXPECT(strcmp(record->message, "All processes have ended") == 0);
    for (int i = 0; i < BOARD_TASKS_MAX; i++) {
        EXPECT(story->living[i][0] == 0 && story->living[i][1] == 0);
    }
    return NULL;
}

/* Returns what is wrong with the next event; NULL: nothing. */
static const char *check_event(struct story *story, const struct record *record) {
    if (record->task_id == PF_TASK_SPARE) {
        EXPECT(story->of_pool && story->running && strstr(record->message, "spare child") != NULL);
        return NULL;
    }
    EXPECT(record->task_id >= -1 && record->task_id < BOARD_TASKS_MAX);
    EXPECT(record->task_id >= 0 || strncmp(record->message, "child ", 6) != 0);
    EXPECT(record->kind == PF_EVENT_STARTING || story->author == record->author);
    EXPECT(record->time_ns >= story->time_ns);
    story->time_ns = record->time_ns;
    EXPECT(story->running || record->kind == PF_EVENT_STARTING);
    switch (record->kind) {
    case PF_EVENT_STARTING:
        return check_starting(story, record);
    case PF_EVENT_STARTED:
        return check_started(story, record);
    case PF_EVENT_EXITED:
        return check_exited(story, record);
    case PF_EVENT_START_FAILED:
        return check_start_failed(story, record);
    case PF_EVENT_KILLED:
        return check_killed(story, record);
    case PF_EVENT_STOPPING:
        return check_stopping(story, record);
    case PF_EVENT_GAVE_UP:
        return check_gave_up(story, record);
    case PF_EVENT_RESIZED:
        return check_resized(story, record);
    case PF_EVENT_READY:
        return check_ready(story, record);
    case PF_EVENT_UNRESPONSIVE:
        return check_unresponsive(story, record);
    case PF_EVENT_RELOADING:
    case PF_EVENT_RELOADED:
        return check_reload(story, record);
    case PF_EVENT_RELOAD_FAILED:
        return check_reload_failed(story, record);
    case PF_EVENT_FORK_WANTED:
        return check_fork_wanted(story, record);
    case PF_EVENT_DONE:
        return check_done(story, record);
    default:
        return record->kind == PF_EVENT_SIGNAL_UNAVAILABLE ? NULL : "an event of an unknown type";
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

    if (story != NULL) {
        story->of_pool = board->of_pool != 0;
        story->done_status = board->done_status;
    }
    for (; wrong == NULL && i < board->used && i < BOARD_RECORDS_MAX; i++) {
        const struct record *record = &board->records[i];
        if (record->ready != 0 && record->kind < KIND_WORKER) {
            wrong = check_event(story, record);
        } else if (record->ready != 0 && record->kind == KIND_REPLACED) {
            may_replace(story, record->task_id);
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
