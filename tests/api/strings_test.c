/*
 * strings_test.c - strings and arrays that a pool is given are copied
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_FOUND = KIND_NOTE };

static void overwrite(char *text) { memset(text, 'x', strlen(text)); }

static int finds_its_names(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    board_require(board, strcmp(pf_worker_pool_name(), "copied") == 0);
    board_note(board, NOTE_FOUND, pf_worker_fd("input"));
    return 0;
}

static void names_are_copied(void **state) {
    struct host *host = *state;
    char pool_name[] = "copied";
    char fd_name[] = "input";
    host->work = finds_its_names;
    assert_int_equal(pf_pool_set_name(host->pool, pool_name), 0);
    assert_int_equal(pf_pool_add_fd(host->pool, fd_name, STDIN_FILENO), 0);
    overwrite(pool_name);
    overwrite(fd_name);

    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(board_find(host->board, NOTE_FOUND, ANY_TASK, 0)->value, STDIN_FILENO);
}

static void a_program_with_its_arguments_and_environment_is_copied(void **state) {
    struct host *host = *state;
    char path[] = "/bin/sh";
    char flag[] = "-c";
    char script[] = "exit $STATUS";
    char variable[] = "STATUS=7";
    const char *arguments[] = {path, flag, script, NULL};
    const char *environment[] = {variable, NULL};
    assert_int_equal(pf_pool_set_restart_policy(host->pool, PF_RESTART_NEVER), 0);
    assert_int_equal(pf_pool_set_exec(host->pool, path, arguments, environment), 0);
    overwrite(path);
    overwrite(flag);
    overwrite(script);
    overwrite(variable);
    memset(arguments, 0, sizeof(arguments));
    memset(environment, 0, sizeof(environment));

    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), 0);

    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->exit_code, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(names_are_copied),
        host_test(a_program_with_its_arguments_and_environment_is_copied),
    };

    return cmocka_run_group_tests_name("strings", tests, NULL, NULL);
}
