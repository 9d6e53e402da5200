/*
 * round.h - rounds: a supervisor from its start to its end
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SOAK_ROUND_H
#define TESTS_SOAK_ROUND_H

#include <stdint.h>

#include "cgroup.h"

/* Where it takes place. */
struct place {
    char directory[64];
    int user;              /* of the supervisor; 0: that of this process */
    struct cgroup *memory; /* NULL: there is none */
};

/* Run rounds for so long. */
void rounds_run(const struct place *place, unsigned seconds, uint64_t seed);

/* Run one round with a planted fault. */
void rounds_run_planted(const struct place *place, unsigned seconds, uint64_t seed, int plant);

#endif
