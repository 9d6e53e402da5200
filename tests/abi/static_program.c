/*
 * static_program.c - a program with the static library in it, in C and in C++ alike
 *
 *   static_program fork      two workers by fork, that look for a descriptor by its name
 *   static_program exec      two workers by exec of this program, that do the same
 *   static_program listen    prints how many descriptors it was passed by systemd's protocol
 *
 * SPDX-License-Identifier: MIT
 */
#include <prefork.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What this process is, is known before the program's own constructors run. */
static int early_task_id = -2;
static int is_executed;

__attribute__((constructor)) static void look_early(void) { early_task_id = pf_task_id(); }

/* In a worker: every slot finds the same descriptor, and says so with its task id. */
static int work(int task_id, void *user) {
    char line[32];
    (void)user;
    int fd = pf_worker_fd("output");
    int length = snprintf(line, sizeof(line), "worker %d\n", task_id);
    return fd < 0 || early_task_id != (is_executed ? task_id : -1) ||
           write(fd, line, (size_t)length) != length;
}

static int run(const char *way) {
    pf_pool *pool = NULL;
    int task_id = -1;
    int fd = dup(STDOUT_FILENO);
    int result = pf_pool_new(&pool);
    if (result == 0) {
        result = pf_pool_set_workers(pool, 2);
    }
    if (result == 0) {
        result = pf_pool_set_worker_fn(pool, work, NULL, NULL);
    }
    if (result == 0 && pf_task_id() < 0) {
        result = pf_pool_add_fd(pool, "output", fd);
    }
    if (result == 0 && strcmp(way, "exec") == 0) {
        is_executed = 1;
        result = pf_pool_set_exec(pool, NULL, NULL, NULL);
    }
    if (result == 0) {
        result = pf_pool_run(pool, &task_id);
    }
    if (result != 0) {
        fprintf(stderr, "%s: %s\n", way, pf_strerror(result));
    }
    pf_pool_free(pool);
    close(fd);
    return result != 0;
}

int main(int argc, char **argv) {
    int fds[4];
    if (argc != 2) {
        return 2;
    }
    if (strcmp(argv[1], "listen") == 0) {
        return printf("%d\n", pf_listen_fds(fds, 4)) < 0;
    }
    alarm(20);
    return run(argv[1]);
}
