/*
 * workers.c - what there is to say about the workers of a pool
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "workers.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Processes ------------------------------------------------------------------------------- */

struct process {
    int32_t group;
    uint64_t cpu_ticks;
    uint64_t resident_pages;
};

/* The fields after the name, which may hold anything. */
static bool read_process(const char *pid, struct process *ret_process) {
    char path[64], text[1024];
    unsigned long long user = 0, system = 0;
    long long resident = 0;
    long group = 0;

    (void)snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[length] = '\0';
    const char *rest = strrchr(text, ')');
    if (rest == NULL || sscanf(rest, /* of the 52 fields: 5, 14, 15 and 24 */
                               ") %*c %*d %ld %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d"
                               " %*d %*d %*d %*d %*u %*u %lld",
                               &group, &user, &system, &resident) != 4) {
        return false;
    }
    *ret_process = (struct process){(int32_t)group, user + system, (uint64_t)resident};
    return true;
}

static void add_process(struct worker *worker, const struct process *process) {
    worker->resident_kib += process->resident_pages * (uint64_t)(sysconf(_SC_PAGESIZE) / 1024);
    worker->cpu_ms += process->cpu_ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static struct worker *find_worker(struct worker *workers, int count, int32_t pid) {
    for (int i = 0; i < count; i++) {
        if (workers[i].pid > 0 && workers[i].pid == pid) {
            return &workers[i];
        }
    }
    return NULL;
}

static void add_groups(struct worker *workers, int count) {
    DIR *directory = opendir("/proc");

    for (struct dirent *entry = NULL; directory != NULL && (entry = readdir(directory)) != NULL;) {
        struct process process;
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            read_process(entry->d_name, &process)) {
            struct worker *worker = find_worker(workers, count, process.group);
            if (worker != NULL) {
                add_process(worker, &process);
            }
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
}

static void add_alone(struct worker *worker) {
    char pid[24];
    struct process process;

    (void)snprintf(pid, sizeof(pid), "%" PRId32, worker->pid);
    if (worker->pid > 0 && read_process(pid, &process)) {
        add_process(worker, &process);
    }
}

int workers_list(const pf_pool *pool, bool have_groups, struct worker **ret_workers) {
    int count = pf_pool_worker_count(pool);
    struct worker *workers = calloc(count > 0 ? (size_t)count : 1, sizeof(*workers));

    if (workers == NULL) {
        return -1;
    }
    for (int i = 0; i < count; i++) {
        workers[i] = (struct worker){
            .task_id = i,
            .state = pf_pool_worker_state(pool, i),
            .pid = pf_pool_worker_pid(pool, i),
            .restarts = pf_pool_worker_restarts(pool, i),
            .uptime_ms = pf_pool_worker_uptime_ms(pool, i),
        };
        if (!have_groups) {
            add_alone(&workers[i]);
        }
    }
    if (have_groups) {
        add_groups(workers, count);
    }
    *ret_workers = workers;
    return count > 0 ? count : 0;
}

/* ---- Texts ----------------------------------------------------------------------------------- */

const char *worker_state_name(int state) {
    static const char *const names[] = {"empty",    "starting", "ready",
                                        "stopping", "backoff",  "done"};

    return state >= 0 && state <= PF_WORKER_DONE ? names[state] : "unknown";
}

void workers_write_lines(FILE *out, const pf_pool *pool, const struct worker *workers, int count) {
    (void)fprintf(out, "pool %d %d %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", (int)getpid(), count,
                  pf_pool_counter(pool, PF_COUNT_READY), pf_pool_counter(pool, PF_COUNT_RESTARTED),
                  pf_pool_counter(pool, PF_COUNT_RELOADS));
    for (int i = 0; i < count; i++) {
        const struct worker *worker = &workers[i];
        (void)fprintf(out, "worker %d %s %" PRId32 " %" PRIu64 " %d %" PRIu64 " %" PRIu64 "\n",
                      worker->task_id, worker_state_name(worker->state), worker->pid,
                      worker->uptime_ms, worker->restarts, worker->resident_kib, worker->cpu_ms);
    }
}

static void write_pool_metrics(FILE *out, const pf_pool *pool, const char *name) {
    static const struct {
        const char *name, *type, *help;
        int counter;
    } rows[] = {
        {"workers_started", "counter", "Workers that were started.", PF_COUNT_STARTED},
        {"workers_exited", "counter", "Workers that have ended.", PF_COUNT_EXITED},
        {"workers_abnormal", "counter", "Workers that ended abnormally.", PF_COUNT_ABNORMAL},
        {"workers_restarted", "counter", "Workers that were restarted.", PF_COUNT_RESTARTED},
        {"starts_failed", "counter", "Starts that failed.", PF_COUNT_START_FAILED},
        {"workers_unresponsive", "counter", "Workers that did not respond.", PF_COUNT_UNRESPONSIVE},
        {"reloads", "counter", "Reloads that have begun.", PF_COUNT_RELOADS},
        {"replacements_failed", "counter", "Replacements that failed.", PF_COUNT_REPLACE_FAILED},
        {"workers_ready", "gauge", "Workers that are ready.", PF_COUNT_READY},
        {"processes", "gauge", "Processes of workers.", PF_COUNT_ALIVE},
        {"spares", "gauge", "Spares that wait.", PF_COUNT_SPARES},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)fprintf(out, "# TYPE prefork_%s %s\n# HELP prefork_%s %s\n", rows[i].name,
                      rows[i].type, rows[i].name, rows[i].help);
        (void)fprintf(out, "prefork_%s%s{pool=\"%s\"} %" PRIu64 "\n", rows[i].name,
                      rows[i].type[0] == 'c' ? "_total" : "", name,
                      pf_pool_counter(pool, rows[i].counter));
    }
    (void)fprintf(out,
                  "# TYPE prefork_workers gauge\n# HELP prefork_workers Slots of the pool.\n"
                  "prefork_workers{pool=\"%s\"} %d\n",
                  name, pf_pool_worker_count(pool));
}

struct row {
    const char *name, *type, *unit, *help;
    double (*value)(const struct worker *worker);
};

static double is_ready(const struct worker *worker) { return worker->state == PF_WORKER_READY; }
static double uptime(const struct worker *worker) { return (double)worker->uptime_ms / 1000; }
static double restarts(const struct worker *worker) { return worker->restarts; }
static double memory(const struct worker *worker) { return (double)worker->resident_kib * 1024; }
static double cpu(const struct worker *worker) { return (double)worker->cpu_ms / 1000; }

void workers_write_metrics(FILE *out, const pf_pool *pool, const char *name,
                           const struct worker *workers, int count) {
    static const struct row rows[] = {
        {"worker_ready", "gauge", NULL, "1: the worker is ready.", is_ready},
        {"worker_uptime_seconds", "gauge", "seconds", "Time since the start.", uptime},
        {"worker_restarts", "gauge", NULL, "Restarts of the slot that were counted.", restarts},
        {"worker_resident_memory_bytes", "gauge", "bytes", "Resident memory.", memory},
        {"worker_cpu_seconds", "gauge", "seconds", "CPU time of the present processes.", cpu},
    };

    write_pool_metrics(out, pool, name);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)fprintf(out, "# TYPE prefork_%s %s\n", rows[i].name, rows[i].type);
        if (rows[i].unit != NULL) {
            (void)fprintf(out, "# UNIT prefork_%s %s\n", rows[i].name, rows[i].unit);
        }
        (void)fprintf(out, "# HELP prefork_%s %s\n", rows[i].name, rows[i].help);
        for (int j = 0; j < count; j++) {
            (void)fprintf(out, "prefork_%s{pool=\"%s\",worker=\"%d\"} %.15g\n", rows[i].name, name,
                          workers[j].task_id, rows[i].value(&workers[j]));
        }
    }
    (void)fputs("# EOF\n", out);
}
