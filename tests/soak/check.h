/*
 * check.h - what must hold, as rows with counts
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SOAK_CHECK_H
#define TESTS_SOAK_CHECK_H

#include <stdbool.h>

enum row {
    ROW_SUPERVISOR, /* it lives until it is told or killed */
    ROW_LOG,        /* events in their order, of pools that there are */
    ROW_ONE_END,    /* each worker ends once */
    ROW_STATUS,     /* with the status that the kernel has */
    ROW_ENDED,      /* no process lives that ended in the log */
    ROW_KNOWN,      /* no process worked that the log does not have */
    ROW_SLOTS,      /* one worker in a slot, and one more where it is replaced */
    ROW_FULL,       /* the slots are full again within a bound */
    ROW_CHILDREN,   /* the children in /proc are those of the log */
    ROW_DESCRIPTORS,
    ROW_MEMORY,
    ROW_COUNTERS,
    ROW_FOREIGN, /* other children of the supervisor keep their ends */
    ROW_REQUESTS,
    ROW_PRESSURE, /* where workers are killed for lack of memory, the supervisor lives */
    ROW_STOPPED,  /* a stop leaves nobody */
    ROW_KILLED,   /* the end of the supervisor leaves nobody */
    ROW_FILES,
    ROW_REAL, /* enough of everything has happened */
    ROWS
};

/* One comparison. The first failures of a row are shown. Returns ok. */
__attribute__((format(printf, 3, 4))) bool check(enum row row, bool ok, const char *format, ...);

/* Something that this system does not have. */
void check_skipped(const char *what);

unsigned check_failures(void);

/* Prints all rows, and how many passed. Returns an exit status. */
int check_report(void);

#endif
