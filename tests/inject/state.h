/*
 * What the processes of one run share with the driver, as a file; inject.py reads it too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef INJECT_STATE_H
#define INJECT_STATE_H

#include <stdatomic.h>

enum { inject_max_calls = 128 };

struct inject_state {
    int supervisor;     /* the process that is not a child */
    int unknown;        /* the last call by number that calls.h does not list */
    atomic_uint failed; /* how many uses were made to fail */
    unsigned unused;
    struct {
        char name[56];
        atomic_uint uses[2]; /* of the supervisor, of its children */
    } calls[inject_max_calls];
};

#endif
