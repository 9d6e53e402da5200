/*
 * Series of measured values, and what is told of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 512 };

struct series {
    double values[VALUES_MAX];
    size_t count;
};

static void series_add(struct series *series, double value) {
    if (series->count == VALUES_MAX) {
        abort(); /* the plan asks for more than fits */
    }
    series->values[series->count++] = value;
}

static int series_compare(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The value below which the given share of the series lies; 0.5 is the median. */
static double series_quantile(const struct series *series, double share) {
    static double sorted[VALUES_MAX];
    if (series->count == 0) {
        return 0;
    }
    memcpy(sorted, series->values, series->count * sizeof(sorted[0]));
    qsort(sorted, series->count, sizeof(sorted[0]), series_compare);
    double position = share * (double)(series->count - 1);
    size_t lower = (size_t)position;
    size_t upper = lower + 1 < series->count ? lower + 1 : lower;
    return sorted[lower] + (sorted[upper] - sorted[lower]) * (position - (double)lower);
}

/* The ratio of each pair: values at the same place come from the same round. */
static inline struct series series_ratios(const struct series *above, const struct series *below) {
    struct series ratios = {.count = 0};
    for (size_t i = 0; i < above->count && i < below->count; i++) {
        series_add(&ratios, above->values[i] / below->values[i]);
    }
    return ratios;
}

#endif
