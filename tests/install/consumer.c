/*
 * consumer.c - a program of somebody else: knows the installed header and library alone
 *
 * SPDX-License-Identifier: MIT
 */
#include <prefork.h>
#include <stdio.h>

int main(void) {
    int task_id = pf_fork_processes(2, 0);
    if (task_id < 0) {
        fprintf(stderr, "consumer: %s\n", pf_strerror(task_id));
        return 1;
    }
    return printf("worker %d\n", task_id) > 0 ? 0 : 1;
}
