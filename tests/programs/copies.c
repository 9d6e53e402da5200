/*
 * copies.c - a process that holds several copies of the library, and makes a pool by exec of itself
 *
 *   copies STEP...
 *
 *   clear       the environment is emptied, but for what the tests need
 *   copy:PATH   another copy is loaded from there; the steps below are for it
 *   space:PATH  the same in a name space of its own
 *   tell        what the process is for the copy
 *   pool:NAME   a pool of one worker by exec is run; that is the last step of the first process
 *   fork        pf_fork_processes()
 *   twin:PATH   "tell" and "pool:" in a child that is forked and loads that copy, if there is one
 *   again       this program with the steps tell, fork and tell in a child that executes it
 *
 * The steps before the first copy are for the one that the program is linked with. It does not
 * execute itself more than twice, whatever the library makes of it: DEPTH counts.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prefork.h"
#include "report.h"

static struct {
    __typeof__(&pf_task_id) task_id;
    __typeof__(&pf_worker_pool_name) worker_pool;
    __typeof__(&pf_fork_processes) fork_processes;
    __typeof__(&pf_set_event_callback) set_callback;
    __typeof__(&pf_pool_new) pool_new;
    __typeof__(&pf_pool_set_name) set_name;
    __typeof__(&pf_pool_set_workers) set_workers;
    __typeof__(&pf_pool_set_max_restarts) set_max_restarts;
    __typeof__(&pf_pool_set_exec) set_exec;
    __typeof__(&pf_pool_run) run;
    __typeof__(&pf_pool_free) free;
} library = {
    pf_task_id,       pf_worker_pool_name, pf_fork_processes,   pf_set_event_callback,
    pf_pool_new,      pf_pool_set_name,    pf_pool_set_workers, pf_pool_set_max_restarts,
    pf_pool_set_exec, pf_pool_run,         pf_pool_free,
};

static int depth;

static void ignore_event(const pf_event *event, void *user) {
    (void)event;
    (void)user;
}

/* ISO C has no cast from a data pointer to a function pointer. */
static void find(void *copy, const char *name, void *ret_function) {
    void *function = dlsym(copy, name);

    if (function == NULL) {
        exit(2);
    }
    memcpy(ret_function, &function, sizeof(function));
}

static void use(void *copy) {
    if (copy == NULL) {
        report("no copy: %s", dlerror());
        exit(3);
    }
    find(copy, "pf_task_id", &library.task_id);
    find(copy, "pf_worker_pool_name", &library.worker_pool);
    find(copy, "pf_fork_processes", &library.fork_processes);
    find(copy, "pf_set_event_callback", &library.set_callback);
    find(copy, "pf_pool_new", &library.pool_new);
    find(copy, "pf_pool_set_name", &library.set_name);
    find(copy, "pf_pool_set_workers", &library.set_workers);
    find(copy, "pf_pool_set_max_restarts", &library.set_max_restarts);
    find(copy, "pf_pool_set_exec", &library.set_exec);
    find(copy, "pf_pool_run", &library.run);
    find(copy, "pf_pool_free", &library.free);
}

static void tell(void) {
    const char *name = library.worker_pool();
    report("depth=%d task=%d pool=%s", depth, library.task_id(), name == NULL ? "none" : name);
}

static void run_pool(const char *name) {
    pf_pool *pool = NULL;
    int task_id = -1;

    library.set_callback(ignore_event, NULL);
    int result = library.pool_new(&pool);
    result = result < 0 ? result : library.set_name(pool, name);
    result = result < 0 ? result : library.set_workers(pool, 1);
    result = result < 0 ? result : library.set_max_restarts(pool, 0);
    result = result < 0 ? result : library.set_exec(pool, NULL, NULL, NULL);
    if (result == 0) {
        result = library.run(pool, &task_id);
    }
    report("depth=%d run %s result=%d task=%d", depth, name, result, task_id);
    (void)library.free(pool);
    if (depth == 0) {
        exit(0);
    }
}

static void in_child(void (*what)(const char *), const char *value) {
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        what(value);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        report("child status=%d", status);
    }
}

static void be_twin(const char *path) {
    if (path[0] != '\0') {
        use(dlopen(path, RTLD_NOW | RTLD_LOCAL));
    }
    tell();
    run_pool("twin");
}

static void execute_again(const char *value) {
    (void)value;
    execl("/proc/self/exe", "copies", "tell", "fork", "tell", (char *)NULL);
    _exit(4);
}

static void clear(void) {
    const char *const names[] = {"REPORT", "DEPTH"};
    char *values[2];

    for (int i = 0; i < 2; i++) {
        const char *value = getenv(names[i]);
        values[i] = value == NULL ? NULL : strdup(value);
    }
    if (clearenv() != 0) {
        exit(5);
    }
    for (int i = 0; i < 2; i++) {
        if (values[i] == NULL || setenv(names[i], values[i], 1) != 0) {
            exit(5);
        }
        free(values[i]);
    }
}

static void take_step(const char *step) {
    const char *value = strchr(step, ':');

    value = value == NULL ? "" : value + 1;
    if (strcmp(step, "clear") == 0) {
        clear();
    } else if (strncmp(step, "copy:", 5) == 0) {
        use(dlopen(value, RTLD_NOW | RTLD_LOCAL));
    } else if (strncmp(step, "space:", 6) == 0) {
#ifdef LM_ID_NEWLM
        use(dlmopen(LM_ID_NEWLM, value, RTLD_NOW));
#else
        use(NULL); /* a C library without namespaces */
#endif
    } else if (strcmp(step, "tell") == 0) {
        tell();
    } else if (strncmp(step, "pool:", 5) == 0) {
        run_pool(value);
    } else if (strcmp(step, "fork") == 0) {
        report("depth=%d fork result=%d", depth, library.fork_processes(1, 0));
    } else if (strncmp(step, "twin:", 5) == 0) {
        in_child(be_twin, value);
    } else if (strcmp(step, "again") == 0) {
        in_child(execute_again, value);
    } else {
        exit(6);
    }
}

int main(int argc, char **argv) {
    enum { DEPTH_MAX = 2 };
    const char *text = getenv("DEPTH");
    char deeper[16];

    depth = text == NULL ? 0 : atoi(text);
    (void)snprintf(deeper, sizeof(deeper), "%d", depth + 1);
    if (depth > DEPTH_MAX || setenv("DEPTH", deeper, 1) != 0) {
        report("and so on");
        return 7;
    }
    for (int i = 1; i < argc; i++) {
        take_step(argv[i]);
    }
    return 0;
}
