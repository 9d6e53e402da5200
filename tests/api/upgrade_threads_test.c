/*
 * upgrade_threads_test.c - upgrades of a supervisor whose other threads use the library meanwhile
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "upgrader.h"

static void plays(const char *name) {
    pid_t program = fork();
    if (program == 0) {
        (void)prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L);
        (void)setenv("LD_LIBRARY_PATH", library_directory(), 1);
        (void)execl(program_path("upgrade_beside"), "upgrade_beside", name, "0", NULL);
        _exit(93);
    }

    assert_int_equal(server_end(program), 0);
    assert_all_end();
}

static void start_waits_for_the_upgrade(void **state) {
    (void)state;
    plays("start");
}

static void dispatch_waits_for_the_upgrade(void **state) {
    (void)state;
    plays("dispatch");
}

static void free_waits_for_the_upgrade(void **state) {
    (void)state;
    plays("free");
}

static void pool_that_is_being_freed_refuses_the_upgrade(void **state) {
    (void)state;
    plays("amid_free");
}

static void child_does_not_wait_for_the_upgrade_of_its_parent(void **state) {
    (void)state;
    plays("fork");
}

static void thread_that_starts_the_first_pool_gets_the_mask(void **state) {
    (void)state;
    plays("mask");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(start_waits_for_the_upgrade),
        executed_scenario_test(dispatch_waits_for_the_upgrade),
        executed_scenario_test(free_waits_for_the_upgrade),
        executed_scenario_test(pool_that_is_being_freed_refuses_the_upgrade),
        executed_scenario_test(child_does_not_wait_for_the_upgrade_of_its_parent),
        executed_scenario_test(thread_that_starts_the_first_pool_gets_the_mask),
    };

    return cmocka_run_group_tests_name("upgrades beside other threads", tests, NULL, NULL);
}
