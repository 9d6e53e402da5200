/*
 * Counts what one restart costs: system calls, page faults and instructions.
 *
 *   cost DIRECTORY ACCEPTED [save]
 *
 * DIRECTORY holds the programs floor, lean and ours. In each of them a worker is killed; counted
 * is what the supervisor does from its wait to its next wait, and what the new worker does from
 * the fork to its work, pause(2) included. Noise of the machine does not change these numbers.
 *
 * ACCEPTED is a file of the numbers that the library may have. A number that rises above it is an
 * error: status 1. With "save" the file is written anew. Status 77: nothing can be counted here.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE

#include "measure.h"

#ifdef __x86_64__
#include "stepping.h"

#include <sys/personality.h>

enum { FLOOR, LEAN, OURS, COUNTED };
enum { SUPERVISOR, WORKER, ROLES };
enum { WORKERS = 2, CYCLES = 3, FAULT_RUNS = 11 };

/* Compilers and C libraries differ by a few of these. The kernel maps code by windows of 64 KiB:
 * how many a worker touches depends on where the libraries lie. */
enum { INSTRUCTIONS_PERCENT = 15, INSTRUCTIONS_PERCENT_CLANG = 40, FAULTS_MORE = 4 };

static const char *const program_names[COUNTED] = {"floor", "lean", "ours"};
static const char *const role_names[ROLES] = {"supervisor", "worker"};

static struct tally tallies[COUNTED][ROLES];
static uint64_t faults[COUNTED];

static int has_forked_and_waits(const struct stepped *process) {
    unsigned long long number = process->registers.rax;
    return process->child != 0 &&
           (number == SYS_epoll_pwait || number == SYS_epoll_wait || number == SYS_wait4);
}

static int has_begun_to_work(const struct stepped *process) {
    return process->registers.rax == SYS_pause;
}

static uint64_t stat_field(pid_t pid, int number) {
    char text[512] = "";
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(text, sizeof(text), file) == NULL) {
        fail("%s: %s", path, strerror(errno));
    }
    fclose(file);
    char *field = strrchr(text, ')');
    for (int at = 2; field != NULL && at < number; at++) {
        field = strchr(field + 1, ' ');
    }
    if (field == NULL) {
        fail("%s: %s", path, text);
    }
    return field[1] >= 'A' ? (unsigned char)field[1] : (uint64_t)strtoull(field + 1, NULL, 10);
}

/* Ends a worker, and returns once its supervisor can reap it. */
static void kill_and_await(pid_t pid) {
    uint64_t limit = deadline();
    /* After SIGKILL the library asks the system whether it has killed for lack of memory. */
    if (kill(pid, SIGTERM) != 0) {
        fail("worker %d: %s", pid, strerror(errno));
    }
    while (stat_field(pid, 3) != 'Z') {
        if (now_ns() > limit) {
            fail("worker %d does not end", pid);
        }
        sleep_us(1000);
    }
}

/* One restart of the worker in slot 0, whose supervisor is stopped. */
static void count_cycle(struct run *run, struct stepped *supervisor, struct tally *both) {
    kill_and_await(run->board->cells[0].pid);
    memset(both, 0, ROLES * sizeof(*both));
    supervisor->child = 0;
    step_until(supervisor, has_forked_and_waits, &both[SUPERVISOR]);
    struct stepped worker = {.pid = supervisor->child};
    step_from_here(&worker);
    step_until(&worker, has_begun_to_work, &both[WORKER]);
    tally_call(&both[WORKER], SYS_pause, 0);
    close(worker.memory);
    if (ptrace(PTRACE_DETACH, worker.pid, NULL, NULL) != 0) {
        fail("detach: %s", strerror(errno));
    }
}

static void count_steps(struct run *run, int program) {
    struct stepped supervisor = {.pid = run->pid};
    struct tally cycle[ROLES];
    if (ptrace(PTRACE_SEIZE, run->pid, NULL, (void *)PTRACE_O_TRACEFORK) != 0) {
        printf("ptrace(2) is not permitted here: %s\n", strerror(errno));
        run_finish(run);
        exit(77);
    }
    (void)ptrace(PTRACE_INTERRUPT, run->pid, NULL, NULL);
    step_from_here(&supervisor);
    for (int i = 0; i <= CYCLES; i++) {
        count_cycle(run, &supervisor, cycle);
        /* A look at the clock may have been repeated. */
        for (int role = 0; role < ROLES && i > 0; role++) {
            struct tally *best = &tallies[program][role];
            if (i == 1 || cycle[role].instructions < best->instructions) {
                *best = cycle[role];
            }
        }
    }
    close(supervisor.memory);
    (void)ptrace(PTRACE_DETACH, run->pid, NULL, NULL);
}

static uint64_t faults_of_new_worker(struct run *run) {
    struct series counts = {.count = 0};
    for (int i = 0; i < FAULT_RUNS; i++) {
        uint64_t limit = deadline();
        (void)replace_worker(run, 0);
        pid_t pid = run->board->cells[0].pid;
        while (stat_field(pid, 3) != 'S' && now_ns() < limit) {
            sleep_us(1000);
        }
        series_add(&counts, (double)stat_field(pid, 10));
    }
    return (uint64_t)series_quantile(&counts, 0.5);
}

static void count_program(int program, const char *directory) {
    char path[512];
    struct run run = {.program = program, .workers = WORKERS};
    snprintf(path, sizeof(path), "%s/%s", directory, program_names[program]);
    run_start(&run, path, "pause", 0, WORKERS);
    run_wait_bell(&run, 0);
    rest(&run);
    faults[program] = faults_of_new_worker(&run);
    rest(&run);
    count_steps(&run, program);
    run_finish(&run);
}

/* ---- The table ----------------------------------------------------------------------------- */

static void print_row(const char *what, const uint64_t *values) {
    printf("%-32s", what);
    for (int program = 0; program < COUNTED; program++) {
        printf(" %8llu", (unsigned long long)values[program]);
    }
    putchar('\n');
}

/* Rows of the calls that any program makes, each once: those of ours come first. */
static void print_calls(int role) {
    for (int program = COUNTED - 1; program >= 0; program--) {
        const struct tally *tally = &tallies[program][role];
        for (uint32_t kind = 0; kind < tally->call_kinds; kind++) {
            const char *name = tally->by_name[kind].name;
            uint64_t values[COUNTED];
            int is_printed = 0;
            for (int other = 0; other < COUNTED; other++) {
                values[other] = tally_of(&tallies[other][role], name);
                is_printed = is_printed || (other > program && values[other] > 0);
            }
            char what[64];
            snprintf(what, sizeof(what), "    %s", name);
            if (!is_printed) {
                print_row(what, values);
            }
        }
    }
}

static void print_table(void) {
    uint64_t values[COUNTED];
    printf("%-32s %8s %8s %8s\n", "one restart of a killed worker", program_names[FLOOR],
           program_names[LEAN], program_names[OURS]);
    for (int role = 0; role < ROLES; role++) {
        char what[64];
        for (int program = 0; program < COUNTED; program++) {
            values[program] = tallies[program][role].calls - tallies[program][role].pipe_calls;
        }
        snprintf(what, sizeof(what), "%s: system calls", role_names[role]);
        print_row(what, values);
        for (int program = 0; program < COUNTED; program++) {
            values[program] = tallies[program][role].pipe_calls;
        }
        print_row("  and on pipes", values);
        print_calls(role);
        for (int program = 0; program < COUNTED; program++) {
            values[program] = tallies[program][role].instructions;
        }
        snprintf(what, sizeof(what), "%s: user instructions", role_names[role]);
        print_row(what, values);
    }
    print_row("worker: page faults", faults);
}

/* ---- What is accepted ---------------------------------------------------------------------- */

static uint64_t above_lean(uint64_t ours, uint64_t lean) { return ours > lean ? ours - lean : 0; }

static void save(const char *path) {
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        fail("%s: %s", path, strerror(errno));
    }
    fputs("# What one restart of pf_fork_processes() may cost: make cost SAVE=1 writes this file.\n"
          "# Instructions and faults are those above the lean loop of tests/bench/lean.c.\n",
          file);
    for (int role = 0; role < ROLES; role++) {
        const struct tally *tally = &tallies[OURS][role];
        for (uint32_t kind = 0; kind < tally->call_kinds; kind++) {
            fprintf(file, "%s call %u %s\n", role_names[role], tally->by_name[kind].count,
                    tally->by_name[kind].name);
        }
        fprintf(
            file, "%s instructions %llu\n", role_names[role],
            (unsigned long long)above_lean(tally->instructions, tallies[LEAN][role].instructions));
    }
    fprintf(file, "worker faults %llu\n",
            (unsigned long long)above_lean(faults[OURS], faults[LEAN]));
    fclose(file);
}

/* Returns 1 if the number is too large. */
static int compare(const char *what, const char *name, uint64_t value, uint64_t accepted,
                   uint64_t most) {
    if (value > most) {
        printf("%s%s: %llu, accepted are %llu\n", what, name, (unsigned long long)value,
               (unsigned long long)accepted);
        return 1;
    }
    if (value < accepted && most == accepted) {
        printf("%s%s: %llu, fewer than the %llu accepted: make cost SAVE=1\n", what, name,
               (unsigned long long)value, (unsigned long long)accepted);
    }
    return 0;
}

static int compare_line(const char *line, uint32_t *seen_calls) {
#ifdef __clang__
    const uint64_t percent = INSTRUCTIONS_PERCENT_CLANG;
#else
    const uint64_t percent = INSTRUCTIONS_PERCENT;
#endif
    char role_name[16];
    char what[16];
    unsigned long long accepted = 0;
    int rest = 0;
    if (sscanf(line, "%15s %15s %llu %n", role_name, what, &accepted, &rest) < 3) {
        return line[0] != '#';
    }
    int role = strcmp(role_name, role_names[SUPERVISOR]) == 0 ? SUPERVISOR : WORKER;
    char label[64];
    snprintf(label, sizeof(label), "%s: %s ", role_name, what);
    if (strcmp(what, "call") == 0) {
        char name[32] = "";
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(line + rest, "\n"), line + rest);
        uint32_t count = tally_of(&tallies[OURS][role], name);
        seen_calls[role] += count;
        return compare(label, name, count, accepted, accepted);
    }
    if (strcmp(what, "faults") == 0) {
        return compare(label, "", above_lean(faults[OURS], faults[LEAN]), accepted,
                       accepted + FAULTS_MORE);
    }
    return compare(label, "",
                   above_lean(tallies[OURS][role].instructions, tallies[LEAN][role].instructions),
                   accepted, accepted + accepted * percent / 100);
}

static int compare_all(const char *path) {
    char line[128];
    uint32_t seen_calls[ROLES] = {0};
    int raised = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        fail("%s: %s", path, strerror(errno));
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        raised += compare_line(line, seen_calls);
    }
    fclose(file);
    for (int role = 0; role < ROLES; role++) {
        if (seen_calls[role] != tallies[OURS][role].calls) {
            printf("%s: makes system calls that %s does not name\n", role_names[role], path);
            raised += 1;
        }
    }
    if (raised > 0) {
        printf("A change that has to cost more says why in CHANGELOG.md, and sets the accepted "
               "numbers:\nmake cost SAVE=1\n");
    }
    return raised > 0;
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s DIRECTORY ACCEPTED [save]\n", argv[0]);
        return 2;
    }
    /* Where the stack lies in its page, and other pages, would change with each run. */
    (void)personality(ADDR_NO_RANDOMIZE);
    guard_begin();
    for (int program = 0; program < COUNTED; program++) {
        count_program(program, argv[1]);
    }
    print_table();
    if (argc == 4) {
        save(argv[2]);
        return 0;
    }
    return compare_all(argv[2]);
}

#else

int main(void) {
    printf("system calls and instructions are counted on x86-64 only\n");
    return 77;
}

#endif
