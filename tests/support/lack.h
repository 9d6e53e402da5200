/*
 * lack.h - start a pool where something cannot be had
 *
 * A program that uses it is linked with failing.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_LACK_H
#define TESTS_SUPPORT_LACK_H

#include "prefork.h"

/* No start needs more. */
enum { LACKS_MAX = 100 };

/* The nth piece of "memory" that the start takes is not to be had, or the nth of its "files" and
 * none after it. Memory can be had where calls cannot fail. */
int start_without(pf_pool *pool, const char *what, unsigned nth);

#endif
