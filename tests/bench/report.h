/*
 * The table of ratios beside the goals.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "measure.h"

enum { FLOOR, LEAN, OURS, POOL };

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
    printf("| what | workers | floor | lean | ours | pool | lean / floor | ours / floor "
           "| pool / floor | ours / lean (quartiles) | pool / lean (quartiles) | goal | ours "
           "| pool |\n");
    printf("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---|---|\n");
}

static double median_ratio(const struct series *series, int above, int below) {
    struct series ratios = series_ratios(&series[above], &series[below]);
    return series_quantile(&ratios, 0.5);
}

static void report_ratio_to_lean(const struct series *series, int program) {
    struct series ratios = series_ratios(&series[program], &series[LEAN]);
    printf("| %.2f (%.2f, %.2f) ", series_quantile(&ratios, 0.5), series_quantile(&ratios, 0.25),
           series_quantile(&ratios, 0.75));
}

static int is_met(const struct row *row, int program) {
    double to_lean = median_ratio(row->series, program, LEAN);
    double to_floor = median_ratio(row->series, program, FLOOR);
    int met = row->goal_to_floor <= 0 || to_floor <= row->goal_to_floor;
    if (row->goal_to_lean <= 0) {
        return met;
    }
    return met &&
           (row->more_is_better ? to_lean >= row->goal_to_lean : to_lean <= row->goal_to_lean);
}

static void report_row(const struct row *row) {
    const struct series *series = row->series;
    printf("| %s, %s | %u ", row->what, row->unit, row->workers);
    for (int i = 0; i < PROGRAMS; i++) {
        double median = series_quantile(&series[i], 0.5);
        printf("| %.*f ", median < 100 ? 1 : 0, median);
    }
    for (int i = LEAN; i < PROGRAMS; i++) {
        printf("| %.2f ", median_ratio(series, i, FLOOR));
    }
    report_ratio_to_lean(series, OURS);
    report_ratio_to_lean(series, POOL);
    printf("|");
    const char *sign = row->more_is_better ? ">=" : "<=";
    if (row->goal_to_lean > 0) {
        printf(" %s %.2f x lean", sign, row->goal_to_lean);
    }
    if (row->goal_to_floor > 0) {
        printf("%s %s %.2f x floor", row->goal_to_lean > 0 ? "," : "", sign, row->goal_to_floor);
    }
    if (row->goal_to_lean > 0 || row->goal_to_floor > 0) {
        printf(" | %s ", verdict(is_met(row, OURS)));
        printf("| %s |\n", verdict(is_met(row, POOL)));
    } else {
        printf(" | | |\n");
    }
}

static double difference(const struct series *series, int program, int other) {
    struct series differences = {.count = 0};
    for (size_t i = 0; i < series[program].count; i++) {
        series_add(&differences, series[program].values[i] - series[other].values[i]);
    }
    return series_quantile(&differences, 0.5);
}

/* Memory is told as what a program has above another. A goal of 0 is none. */
static void report_memory(const char *what, uint32_t workers, const struct series *series,
                          double goal_kib) {
    printf("| %s, KiB | %u ", what, workers);
    for (int i = 0; i < PROGRAMS; i++) {
        printf("| %.0f ", series_quantile(&series[i], 0.5));
    }
    for (int i = LEAN; i < PROGRAMS; i++) {
        printf("| %+.0f ", difference(series, i, FLOOR));
    }
    printf("| %+.0f | %+.0f |", difference(series, OURS, LEAN), difference(series, POOL, LEAN));
    if (goal_kib > 0) {
        printf(" <= floor + %.0f | %s ", goal_kib,
               verdict(difference(series, OURS, FLOOR) <= goal_kib));
        printf("| %s |\n", verdict(difference(series, POOL, FLOOR) <= goal_kib));
    } else {
        printf(" | | |\n");
    }
}

/* The wake-ups are counts, which are exact in a double. */
static void report_idle(uint32_t workers, uint32_t idle_s, const double *wake_ups) {
    printf("| wake-ups in %u s of idleness | %u | %.0f | %.0f | %.0f | %.0f | | | | | | 0 ", idle_s,
           workers, wake_ups[FLOOR], wake_ups[LEAN], wake_ups[OURS], wake_ups[POOL]);
    printf("| %s ", verdict(wake_ups[OURS] == 0));
    printf("| %s |\n", verdict(wake_ups[POOL] == 0));
}

#endif
