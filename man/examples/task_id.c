/*
 * task_id.c - the task id in the host, in a worker, and in its child
 *
 * SPDX-License-Identifier: MIT
 */
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each process writes one line and flushes it, so that no line is
 * written twice. */
static void tell(const char *who) {
    if (printf("%s: task id %d\n", who, pf_task_id()) < 0 ||
        fflush(stdout) != 0) {
        perror("task_id: stdout");
        _exit(EXIT_FAILURE);
    }
}

int main(void) {
    tell("before the call"); /* -1 */
    int task_id = pf_fork_processes(2, 0);
    if (task_id < 0) {
        fprintf(stderr, "task_id: %s\n", pf_strerror(task_id));
        return EXIT_FAILURE;
    }
    tell("worker");

    pid_t child = fork();
    if (child < 0) {
        perror("task_id: fork");
        _exit(EXIT_FAILURE);
    }
    if (child == 0) {
        tell("child of a worker"); /* the worker's */
        _exit(EXIT_SUCCESS);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) {
        perror("task_id: waitpid");
        _exit(EXIT_FAILURE);
    }
    _exit(status == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
