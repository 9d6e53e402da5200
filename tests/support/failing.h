/*
 * failing.h - let a call of the library fail
 *
 * A test with a name that ends with "_calls_test" has its own version of the calls in failing.c,
 * which the library uses in place of those of libc. The test itself uses them as well, so a failure
 * begins just before the function under test and ends just after it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_FAILING_H
#define TESTS_SUPPORT_FAILING_H

#include <stdbool.h>

#include "process.h" /* SANITIZED */

/* Sanitizers have versions of their own; the names of the calls are those of a 64-bit glibc. */
#if defined(__GLIBC__) && defined(__LP64__) && !SANITIZED && !defined(__SANITIZE_THREAD__)
#define CALLS_CAN_FAIL 1
#else
#define CALLS_CAN_FAIL 0
#endif

enum where { IN_THIS_PROCESS, IN_CHILDREN, ANYWHERE };

struct failure {
    const char *call; /* as in failing.c: "pipe2", or "syscall.pidfd_open" */
    int error;        /* what errno is then */
    unsigned first;   /* the use that fails first, from 1 on */
    unsigned count;   /* how many uses fail from there on; 0: all */
    enum where where;
};

/* A call of a list that a test lets fail at each of its uses, of which there are fewer. */
enum { USES_MAX = 40 };
struct use {
    const char *call;
    int error;
};

/* Skips the test where the library uses other calls. */
#define require_failing()                                                                          \
    do {                                                                                           \
        if (!CALLS_CAN_FAIL) {                                                                     \
            print_message("skipped: the library uses other calls here\n");                         \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

/* The process begins to count from 0. What is said for children is said before the fork. */
void failure_begin(const struct failure *failure);

/* Returns how many uses have failed since. */
unsigned failure_end(void);

/* For the program that is executed next, from its first instruction on, by a variable. */
#define FAILURE_VARIABLE "TESTS_FAILURE"
void failure_for_program(const struct failure *failure);

#endif
