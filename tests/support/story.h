/*
 * story.h - what must hold for the events of every pool, whatever happened to it
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_STORY_H
#define TESTS_SUPPORT_STORY_H

#include <stdbool.h>
#include <stddef.h>

#include "board.h"

/*
 * Go through the events on the board and check that
 *   - a pool begins with STARTING, and nothing comes after its DONE;
 *   - a slot has one worker at a time, or two while one is replaced, and the end of each is
 *     told once, with its pid and before DONE;
 *   - every process that came out of the call as a worker was told of, if the pool was done;
 *   - a worker is ready once, and unresponsive once; a reload that begins ends before the next;
 *   - levels and messages are those that the facts ask for, to the letter;
 *   - times do not go back, and one process got all events.
 * Returns whether all that holds; else the complaint says what does not.
 */
bool story_is_true(const struct board *board, char *complaint, size_t size);

#endif
