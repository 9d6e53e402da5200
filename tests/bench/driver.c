/*
 * Measures the library against the floor and the lean loop.
 *
 *   driver DIRECTORY [quick]
 *
 * DIRECTORY holds the programs floor, lean, ours and pool. In each round each of them runs once,
 * in an order that is another one in the next round, so that what else the machine does falls on
 * all alike. A ratio is the median over the rounds of the ratios within a round.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE

#include "report.h"

#include <sys/resource.h>

static const char *const program_names[PROGRAMS] = {"floor", "lean", "ours", "pool"};

/* Each program comes as often at each place, and after each other one. */
enum { ORDERS = 4 };
static const int orders[ORDERS][PROGRAMS] = {
    {0, 1, 3, 2}, {1, 2, 0, 3}, {2, 3, 1, 0}, {3, 0, 2, 1}};

/* What is done with one number of workers. */
struct plan {
    uint32_t workers;
    uint32_t rounds;
    uint32_t kills;    /* in each run */
    uint32_t restarts; /* in each run */
};

/* For the record: multiples of four rounds, so that each order comes as often as any other. */
static const struct plan full_plans[] = {
    {2, 20, 400, 3000},    {16, 20, 400, 3000},   {128, 20, 400, 3000},
    {1000, 16, 300, 3000}, {4000, 12, 200, 3000},
};
static const struct plan quick_plans[] = {
    {2, 6, 100, 1000},    {16, 6, 100, 1000},   {128, 6, 100, 1000},
    {1000, 3, 100, 1000}, {4000, 2, 100, 1000},
};
enum { PLANS = 5 };

static struct series results[PLANS][MEASURES][PROGRAMS];
static char paths[PROGRAMS][512];

static void measure_round(size_t index, const struct plan *plan, uint32_t round) {
    const int *order = orders[round % ORDERS];
    double values[MEASURES];
    for (int k = 0; k < 2 * PROGRAMS; k++) {
        int program = order[k % PROGRAMS];
        struct run run = {.program = program, .workers = plan->workers};
        if (k < PROGRAMS) {
            measure_pause_run(&run, paths[program], plan->kills, values);
            for (int measure = REPLACED_MEDIAN; measure <= ANONYMOUS; measure++) {
                if (measure != RESTARTS) {
                    series_add(&results[index][measure][program], values[measure]);
                }
            }
        } else {
            measure_exit_run(&run, paths[program], plan->restarts, values);
            series_add(&results[index][RESTARTS][program], values[RESTARTS]);
        }
    }
}

/* One kind of measure for all numbers of workers from the given one on. */
static void report_measure(const struct plan *plans, int measure, struct row row, uint32_t least) {
    for (size_t i = 0; i < PLANS; i++) {
        row.workers = plans[i].workers;
        row.series = results[i][measure];
        struct row line = row;
        if (measure == REPLACED_MEDIAN && row.workers > 128) {
            line.goal_to_floor = 0;
        }
        if ((measure == START || measure == STOP) && row.workers != 1000) {
            line.goal_to_floor = 0;
        }
        if (row.workers >= least) {
            report_row(&line);
        }
    }
}

static void report(const struct plan *plans) {
    report_begin();
    report_measure(plans, REPLACED_MEDIAN,
                   (struct row){.what = "a killed worker's replacement runs, median",
                                .unit = "us",
                                .goal_to_lean = 1.05,
                                .goal_to_floor = 1.15},
                   0);
    report_measure(plans, REPLACED_P99,
                   (struct row){.what = "the same, 99th percentile", .unit = "us"}, 0);
    report_measure(plans, RESTARTS,
                   (struct row){.what = "restarts of workers that exit at once",
                                .unit = "per s",
                                .goal_to_lean = 0.95,
                                .more_is_better = 1},
                   0);
    report_measure(plans, START,
                   (struct row){.what = "start of all", .unit = "ms", .goal_to_floor = 1.1}, 1000);
    report_measure(plans, STOP,
                   (struct row){.what = "stop of all", .unit = "ms", .goal_to_floor = 1.3}, 1000);
    for (size_t i = 0; i < PLANS; i++) {
        if (plans[i].workers >= 1000) {
            report_memory("supervisor's private memory", plans[i].workers, results[i][PRIVATE],
                          100 + plans[i].workers * 256 / 1024.0);
            report_memory("all its anonymous memory", plans[i].workers, results[i][ANONYMOUS], 0);
        }
    }
}

/* Room for a descriptor of each worker, for all programs alike. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    const rlim_t needed = 4000 + 100;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed) {
        limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < needed) {
        fail("no more than %lu descriptors, %lu needed", (unsigned long)limit.rlim_cur,
             (unsigned long)needed);
    }
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "quick") != 0)) {
        fprintf(stderr, "usage: %s DIRECTORY [quick]\n", argv[0]);
        return 2;
    }
    int quick = argc == 3;
    const struct plan *plans = quick ? quick_plans : full_plans;
    const char *path_list[PROGRAMS];
    for (int i = 0; i < PROGRAMS; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", argv[1], program_names[i]);
        path_list[i] = paths[i];
    }
    raise_descriptor_limit();
    guard_begin();
    for (size_t i = 0; i < PLANS; i++) {
        for (uint32_t round = 0; round < plans[i].rounds; round++) {
            measure_round(i, &plans[i], round);
        }
        fprintf(stderr, "bench: %u workers: %u rounds done\n", plans[i].workers, plans[i].rounds);
    }
    const uint32_t idle_s = quick ? 3 : 10;
    double wake_ups[PROGRAMS];
    measure_idle(path_list, 1000, idle_s, wake_ups);
    report(plans);
    report_idle(1000, idle_s, wake_ups);
    printf("\n%d of the goals not met.\n", goals_missed);
    return 0;
}
