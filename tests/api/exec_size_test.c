/*
 * exec_size_test.c - names, arguments and environments that the kernel would not take
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

enum { NAME_SIZE = 256, NAMES_MAX = 1024, STRING_MAX = 131072, STRINGS = 20, HALF = 10 };
enum { STACK_SIZE = 8388608 /* a quarter of it is for arguments and environment */ };

/* A string of so many bytes, its zero byte included. */
static char *string_of(size_t size) {
    char *string = malloc(size);

    assert_non_null(string);
    memset(string, 'x', size);
    string[size - 1] = '\0';
    return string;
}

/* The last name stands at the end of each variable. */
static void names_that_were_taken_fit(void **state) {
    struct host *host = *state;
    char name[NAME_SIZE];
    int result = 0;
    int count = 0;
    memset(name, 'n', sizeof(name));
    name[NAME_SIZE - 1] = '\0';

    for (; count < NAMES_MAX && result == 0; count++) {
        (void)snprintf(name, sizeof(name), "%d", count);
        name[strlen(name)] = 'n';
        result = pf_pool_add_fd(host->pool, name, STDERR_FILENO);
    }

    assert_int_equal(result, -E2BIG);
    assert_true(count > 200);
    (void)snprintf(name, sizeof(name), "%d", count - 2);
    name[strlen(name)] = 'n';
    assert_int_equal(pf_pool_add_fd(host->pool, name, STDERR_FILENO), -EEXIST);
    executes(host, text_of("fd:%s", name), "run:", "term", NULL);
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reports(host, "result=0", 2));
    assert_int_equal(report_count(text_of("n=%d flags=1", 3 + count - 2)), 2);
    assert_int_equal(host_stops(host), 0);
}

static void too_long_a_string_is_refused(void **state) {
    struct host *host = *state;
    char *string = string_of(STRING_MAX);
    char *longer = string_of(STRING_MAX + 1);
    const char *const fits[] = {string, NULL};
    const char *const refused[] = {longer, NULL};

    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", refused, NULL), -E2BIG);
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", NULL, refused), -E2BIG);
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", fits, fits), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), 0);

    free(string);
    free(longer);
}

static void too_many_strings_are_refused(void **state) {
    struct host *host = *state;
    char *string = string_of(STRING_MAX);
    const char *strings[STRINGS + 1] = {NULL};
    for (int i = 0; i < STRINGS; i++) {
        strings[i] = string;
    }

    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", strings, NULL), -E2BIG);
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", NULL, strings), -E2BIG);

    free(string);
}

/* Alone each fits, but not all together. What the pool says of it comes before a first worker. */
static void what_does_not_fit_together_is_refused_at_the_start(void **state) {
    struct host *host = *state;
    char *string = string_of(STRING_MAX);
    const char *strings[STRINGS + 1] = {NULL};
    const char *const few[] = {string, NULL};
    for (int i = 0; i < HALF; i++) {
        strings[i] = string;
    }

    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", strings, strings), -E2BIG);
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", strings, NULL), 0);
    for (int i = 0; i < HALF; i++) {
        assert_int_equal(setenv(text_of("LONG_%d", i), string + 32, 1), 0);
    }
    assert_int_equal(host_begin(host, 1), -E2BIG);
    for (int i = 0; i < HALF; i++) {
        assert_int_equal(unsetenv(text_of("LONG_%d", i)), 0);
    }
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", few, NULL), 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(host_finishes(host), 0);

    free(string);
}

/* The kernel takes a quarter of the stack's limit. */
static void a_small_stack_holds_less(void **state) {
    struct host *host = *state;
    struct rlimit before, less;
    char *string = string_of(STRING_MAX / 2);
    const char *const strings[] = {string, string, string, NULL};

    assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
    less = before;
    less.rlim_cur = (rlim_t)STRING_MAX * 4;
    assert_int_equal(setrlimit(RLIMIT_STACK, &less), 0);
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", strings, NULL), -E2BIG);
    assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
    assert_int_equal(pf_pool_set_exec(host->pool, "/bin/true", strings, NULL), 0);

    free(string);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_test(names_that_were_taken_fit),
        executed_test(too_long_a_string_is_refused),
        executed_test(too_many_strings_are_refused),
        executed_test(what_does_not_fit_together_is_refused_at_the_start),
        executed_test(a_small_stack_holds_less),
    };

    struct rlimit stack;

    if (getrlimit(RLIMIT_STACK, &stack) != 0 ||
        (stack.rlim_cur = STACK_SIZE, setrlimit(RLIMIT_STACK, &stack) != 0)) {
        return EXIT_FAILURE;
    }
    backend_use(PF_BACKEND_AUTO);
    return cmocka_run_group_tests_name("sizes of arguments and environment", tests, NULL, NULL);
}
