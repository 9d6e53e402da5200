/*
 * failing.c - let a call of the library fail
 *
 * All calls take and return machine words here, so that one form does for every function.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "failing.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct failure failure; /* without a call: none */
static pid_t began;
static unsigned uses;
static unsigned *failed; /* shared with the children */

void failure_begin(const struct failure *wanted) {
    if (failed == NULL) {
        void *memory =
            mmap(NULL, sizeof(*failed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            abort();
        }
        failed = memory;
    }
    *failed = 0;
    uses = 0;
    began = getpid();
    failure = *wanted;
}

unsigned failure_end(void) {
    failure.call = NULL;
    return failed == NULL ? 0 : *failed;
}

#if CALLS_CAN_FAIL

void failure_for_program(const struct failure *wanted) {
    char text[96];

    (void)snprintf(text, sizeof(text), "%u %u %d %s", wanted->first, wanted->count, wanted->error,
                   wanted->call);
    if (setenv(FAILURE_VARIABLE, text, 1) != 0) {
        abort();
    }
}

static void read_variable(void) {
    static char call[48];
    static bool was_read;
    struct failure found = {.call = call};

    if (!was_read) {
        was_read = true;
        const char *text = getenv(FAILURE_VARIABLE);
        if (text != NULL &&
            sscanf(text, "%u %u %d %47s", &found.first, &found.count, &found.error, call) == 4) {
            failure = found;
            began = getpid();
        }
    }
}

static bool fails(const char *call) {
    read_variable();
    const enum where here = getpid() == began ? IN_THIS_PROCESS : IN_CHILDREN;
    if (failure.call == NULL || strcmp(failure.call, call) != 0 ||
        (failure.where != ANYWHERE && failure.where != here)) {
        return false;
    }
    uses += 1;
    if (uses < failure.first || (failure.count > 0 && uses >= failure.first + failure.count)) {
        return false;
    }
    if (failed != NULL) {
        *failed += 1;
    }
    errno = failure.error < 0 ? EIO : failure.error; /* the resolver has numbers of its own */
    return true;
}

static const char *name_of(long number) {
    switch (number) {
    case SYS_close_range:
        return "syscall.close_range";
    case SYS_getdents64:
        return "syscall.getdents64";
    case SYS_pidfd_open:
        return "syscall.pidfd_open";
    case SYS_pidfd_send_signal:
        return "syscall.pidfd_send_signal";
    case SYS_pwritev2:
        return "syscall.pwritev2";
    case SYS_renameat2:
        return "syscall.renameat2";
    case SYS_waitid:
        return "syscall.waitid";
    default:
        return "syscall";
    }
}

typedef long (*any_fn)(long, long, long, long, long, long, long);

static any_fn find(const char *name) {
    any_fn found;

    *(void **)&found = dlsym(RTLD_NEXT, name);
    return found;
}

#define CALL(name, failed_value)                                                                   \
    long failing_##name(long a, long b, long c, long d, long e, long f, long g) __asm__(#name);    \
    long failing_##name(long a, long b, long c, long d, long e, long f, long g) {                  \
        static any_fn real;                                                                        \
        if (real == NULL) {                                                                        \
            real = find(#name);                                                                    \
        }                                                                                          \
        return fails(#name) ? (failed_value) : real(a, b, c, d, e, f, g);                          \
    }

CALL(asprintf, -1)
CALL(bind, -1)
CALL(calloc, 0)
CALL(chmod, -1)
CALL(connect, -1)
CALL(dup2, -1)
CALL(epoll_create1, -1)
CALL(epoll_ctl, -1)
CALL(epoll_pwait, -1)
CALL(eventfd, -1)
CALL(fchmod, -1)
CALL(fcntl64, -1)
CALL(flock, -1)
CALL(fork, -1)
CALL(fstat64, -1)
CALL(fstatat64, -1)
CALL(fstatfs64, -1)
CALL(ftruncate64, -1)
CALL(get_current_dir_name, 0)
CALL(getaddrinfo, failure.error)
CALL(getrandom, -1)
CALL(getresgid, -1)
CALL(getresuid, -1)
CALL(getrlimit64, -1)
CALL(ioctl, -1)
CALL(linkat, -1)
CALL(listen, -1)
CALL(madvise, -1)
CALL(malloc, 0)
CALL(mkdtemp, 0)
CALL(mmap64, -1)
CALL(open64, -1)
CALL(openat64, -1)
CALL(pipe2, -1)
CALL(poll, -1)
CALL(read, -1)
CALL(readlink, -1)
CALL(realloc, 0)
CALL(renameat, -1)
CALL(sched_getaffinity, -1)
CALL(setsid, -1)
CALL(setsockopt, -1)
CALL(sigaction, -1)
CALL(sigpending, -1)
CALL(socket, -1)
CALL(stat64, -1)
CALL(statfs64, -1)
CALL(strdup, 0)
CALL(sysconf, -1)
CALL(tee, -1)
CALL(timerfd_create, -1)
CALL(timerfd_settime, -1)
CALL(unlinkat, -1)
CALL(wait4, -1)
CALL(waitid, -1)
CALL(write, -1)

long failing_syscall(long number, long a, long b, long c, long d, long e,
                     long f) __asm__("syscall");
long failing_syscall(long number, long a, long b, long c, long d, long e, long f) {
    static any_fn real;

    if (real == NULL) {
        real = find("syscall");
    }
    return fails(name_of(number)) ? -1 : real(number, a, b, c, d, e, f);
}

/* What _FORTIFY_SOURCE makes of openat(2) without a mode. */
long failing_openat64_2(long a, long b, long c) __asm__("__openat64_2");
long failing_openat64_2(long a, long b, long c) { return failing_openat64(a, b, c, 0, 0, 0, 0); }

long failing_open64_2(long a, long b) __asm__("__open64_2");
long failing_open64_2(long a, long b) { return failing_open64(a, b, 0, 0, 0, 0, 0); }

#else

void failure_for_program(const struct failure *wanted) { (void)wanted; }

#endif
