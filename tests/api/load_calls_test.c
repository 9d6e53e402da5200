/*
 * load_calls_test.c - calls that fail one by one while the library is loaded: the program works all
 * the same, or it gets an error where it needs what was not found
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "failing.h"
#include "scenario.h"

enum { WORKER_ENDS = 1 };

/* How the program ends. */
enum { WORKED = 0, IS_NO_WORKER = 41, HAS_NO_PROGRAM, RUN_FAILED, IS_WRONG };

static char program[] = "./load_calls_test";

static struct failure failure;
static char of_supervisor[] = "supervisor", of_workers[] = "workers";
static char *whose = of_supervisor; /* calls fail */

/* ---- The program ----------------------------------------------------------------------- */

static void ignore_event(const pf_event *event, void *user) {
    (void)event;
    (void)user;
}

/* Its worker is itself. */
static int supervise_or_work(const char *whose_text, const char *text) {
    pf_pool *pool = NULL;
    int task_id = -2;

    (void)failure_end(); /* it has been loaded */
    if (strcmp(whose_text, of_supervisor) == 0 ? unsetenv(FAILURE_VARIABLE) != 0
                                               : setenv(FAILURE_VARIABLE, text, 1) != 0) {
        return IS_WRONG;
    }
    if (pf_pool_new(&pool) != 0 || pf_pool_set_workers(pool, 1) != 0 ||
        pf_pool_set_event_callback(pool, ignore_event, NULL, NULL) != 0 ||
        pf_pool_set_max_restarts(pool, 2) != 0) {
        return IS_WRONG;
    }
    int result = pf_pool_set_exec(pool, NULL, NULL, NULL);
    if (result < 0) {
        return result == -ENOENT || result == -ESRCH ? HAS_NO_PROGRAM : IS_WRONG;
    }
    result = pf_pool_run(pool, &task_id);
    (void)pf_pool_free(pool);
    if (result == 0 && task_id == 0) {
        return pf_task_id() == 0 ? WORKED : IS_WRONG;
    }
    if (result == -ESRCH) {
        return IS_NO_WORKER;
    }
    return result == 0 && task_id == -1 ? WORKED : result == PF_EGAVEUP ? RUN_FAILED : IS_WRONG;
}

/* ---- The test -------------------------------------------------------------------------- */

static int become_program(struct board *board) {
    char path[512], text[128];
    char *arguments[] = {program, whose, text, NULL};
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

    (void)board;
    path[length > 0 ? length : 0] = '\0';
    failure_for_program(&failure);
    (void)snprintf(text, sizeof(text), "%s", getenv(FAILURE_VARIABLE));
    if (chdir(dirname(path)) != 0 || (whose == of_workers && unsetenv(FAILURE_VARIABLE) != 0)) {
        return IS_WRONG;
    }
    execv(program, arguments);
    return IS_WRONG;
}

static int end_of_program(void) {
    struct scenario run;

    assert_true(scenario_open(&run));
    run.output_taken = true;
    scenario_start_host(&run, become_program);
    const int status = scenario_wait(&run);
    print_message("%s %u: %#x %s\n", failure.call, failure.first, (unsigned)status,
                  scenario_output(&run));
    assert_true(scenario_close(&run));
    assert_int_equal(status & 0xff, 0);
    return status >> 8;
}

static void try_program(char *of) {
    static const struct {
        const char *call;
        int error;
        unsigned uses;
    } uses[] = {
        {"open64", EMFILE, 6},   {"read", EINTR, 8},     {"read", EIO, 8},
        {"calloc", ENOMEM, 6},   {"strdup", ENOMEM, 2},  {"asprintf", ENOMEM, 2},
        {"readlink", EACCES, 2}, {"stat64", EACCES, 4},  {"get_current_dir_name", ENOMEM, 2},
        {"mmap64", ENOMEM, 2},   {"madvise", EINVAL, 3}, {"fcntl64", EBADF, 8},
        {"fstat64", ENOMEM, 8},
    };
    require_failing();
    whose = of;
    for (unsigned i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        for (unsigned nth = 1; nth <= uses[i].uses; nth++) {
            failure = (struct failure){uses[i].call, uses[i].error, nth, 1, IN_THIS_PROCESS};
            const int end = end_of_program();
            assert_true(end == WORKED || end == (of == of_workers ? RUN_FAILED : HAS_NO_PROGRAM));
        }
    }
}

static void a_supervisor_works_or_says_what_it_could_not_know(void **state) {
    (void)state;
    try_program(of_supervisor);
}

static void a_worker_works_or_is_none(void **state) {
    (void)state;
    try_program(of_workers);
}

int main(int count, char **arguments) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_supervisor_works_or_says_what_it_could_not_know),
        scenario_test(a_worker_works_or_is_none),
    };

    return count == 3 ? supervise_or_work(arguments[1], arguments[2])
                      : cmocka_run_group_tests_name("calls at load", tests, NULL, NULL);
}
