/*
 * filter.c - forbid a process and its children a system call, as a container's profile does
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scenario.h"

/* Where the lower half of a 64-bit argument is. */
enum { LOWER_HALF = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4 };

static bool keeps_rights = false;

void filter_keep_rights(void) { keeps_rights = true; }

static bool install(struct sock_filter *program, size_t length) {
    struct sock_fprog whole = {.len = (unsigned short)length, .filter = program};

    leave_out_leak_check(); /* which clones the process and waits, and may be forbidden to */
    return (keeps_rights || prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0) &&
           prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &whole, 0L, 0L) == 0;
}

bool filter_forbid(long system_call, int error) {
    struct sock_filter program[] = {
        /* Load the number of the call. The low half of the machine's word is all of it. */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)),
        /* That one: on to the next line; any other: one further. */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)system_call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    return install(program, sizeof(program) / sizeof(program[0]));
}

bool filter_forbid_value(long system_call, unsigned argument, uint32_t value, int error) {
    uint32_t place = (uint32_t)offsetof(struct seccomp_data, args) + 8 * argument;
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)system_call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, place + LOWER_HALF),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    return install(program, sizeof(program) / sizeof(program[0]));
}

int filter_watch(void) {
    struct sock_filter program[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)};
    struct sock_fprog whole = {.len = 1, .filter = program};

    leave_out_leak_check();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) != 0) {
        return -1;
    }
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &whole);
}
