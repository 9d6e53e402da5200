/*
 * Counts what a process does, one instruction at a time, by ptrace(2).
 *
 * The instructions of the process itself are counted, not those of the kernel. A repeated
 * instruction (rep stos and the like) counts once. A system call is counted when the process is
 * about to make it, under its name; where its first argument is a pipe, under a name of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_STEPPING_H
#define BENCH_STEPPING_H

#include "process.h"

#include <sys/ptrace.h>
#include <sys/user.h>

enum { CALLS_MAX = 48, STEPS_MAX = 1000000 };

struct call {
    char name[32];
    uint32_t count;
};

struct tally {
    uint64_t instructions;
    uint32_t calls;      /* all of them */
    uint32_t pipe_calls; /* those on pipes */
    uint32_t call_kinds;
    struct call by_name[CALLS_MAX];
};

struct stepped {
    pid_t pid;
    int signal;  /* to be delivered with the next step */
    pid_t child; /* that it forked last; 0: none */
    int memory;  /* /proc/PID/mem */
    struct user_regs_struct registers;
};

#define CALL(name)                                                                                 \
    { SYS_##name, #name }
static const struct {
    long number;
    const char *name;
} call_names[] = {
    CALL(clone),
    CALL(clone3),
    CALL(close),
    CALL(close_range),
    CALL(epoll_ctl),
    CALL(epoll_pwait),
    CALL(epoll_wait),
    CALL(exit_group),
    CALL(fcntl),
    CALL(fstat),
    CALL(futex),
    CALL(getpid),
    CALL(getppid),
    CALL(getrandom),
    CALL(gettid),
    CALL(kill),
    CALL(mmap),
    CALL(munmap),
    CALL(pause),
    CALL(pidfd_open),
    CALL(pidfd_send_signal),
    CALL(pipe2),
    CALL(poll),
    CALL(prctl),
    CALL(read),
    CALL(rt_sigaction),
    CALL(rt_sigpending),
    CALL(rt_sigprocmask),
    CALL(sched_yield),
    CALL(set_robust_list),
    CALL(timerfd_settime),
    CALL(wait4),
    CALL(waitid),
    CALL(write),
    {SYS_newfstatat, "fstat"},
};
#undef CALL

static int is_pipe_of(pid_t pid, unsigned long long descriptor) {
    char path[64];
    char target[64] = "";
    snprintf(path, sizeof(path), "/proc/%d/fd/%llu", pid, descriptor);
    return readlink(path, target, sizeof(target) - 1) > 0 && strncmp(target, "pipe:", 5) == 0;
}

static void name_call(long number, int on_pipe, char *name, size_t size) {
    const char *suffix = on_pipe ? " (pipe)" : "";
    for (size_t i = 0; i < sizeof(call_names) / sizeof(call_names[0]); i++) {
        if (call_names[i].number == number) {
            snprintf(name, size, "%s%s", call_names[i].name, suffix);
            return;
        }
    }
    snprintf(name, size, "call %ld%s", number, suffix);
}

/* Whether the call that the process is about to make is for a pipe. */
static int is_about_pipe(const struct stepped *process) {
    long number = (long)process->registers.rax;
    int takes_descriptor = number == SYS_close || number == SYS_newfstatat || number == SYS_fstat ||
                           number == SYS_fcntl || number == SYS_read || number == SYS_write;
    return number == SYS_pipe2 ||
           (takes_descriptor && is_pipe_of(process->pid, process->registers.rdi));
}

static void tally_call(struct tally *tally, long number, int on_pipe) {
    char name[sizeof(tally->by_name[0].name)];
    name_call(number, on_pipe, name, sizeof(name));
    tally->calls += 1;
    tally->pipe_calls += on_pipe ? 1 : 0;
    uint32_t kind = 0;
    while (kind < tally->call_kinds && strcmp(tally->by_name[kind].name, name) != 0) {
        kind++;
    }
    if (kind == tally->call_kinds) {
        if (kind == CALLS_MAX) {
            fail("more than %d kinds of system calls", CALLS_MAX);
        }
        memcpy(tally->by_name[kind].name, name, sizeof(name));
        tally->call_kinds += 1;
    }
    tally->by_name[kind].count += 1;
}

static uint32_t tally_of(const struct tally *tally, const char *name) {
    for (uint32_t kind = 0; kind < tally->call_kinds; kind++) {
        if (strcmp(tally->by_name[kind].name, name) == 0) {
            return tally->by_name[kind].count;
        }
    }
    return 0;
}

/* Waits for the next stop and looks at the registers. */
static int await_stop(struct stepped *process) {
    int status = 0;
    if (waitpid(process->pid, &status, __WALL) != process->pid || !WIFSTOPPED(status)) {
        fail("process %d ended while it was counted", process->pid);
    }
    if (ptrace(PTRACE_GETREGS, process->pid, NULL, &process->registers) != 0) {
        fail("registers: %s", strerror(errno));
    }
    return status;
}

/* Takes hold of a process that has just stopped. */
static void step_from_here(struct stepped *process) {
    char path[64];
    (void)await_stop(process);
    snprintf(path, sizeof(path), "/proc/%d/mem", process->pid);
    process->memory = open(path, O_RDONLY | O_CLOEXEC);
    if (process->memory < 0) {
        fail("%s: %s", path, strerror(errno));
    }
}

static int is_at_call(const struct stepped *process) {
    static const unsigned char call[2] = {0x0f, 0x05};
    unsigned char code[2] = {0};
    return pread(process->memory, code, sizeof(code), (off_t)process->registers.rip) ==
               (ssize_t)sizeof(code) &&
           memcmp(code, call, sizeof(call)) == 0;
}

/* Makes one step. Returns whether an instruction was left behind. */
static int step_once(struct stepped *process) {
    unsigned long long before = process->registers.rip;
    if (ptrace(PTRACE_SINGLESTEP, process->pid, NULL, (void *)(intptr_t)process->signal) != 0) {
        fail("step: %s", strerror(errno));
    }
    process->signal = 0;
    int status = await_stop(process);
    if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_FORK << 8))) {
        unsigned long child = 0;
        (void)ptrace(PTRACE_GETEVENTMSG, process->pid, NULL, &child);
        process->child = (pid_t)child;
    } else if (WSTOPSIG(status) != SIGTRAP) {
        process->signal = WSTOPSIG(status);
    }
    return process->registers.rip != before;
}

/* Steps until the process is about to make a call that ends it. */
static void step_until(struct stepped *process, int (*ends)(const struct stepped *),
                       struct tally *tally) {
    for (uint32_t steps = 0; steps < STEPS_MAX; steps++) {
        int at_call = is_at_call(process);
        if (at_call && ends(process)) {
            return;
        }
        long number = (long)process->registers.rax;
        int on_pipe = at_call && is_about_pipe(process);
        if (step_once(process)) {
            tally->instructions += 1;
            if (at_call) {
                tally_call(tally, number, on_pipe);
            }
        }
    }
    fail("process %d: no end after %d instructions", process->pid, STEPS_MAX);
}

#endif
