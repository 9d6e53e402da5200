/*
 * upgrade.h - SIGUSR2: the command executes itself anew, and the workers stay
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PREFORK_SHELL_UPGRADE_H
#define PREFORK_SHELL_UPGRADE_H

#include <stdbool.h>

#include "prefork.h"

/* Whether this program was executed by an upgrade: then workers serve already, and a failure would
 * end them. Ask once. */
bool upgrade_is_done(void);

/* Before the start of the pool. */
void upgrade_prepare(pf_pool *pool);

/* Between two calls of pf_pool_dispatch(), without pending events. Returns only if no upgrade was
 * requested, or if it failed, after a message. */
void upgrade_if_requested(void);

#endif
