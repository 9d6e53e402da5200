/*
 * hostile.h - what a worker does that has been taken over, and the pool in which it does that
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_HOSTILE_H
#define TESTS_SUPPORT_HOSTILE_H

#include <stdbool.h>
#include <stdint.h>

#include "host.h"

enum { NOTE_DONE = KIND_NOTE, NOTE_SIBLING, NOTE_RESULT, NOTE_UNABLE };

/* Behind it the sibling waits until the attack has begun. */
enum { GATE_SEND, GATE_ATTACK };

enum { FLOOD_MS = 250 };

/* What a worker writes to its supervisor; see lib/os/channel/record.h. */
struct record_bytes {
    uint32_t life;
    uint32_t packed;
    uint64_t token;
};

/* ---- In a worker ------------------------------------------------------------------------- */

/* The same pipe, opened by /proc, so that it needs not be the end that this process was given. */
int open_again(int fd, int flags);

/* A heartbeat of this worker, which it takes out of the pipe. The supervisor must not read then. */
struct record_bytes own_record(struct board *board);
void set_kind(struct record_bytes *record, uint32_t kind, uint32_t value);

/* Returns false without privileges, and changes nothing. */
bool become_nobody(struct board *board);

/* Write nonsense for so long, then note NOTE_DONE: how many KiB were taken in 10 ms. */
void flood(struct board *board, unsigned milliseconds);

/* The work of slot 1: once the attack has begun it gets ready, notes NOTE_SIBLING, and exits with
 * status 0 when it is to stop. */
int serves(struct board *board);

/* ---- In the test process ------------------------------------------------------------------- */

/* Start a pool in which slot 0 is the hostile one. */
void begin_hostile(struct host *host, int workers,
                   int (*work)(struct board *board, int task_id, int run));
void assert_sibling_serves(struct host *host);

/* If a worker has noted NOTE_UNABLE. */
void skip_if_unable(struct host *host);

#endif
