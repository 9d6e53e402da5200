/*
 * The table of ratios beside the goals.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "measure.h"

enum { FLOOR, LEAN, OURS };

/* What a line of the table shows, and its goals. A goal of 0 is none. */
struct row {
    const char *what;
    const char *unit;
    uint32_t workers;
    const struct series *series; /* one for each program */
    double goal_to_lean;
    double goal_to_floor;
    int more_is_better;
};

static int goals_missed;

static const char *verdict(int met) {
    if (!met) {
        goals_missed++;
    }
    return met ? "met" : "**not met**";
}

static void report_begin(void) {
    printf("| what | workers | floor | lean | ours | lean / floor | ours / floor "
           "| ours / lean (quartiles) | goal | |\n");
    printf("|---|---:|---:|---:|---:|---:|---:|---:|---|---|\n");
}

static void report_row(const struct row *row) {
    const struct series *series = row->series;
    struct series lean_to_floor = series_ratios(&series[LEAN], &series[FLOOR]);
    struct series ours_to_floor = series_ratios(&series[OURS], &series[FLOOR]);
    struct series ours_to_lean = series_ratios(&series[OURS], &series[LEAN]);
    double to_floor = series_quantile(&ours_to_floor, 0.5);
    double to_lean = series_quantile(&ours_to_lean, 0.5);
    printf("| %s, %s | %u ", row->what, row->unit, row->workers);
    for (int i = 0; i < PROGRAMS; i++) {
        double median = series_quantile(&series[i], 0.5);
        printf("| %.*f ", median < 100 ? 1 : 0, median);
    }
    printf("| %.2f | %.2f | %.2f (%.2f, %.2f) |", series_quantile(&lean_to_floor, 0.5), to_floor,
           to_lean, series_quantile(&ours_to_lean, 0.25), series_quantile(&ours_to_lean, 0.75));
    int met = 1;
    const char *sign = row->more_is_better ? ">=" : "<=";
    if (row->goal_to_lean > 0) {
        printf(" %s %.2f x lean", sign, row->goal_to_lean);
        met = row->more_is_better ? to_lean >= row->goal_to_lean : to_lean <= row->goal_to_lean;
    }
    if (row->goal_to_floor > 0) {
        printf("%s %s %.2f x floor", row->goal_to_lean > 0 ? "," : "", sign, row->goal_to_floor);
        met = met && to_floor <= row->goal_to_floor;
    }
    int has_goal = row->goal_to_lean > 0 || row->goal_to_floor > 0;
    printf(" | %s |\n", has_goal ? verdict(met) : "");
}

static double difference(const struct series *series, int program) {
    struct series differences = {.count = 0};
    for (size_t i = 0; i < series[program].count; i++) {
        series_add(&differences, series[program].values[i] - series[FLOOR].values[i]);
    }
    return series_quantile(&differences, 0.5);
}

/* Memory is told as what a program has above the floor. A goal of 0 is none. */
static void report_memory(const char *what, uint32_t workers, const struct series *series,
                          double goal_kib) {
    double above = difference(series, OURS);
    printf("| %s, KiB | %u | %.0f | %.0f | %.0f | %+.0f | %+.0f | %+.0f |", what, workers,
           series_quantile(&series[FLOOR], 0.5), series_quantile(&series[LEAN], 0.5),
           series_quantile(&series[OURS], 0.5), difference(series, LEAN), above,
           above - difference(series, LEAN));
    if (goal_kib > 0) {
        printf(" <= floor + %.0f | %s |\n", goal_kib, verdict(above <= goal_kib));
    } else {
        printf(" | |\n");
    }
}

static void report_idle(uint32_t workers, uint32_t idle_s, const double *wake_ups) {
    printf("| wake-ups in %u s of idleness | %u | %.0f | %.0f | %.0f | | | | 0 | %s |\n", idle_s,
           workers, wake_ups[FLOOR], wake_ups[LEAN], wake_ups[OURS],
           verdict(wake_ups[OURS] == 0)); /* a count, exact in a double */
}

#endif
