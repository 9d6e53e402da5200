/*
 * facts.c - what this kernel has of what the library uses, and which backend a pool takes
 *
 * Prints one line "name value" for each; "no" where a call fails.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <prefork.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/error_name.h"

enum { P_PIDFD_NUMBER = 3, CLOSE_RANGE_NUMBER = 436, CLOEXEC_BIT = 1 << 2 };

static int open_pidfd(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

static void print_fact(const char *name, long result) {
    printf("%s %s\n", name, result >= 0 ? "yes" : error_name(errno));
    (void)fflush(stdout);
}

/* ---- Calls ----------------------------------------------------------------------------- */

/* Of the pidfd of a child that has ended: how its status can be found. */
static void print_waits(void) {
    pid_t child = fork();
    siginfo_t info;

    if (child == 0) {
        _exit(3);
    }
    int fd = open_pidfd(child);
    print_fact("pidfd_open", fd);
    print_fact("pidfd_send_signal", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    print_fact("waitid_pidfd", waitid((idtype_t)P_PIDFD_NUMBER, (id_t)fd, &info, WEXITED));
    (void)waitpid(child, NULL, 0);
    struct {
        uint64_t mask;
        uint64_t rest[7];
    } process = {.mask = 8};
    print_fact("pidfd_get_info", syscall(SYS_ioctl, fd, _IOWR(0xFF, 11, process), &process));
    if (fd >= 0) {
        close(fd);
    }
}

static void print_clone(void) {
    int fd = -1;
    struct clone_args args = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&fd, .exit_signal = SIGCHLD};
    long child = syscall(SYS_clone3, &args, sizeof(args));

    if (child == 0) {
        _exit(0);
    }
    print_fact("clone_pidfd", child < 0 ? -1 : fd);
    if (child > 0) {
        (void)waitpid((pid_t)child, NULL, 0);
        close(fd);
    }
}

static ino_t pid_namespace(void) {
    struct stat status;

    return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

static void print_rest(void) {
    struct sockaddr_un none = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    print_fact("autobind",
               bind(fd, (struct sockaddr *)&none, offsetof(struct sockaddr_un, sun_path)));
    close(fd);
    print_fact("close_range", syscall(CLOSE_RANGE_NUMBER, ~0U, ~0U, 0));
    print_fact("close_range_cloexec", syscall(CLOSE_RANGE_NUMBER, ~0U, ~0U, CLOEXEC_BIT));
    print_fact("subreaper", prctl(PR_SET_CHILD_SUBREAPER, 0L, 0L, 0L, 0L));
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    print_fact("wipe_on_fork", madvise(page, 4096, MADV_WIPEONFORK));
    const ino_t before = pid_namespace();
    printf("namespace_number %s\n", before == pid_namespace() ? "lasts" : "changes");
    print_fact("death_signal", prctl(PR_SET_PDEATHSIG, 0L, 0L, 0L, 0L));
}

/* ---- The pool -------------------------------------------------------------------------- */

static int wait_for_stop(int task_id, void *user) {
    (void)task_id;
    (void)user;
    (void)pause();
    return 0;
}

/* The handler of SIGCHLD is there in one backend only. */
static bool has_handler(void) {
    struct sigaction action;

    return sigaction(SIGCHLD, NULL, &action) == 0 &&
           ((action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_DFL);
}

/* The pool without a handler waits by pidfds. */
static void print_pool(const char *name, int backend) {
    pf_pool *pool = NULL;
    int result = pf_pool_new(&pool);

    result = result < 0 ? result : pf_pool_set_workers(pool, 2);
    result = result < 0 ? result : pf_pool_set_worker_fn(pool, wait_for_stop, NULL, NULL);
    result = result < 0 ? result : pf_pool_set_backend(pool, backend);
    result = result < 0 ? result : pf_pool_start(pool);
    result = result < 0 ? result : pf_pool_dispatch(pool, 0);
    bool handler = has_handler();
    if (result >= 0) {
        result = pf_pool_stop(pool);
    }
    while (result >= 0 && (result = pf_pool_dispatch(pool, 1000)) == 1) {
    }
    (void)pf_pool_free(pool);
    const char *taken = handler ? "sigchld" : "pidfd";
    printf("%s %s\n", name, result < 0 ? error_name(-result) : taken);
}

int main(void) {
    struct utsname name;

    (void)uname(&name);
    printf("release %s\n", name.release);
    (void)fflush(stdout);
    print_waits();
    print_clone();
    print_rest();
    print_pool("backend", PF_BACKEND_AUTO);
    print_pool("asked_for_pidfd", PF_BACKEND_PIDFD);
    print_pool("asked_for_sigchld", PF_BACKEND_SIGCHLD);
    return 0;
}
