/*
 * A library for LD_PRELOAD that makes calls of libprefork fail.
 *
 * It stands before libc for each function of calls.h. A call that comes from libprefork.so is
 * counted; INJECT_PLAN="CALL ERROR FIRST LAST PROCESS;..." names the calls that fail: the uses
 * FIRST to LAST of CALL in PROCESS (0: the supervisor, 1: its children, 2: all). The first one is
 * the failure that is tried, the others are what a scenario stands for, such as an old kernel.
 * Counters are in the file INJECT_STATE, which all processes of a run map. All wrappers take and
 * return machine words, so that one form does for every function.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "state.h"

typedef long (*any_fn)(long, long, long, long, long, long, long);

enum how { how_errno, how_null, how_code, how_done, how_wait };

static const char *const names[] = {
#define CALL(name, how) #name,
#define VFORK(name) #name,
#define NUMBERED(name) "syscall." #name,
#include "calls.h"
};

enum number {
#define CALL(name, how) call_##name,
#define VFORK(name) call_##name,
#define NUMBERED(name) call_syscall_##name,
#include "calls.h"
    call_count
};

_Static_assert((int)call_count <= (int)inject_max_calls, "more calls than the state has room for");

static any_fn real[call_count];
static any_fn real_syscall;
static struct inject_state *state;
static struct inject_state fallback; /* in a program without INJECT_STATE */
static uintptr_t text_begin, text_end;

/* What fails. */
static struct plan {
    int call, error, process;
    unsigned first, last;
} plans[16];
static int plan_count;
static __thread int chosen_error;

static atomic_int prepared;

/* What the library has allocated and not freed yet, in this process: blocks, and mappings. */
static atomic_int balance[2];

int inject_balance(int of_mappings);
int inject_balance(int of_mappings) { return atomic_load(&balance[of_mappings]); }

/* System calls without libc, whose functions are those below. */
static long raw(long number, long a, long b, long c) {
    if (real_syscall == NULL) {
        *(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
    }
    return real_syscall(number, a, b, c, 0, 0, 0);
}

static int find_library(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size;
    (void)unused;
    if (strstr(info->dlpi_name, "libprefork.so") == NULL) {
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
            text_begin = info->dlpi_addr + part->p_vaddr;
            text_end = text_begin + part->p_memsz;
        }
    }
    return 1;
}

static void read_plan(void) {
    const char *text = getenv("INJECT_PLAN");
    while (text != NULL && plan_count < (int)(sizeof(plans) / sizeof(plans[0]))) {
        struct plan *plan = &plans[plan_count];
        char call[48];
        plan->call = -1;
        if (sscanf(text, "%47s %d %u %u %d", call, &plan->error, &plan->first, &plan->last,
                   &plan->process) == 5) {
            for (int i = 0; i < call_count; i++) {
                if (strcmp(call, names[i]) == 0) {
                    plan->call = i;
                }
            }
        }
        plan_count++;
        text = strchr(text, ';');
        text = text == NULL ? NULL : text + 1;
    }
}

static void prepare(void) {
    const int saved = errno;
    for (int i = 0; i < call_count; i++) {
        if (strncmp(names[i], "syscall.", 8) != 0) {
            *(void **)&real[i] = dlsym(RTLD_NEXT, names[i]);
        }
    }
    dl_iterate_phdr(find_library, NULL);
    state = &fallback;
    const char *path = getenv("INJECT_STATE");
    const long file = path != NULL ? raw(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC) : -1;
    if (file >= 0) {
        const long memory =
            real[call_mmap64](0, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0, 0);
        if (memory != -1) {
            state = (struct inject_state *)memory;
        }
        raw(SYS_close, file, 0, 0);
    }
    for (int i = 0; i < call_count; i++) {
        strncpy(state->calls[i].name, names[i], sizeof(state->calls[i].name) - 1);
    }
    if (state->supervisor == 0) {
        state->supervisor = (int)raw(SYS_getpid, 0, 0, 0);
    }
    read_plan();
    errno = saved;
    atomic_store(&prepared, 1);
}

/* The scenario calls this in a daemon: from here on it is the supervisor. */
void inject_be_supervisor(void) { state->supervisor = (int)raw(SYS_getpid, 0, 0, 0); }

static int is_of_library(const void *caller) {
    if (!atomic_load(&prepared)) {
        prepare();
    }
    return (uintptr_t)caller >= text_begin && (uintptr_t)caller < text_end;
}

/* Whether this use of a call fails. */
static int is_chosen(int call, const void *caller) {
    if (!is_of_library(caller)) {
        return 0;
    }
    const int process = raw(SYS_getpid, 0, 0, 0) != state->supervisor;
    const unsigned use = atomic_fetch_add(&state->calls[call].uses[process], 1) + 1;
    for (int i = 0; i < plan_count; i++) {
        const struct plan *plan = &plans[i];
        if (call == plan->call && (plan->process == process || plan->process == 2) &&
            use >= plan->first && use <= plan->last) {
            chosen_error = plan->error;
            if (i == 0) {
                atomic_fetch_add(&state->failed, 1);
            }
            return 1;
        }
    }
    return 0;
}

static long failure(enum how how) {
    errno = chosen_error < 0 ? 0 : chosen_error;
    switch (how) {
    case how_null:
        return 0;
    case how_code:
        return chosen_error;
    default:
        return -1;
    }
}

/* close() gives the descriptor up whatever it returns. A wait that finds no child finds none since
 * somebody else has reaped it: it is done, and fails if it has found one. Returns whether the call
 * was done, and has not found any. */
static int found_none(enum how how, int call, const long *arguments, long *ret_result) {
    if (how != how_done && (how != how_wait || chosen_error != ECHILD)) {
        return 0;
    }
    const long *a = arguments;
    if (call == call_syscall_waitid) {
        *ret_result = real_syscall(SYS_waitid, a[0], a[1], a[2], a[3], a[4], a[5]);
    } else {
        *ret_result = real[call](a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    }
    if (how == how_done || *ret_result < 0) {
        return 0;
    }
    const siginfo_t *info = call != call_wait4 ? (const siginfo_t *)a[2] : NULL;
    return *ret_result == 0 && (info == NULL || info->si_pid == 0);
}

/* Counts what a call has allocated. What the system does not let the library unmap is no leak. */
static void count_memory(int call, long a, long result) {
    switch (call) {
    case call_realloc:
        atomic_fetch_add(&balance[0], result != 0 && a == 0);
        break;
    case call_malloc:
    case call_calloc:
    case call_strdup:
    case call_get_current_dir_name:
    case call___sched_cpualloc:
        atomic_fetch_add(&balance[0], result != 0);
        break;
    case call_asprintf:
        atomic_fetch_add(&balance[0], (int)result >= 0);
        break;
    case call_getaddrinfo:
        atomic_fetch_add(&balance[0], (int)result == 0);
        break;
    case call_mmap64:
        atomic_fetch_add(&balance[1], result != -1);
        break;
    case call_munmap:
        atomic_fetch_sub(&balance[1], (int)result == 0);
        break;
    default:
        break;
    }
}

/* These never fail. __sched_cpufree() jumps to free(). */
#define FREE(name)                                                                                 \
    void inject_##name(void *memory) __asm__(#name);                                               \
    void inject_##name(void *memory) {                                                             \
        static void (*real_##name)(void *);                                                        \
        if (real_##name == NULL) {                                                                 \
            *(void **)&real_##name = dlsym(RTLD_NEXT, #name);                                      \
        }                                                                                          \
        if (memory != NULL && is_of_library(__builtin_return_address(0))) {                        \
            atomic_fetch_sub(&balance[0], 1);                                                      \
        }                                                                                          \
        real_##name(memory);                                                                       \
    }
FREE(free)
FREE(freeaddrinfo)

#define CALL(name, how)                                                                            \
    long inject_##name(long a, long b, long c, long d, long e, long f, long g) __asm__(#name);     \
    long inject_##name(long a, long b, long c, long d, long e, long f, long g) {                   \
        if (is_chosen(call_##name, __builtin_return_address(0))) {                                 \
            const long arguments[] = {a, b, c, d, e, f, g};                                        \
            long result;                                                                           \
            if (found_none(how, call_##name, arguments, &result)) {                                \
                return result;                                                                     \
            }                                                                                      \
            if (call_##name == call_munmap) {                                                      \
                count_memory(call_munmap, a, 0);                                                   \
            }                                                                                      \
            return failure(how);                                                                   \
        }                                                                                          \
        const long made = real[call_##name](a, b, c, d, e, f, g);                                  \
        if (is_of_library(__builtin_return_address(0))) {                                          \
            count_memory(call_##name, a, made);                                                    \
        }                                                                                          \
        return made;                                                                               \
    }
#define VFORK(name)
#define NUMBERED(name)
#include "calls.h"

long inject_syscall(long number, long a, long b, long c, long d, long e, long f) __asm__("syscall");
long inject_syscall(long number, long a, long b, long c, long d, long e, long f) {
    const void *caller = __builtin_return_address(0);
    int call = -1;
    switch (number) {
#define CALL(name, how)
#define VFORK(name)
#define NUMBERED(name)                                                                             \
    case SYS_##name:                                                                               \
        call = call_syscall_##name;                                                                \
        break;
#include "calls.h"
    default:
        break;
    }
    if (call >= 0 && is_chosen(call, caller)) {
        const long arguments[] = {number, a, b, c, d, e, f};
        long result;
        if (number == SYS_waitid &&
            found_none(how_wait, call_syscall_waitid, arguments + 1, &result)) {
            return result;
        }
        return failure(how_errno);
    }
    if (call < 0 && number != SYS_gettid && (uintptr_t)caller >= text_begin &&
        (uintptr_t)caller < text_end && state != NULL) {
        state->unknown = (int)number;
    }
    if (real_syscall == NULL) {
        *(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
    }
    return real_syscall(number, a, b, c, d, e, f);
}

/* vfork() returns twice into its caller's frame, so nothing of ours may be on the stack then. */
#ifdef __x86_64__
any_fn inject_decide_vfork(const void *caller);
any_fn inject_decide_vfork(const void *caller) {
    return is_chosen(call_vfork, caller) ? NULL : real[call_vfork];
}
static long fail_vfork(void) __attribute__((used));
static long fail_vfork(void) { return failure(how_errno); }
__asm__(".text\n.globl vfork\n.type vfork, @function\nvfork:\n"
        "	movq (%rsp), %rdi\n"
        "	subq $8, %rsp\n"
        "	call inject_decide_vfork@PLT\n"
        "	addq $8, %rsp\n"
        "	testq %rax, %rax\n"
        "	jz fail_vfork\n"
        "	jmp *%rax\n"
        ".size vfork, . - vfork\n");
#endif
