/*
 * The driver's side of one run: start a program, wait for its workers, end it.
 *
 * A guard process stands above the driver. Whatever ends the driver, the guard kills what is
 * left of the runs and reaps it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include "board.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { PROGRAMS = 4, DEADLINE_S = 60 };

/* Process groups of the programs that run now, 0 where none does. Shared with the guard. */
static volatile pid_t *active_groups;

struct run {
    int program; /* 0 to PROGRAMS - 1 */
    pid_t pid;   /* the supervisor, leader of its process group */
    uint32_t workers;
    int tether; /* read end: end of file when all processes are gone */
    struct board *board;
};

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1); /* the guard cleans up */
}

static uint64_t deadline(void) { return now_ns() + (uint64_t)DEADLINE_S * 1000000000u; }

static void sleep_us(uint64_t duration_us) {
    struct timespec duration = {(time_t)(duration_us / 1000000u),
                                (long)(duration_us % 1000000u) * 1000};
    while (nanosleep(&duration, &duration) != 0 && errno == EINTR) {
    }
}

/* Keep clear of the numbers that a program expects. */
static int high_descriptor(int descriptor) {
    int high = fcntl(descriptor, F_DUPFD_CLOEXEC, 16);
    if (high < 0) {
        fail("descriptor: %s", strerror(errno));
    }
    close(descriptor);
    return high;
}

static void run_child(struct run *run, char *const *arguments, int tether, int board) {
    pid_t driver = getppid();
    /* A shell starts background jobs with these ignored. */
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    active_groups[run->program] = getpid();
    if (getppid() == driver && dup2(tether, TETHER_DESCRIPTOR) == TETHER_DESCRIPTOR &&
        dup2(board, BOARD_DESCRIPTOR) == BOARD_DESCRIPTOR) {
        (void)syscall(SYS_close_range, BOARD_DESCRIPTOR + 1, ~0u, 0); /* whatever a shell left */
        execv(arguments[0], arguments);
    }
    perror(arguments[0]);
    _exit(127);
}

/* Start a program; the bell rings at the given number of entries. */
static void run_start(struct run *run, const char *path, const char *mode, uint32_t count,
                      uint32_t bell_at) {
    size_t size = board_size(run->workers);
    int board = memfd_create("bench board", MFD_CLOEXEC);
    int ends[2];
    if (board < 0 || ftruncate(board, (off_t)size) != 0 || pipe2(ends, O_CLOEXEC) != 0) {
        fail("board: %s", strerror(errno));
    }
    board = high_descriptor(board);
    run->tether = high_descriptor(ends[0]);
    int tether = high_descriptor(ends[1]);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, board, 0);
    if (memory == MAP_FAILED) {
        fail("board: %s", strerror(errno));
    }
    run->board = memory;
    run->board->bell_at = bell_at;
    char workers_text[16];
    char count_text[16];
    snprintf(workers_text, sizeof(workers_text), "%u", run->workers);
    snprintf(count_text, sizeof(count_text), "%u", count);
    char *arguments[] = {(char *)path, (char *)mode, workers_text, count_text, NULL};
    run->pid = fork();
    if (run->pid < 0) {
        fail("fork: %s", strerror(errno));
    }
    if (run->pid == 0) {
        run_child(run, arguments, tether, board);
    }
    setpgid(run->pid, run->pid); /* fails if the child did it already and is running */
    active_groups[run->program] = run->pid;
    close(tether);
    close(board);
}

/* Wait until no process of the program is left, reaped or not. Returns the time of that. */
static uint64_t run_wait_gone(struct run *run) {
    struct pollfd end = {.fd = run->tether, .events = POLLIN};
    uint64_t limit = deadline();
    while (poll(&end, 1, 1000) < 1) {
        if (now_ns() > limit) {
            fail("program %d did not end in %d s", run->program, DEADLINE_S);
        }
    }
    return now_ns();
}

/* Kill what is left of a run, and reap all that the driver inherited of it. */
static void run_finish(struct run *run) {
    kill(-run->pid, SIGKILL); /* ESRCH: nothing is left */
    run_wait_gone(run);
    while (waitpid(-run->pid, NULL, 0) > 0 || errno == EINTR) {
    }
    active_groups[run->program] = 0;
    close(run->tether);
    munmap(run->board, board_size(run->workers));
}

/* Wait for the bell. A program that ends before it rings has failed. */
static void run_wait_bell(struct run *run, uint32_t seen) {
    const uint64_t slice_ns = 1000000000u;
    struct pollfd end = {.fd = run->tether, .events = POLLIN};
    uint64_t limit = deadline();
    while (board_wait(run->board, seen, now_ns() + slice_ns) != 0) {
        int ended = poll(&end, 1, 0) > 0;
        if (ended || now_ns() > limit) {
            fail("program %d: %s after %u entries where %u were expected", run->program,
                 ended ? "ended" : "no progress", run->board->entries, run->board->bell_at);
        }
    }
}

/* What follows the given name at the start of a line in a file of /proc/PID. */
static const char *proc_text(pid_t pid, const char *file, const char *name) {
    static char line[256];
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        fail("%s: %s", path, strerror(errno));
    }
    while (fgets(line, sizeof(line), stream) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            fclose(stream);
            return line + strlen(name);
        }
    }
    fail("%s: no line %s", path, name);
}

static uint64_t proc_number(pid_t pid, const char *file, const char *name) {
    return strtoull(proc_text(pid, file, name), NULL, 10);
}

/* Times that the supervisor left a processor: each wake-up adds one. */
static uint64_t run_switches(const struct run *run) {
    return proc_number(run->pid, "status", "voluntary_ctxt_switches:") +
           proc_number(run->pid, "status", "nonvoluntary_ctxt_switches:");
}

/* Wait until the supervisor is at rest: asleep, and not scheduled for 20 ms. 0, or -1 if never. */
static int run_settle(const struct run *run, uint64_t limit_ms) {
    uint64_t limit_ns = now_ns() + limit_ms * 1000000u;
    uint64_t before = UINT64_MAX;
    while (now_ns() < limit_ns) {
        uint64_t after = run_switches(run);
        if (after == before && strchr(proc_text(run->pid, "status", "State:"), 'S') != NULL) {
            return 0;
        }
        before = after;
        sleep_us(20000);
    }
    return -1;
}

static pid_t guarded_driver;

static void guard_asked(int signal_number) {
    (void)signal_number; /* any of them ends the bench */
    kill(guarded_driver, SIGKILL);
}

/* Returns in the driver. The guard stays behind, cleans up, and ends as the driver did. */
static void guard_begin(void) {
    void *memory = mmap(NULL, PROGRAMS * sizeof(*active_groups), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fail("guard: %s", strerror(errno));
    }
    active_groups = memory;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    guarded_driver = fork();
    if (guarded_driver < 0) {
        fail("guard: %s", strerror(errno));
    }
    if (guarded_driver == 0) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        return;
    }
    struct sigaction action = {.sa_handler = guard_asked};
    int ending[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
        sigaction(ending[i], &action, NULL);
    }
    int status = 0;
    while (waitpid(guarded_driver, &status, 0) < 0 && errno == EINTR) {
    }
    for (int i = 0; i < PROGRAMS; i++) {
        if (active_groups[i] > 0) {
            kill(-active_groups[i], SIGKILL);
        }
    }
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

#endif
