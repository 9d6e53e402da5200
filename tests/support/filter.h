/*
 * filter.h - forbid a process and its children a system call, as a container's profile does
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_FILTER_H
#define TESTS_SUPPORT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/* From now on the call fails with that error. There is no way back. Returns false where filters
 * cannot be had. */
bool filter_forbid(long system_call, int error);

/* The same only where an argument, counted from 0, has that value in its lower half. */
bool filter_forbid_value(long system_call, unsigned argument, uint32_t value, int error);

/* As root, before the others: programs still get the rights that their files give them. */
void filter_keep_rights(void);

/* From now on each call waits until the reader of the descriptor that is returned lets it go on.
 * -1: such filters cannot be had. */
int filter_watch(void);

#endif
