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

bool filter_forbid(long system_call, int error) {
    struct sock_filter program[] = {
        /* Load the number of the call. The low half of the machine's word is all of it. */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)),
        /* That one: on to the next line; any other: one further. */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)system_call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog whole = {.len = sizeof(program) / sizeof(program[0]), .filter = program};

    return prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0 &&
           prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &whole, 0L, 0L) == 0;
}
