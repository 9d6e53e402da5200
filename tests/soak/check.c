/*
 * check.c - what must hold, as rows with counts
 *
 * SPDX-License-Identifier: MIT
 */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>

enum { SHOWN = 5 };

static const char *const names[ROWS] = {
    [ROW_SUPERVISOR] = "the supervisor lives until it is stopped or killed",
    [ROW_LOG] = "events come in their order, and a pool ends only when it is told",
    [ROW_ONE_END] = "each worker that was started has one end",
    [ROW_STATUS] = "the status of an end is the one that the kernel has",
    [ROW_ENDED] = "no worker lives after its end was reported",
    [ROW_KNOWN] = "each process that works was reported as started",
    [ROW_SLOTS] = "slots have one worker, and those in replacement two",
    [ROW_FULL] = "the slots are full again within a bound",
    [ROW_CHILDREN] = "the children of the supervisor are the workers in the log",
    [ROW_DESCRIPTORS] = "the supervisor keeps no descriptors",
    [ROW_MEMORY] = "the supervisor keeps no memory",
    [ROW_COUNTERS] = "the counters are the counts of events",
    [ROW_FOREIGN] = "other children of the supervisor keep their ends",
    [ROW_REQUESTS] = "requests return what their pages say",
    [ROW_PRESSURE] = "the supervisor lives where workers are killed for lack of memory",
    [ROW_STOPPED] = "a stop leaves no process",
    [ROW_KILLED] = "SIGKILL of the supervisor leaves no process",
    [ROW_FILES] = "no file is left",
    [ROW_REAL] = "all of it has happened",
};

static struct {
    unsigned long long passed;
    unsigned failed;
} rows[ROWS];

bool check(enum row row, bool ok, const char *format, ...) {
    if (ok) {
        rows[row].passed++;
        return true;
    }
    if (rows[row].failed++ < SHOWN) {
        va_list arguments;
        printf("FAILED: %s: ", names[row]);
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        printf("\n");
        (void)fflush(stdout); /* it is for people */
    }
    return false;
}

void check_skipped(const char *what) { printf("skipped: %s\n", what); }

unsigned check_failures(void) {
    unsigned failures = 0;

    for (int row = 0; row < ROWS; row++) {
        failures += rows[row].failed;
    }
    return failures;
}

int check_report(void) {
    int passed = 0;
    int failed = 0;

    for (int row = 0; row < ROWS; row++) {
        if (rows[row].failed == 0 && rows[row].passed == 0) {
            printf("  --     %s: no case\n", names[row]);
            continue;
        }
        printf("  %-6s %s: %llu times\n", rows[row].failed == 0 ? "ok" : "FAILED", names[row],
               rows[row].passed);
        passed += rows[row].failed == 0;
        failed += rows[row].failed != 0;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
