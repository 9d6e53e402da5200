/*
 * upgrade_place_test.c - upgrades of a supervisor that is process 1, that has rights, or whose
 * pools have other names in the next program
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "upgrader.h"

/* ---- Process 1 --------------------------------------------------------------------------- */

enum { STATUS_UNABLE = 60, PROCESSES_MAX = 16 };

static bool mount_proc(void) {
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("proc", "/proc", "proc", 0, NULL) == 0;
}

static void keep_namespace(bool mounts, const char *const *arguments) {
    int status = 0;

    (void)prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L);
    if (unshare(CLONE_NEWPID) != 0) {
        _exit(STATUS_UNABLE);
    }
    pid_t init = fork();
    if (init == 0) {
        (void)prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L);
        if (mounts && !mount_proc()) {
            _exit(STATUS_UNABLE);
        }
        (void)setenv("LD_LIBRARY_PATH", library_directory(), 1);
        execv(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(93);
    }
    report("keeps init %d.", (int)init);
    _exit(waitpid(init, &status, 0) == init && WIFEXITED(status) ? WEXITSTATUS(status) : 94);
}

/* The children of a process, as this one numbers them. */
static int children_of(pid_t pid, pid_t *ret_children) {
    char name[64];
    int count = 0;

    (void)snprintf(name, sizeof(name), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(name, "re");
    assert_non_null(file);
    for (int child = 0; count < PROCESSES_MAX && fscanf(file, "%d", &child) == 1;) {
        ret_children[count++] = child;
    }
    (void)fclose(file);
    return count;
}

static void process_1_upgrades(bool mounts, const char *way) {
    char way_option[32];
    pid_t children[PROCESSES_MAX] = {0};
    (void)snprintf(way_option, sizeof(way_option), "way=%s", way);
    const char *const arguments[] = {"./server", "0", "workers=2", "worker=0", way_option, NULL};
    report_begin();
    if (access("server", F_OK) != 0) {
        copy_program(program_path("upgrader"), "server");
    }
    pid_t keeper = fork();
    if (keeper == 0) {
        keep_namespace(mounts, arguments);
    }
    if (!report_reaches("generation 0 started slot", 2)) {
        int status = server_end(keeper);
        if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_UNABLE) {
            print_message("skipped: no namespace of process ids can be made here\n");
            skip();
        }
        fail_msg("it does not begin:\n%s", report_text());
    }
    assert_reaches("keeps init ", 1);
    pid_t init = (pid_t)report_number("keeps init ", 0);
    assert_reported("generation 0 begins pid 1.");
    for (unsigned generation = 1; generation <= 2; generation++) {
        upgrade(init);
        assert_reaches(text_of("generation %u adopted 2.", generation), 1);
        assert_reported("generation %u begins pid 1.", generation);
    }
    assert_int_equal(report_count(" exited slot"), 0);
    assert_int_equal(children_of(init, children), 2);

    assert_int_equal(kill(children[0], SIGKILL), 0);

    assert_reaches("status -1 signal 9.", 1);
    assert_reaches("generation 2 started slot", 1);
    assert_int_equal(kill(init, SIGTERM), 0);
    assert_int_equal(server_end(keeper), 0);
    assert_reported("generation 2 ends 0.");
    assert_all_end();
}

static void process_1_keeps_its_workers(void **state) {
    (void)state;
    process_1_upgrades(true, "fork");
    process_1_upgrades(true, "exec");
    process_1_upgrades(true, "host");
}

/* /proc has other numbers than system calls. */
static void process_1_keeps_its_workers_with_the_proc_of_its_parent(void **state) {
    (void)state;
    process_1_upgrades(false, "fork");
}

/* ---- Rights ------------------------------------------------------------------------------ */

static void file_with_capabilities_is_refused(void **state) {
    static const char *options[] = {"workers=1", "program=./rich", NULL};
    const struct vfs_cap_data one = {
        .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
        .data = {{.permitted = 1U << CAP_NET_BIND_SERVICE}},
    };
    (void)state;
    copy_program(program_path("upgrader"), "rich");
    if (setxattr("rich", "security.capability", &one, XATTR_CAPS_SZ_2, 0) != 0) {
        print_message("skipped: no file can be given capabilities here\n");
        skip();
    }
    pid_t server = serve(options);
    assert_reaches("started slot", 1);

    upgrade(server);

    assert_reaches(text_of("generation 0 upgrade %d.", -EACCES), 1);
    stops(server);
}

/* ---- Other pools -------------------------------------------------------------------------- */

static void renamed_pool_begins_anew_beside_one_that_stays(void **state) {
    static const char *options[] = {"workers=2", "pools=2", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("started slot", 4);
    set_next("workers=2\npools=2\nname=other\n");

    upgrade(server);

    assert_reaches("generation 1 adopted 2.", 1);
    assert_reaches("generation 1 starting 2.", 1);
    assert_reaches("generation 1 exited", 2);
    assert_reaches("generation 1 started slot", 2);
    assert_int_equal(report_count("adopted"), 1);
    assert_int_equal(kill(server, SIGTERM), 0);
    (void)server_end(server);
    assert_all_end();
}

static void pool_may_come_beside_those_that_stay(void **state) {
    static const char *options[] = {"workers=2", NULL};
    (void)state;
    pid_t server = serve(options);
    assert_reaches("started slot", 2);
    set_next("workers=2\npools=3\n");

    upgrade(server);

    assert_reaches("generation 1 adopted 2.", 1);
    assert_reaches("generation 1 starting 2.", 2);
    assert_reaches("generation 1 started slot", 4);
    assert_int_equal(report_count(" exited slot"), 0);
    assert_int_equal(kill(server, SIGTERM), 0);
    (void)server_end(server);
    assert_all_end();
}

/* ---- The gap ------------------------------------------------------------------------------ */

/* The next program has begun, and its pool has not. */
static pid_t in_the_gap(const char *way) {
    char way_option[32];
    char next[128];
    (void)snprintf(way_option, sizeof(way_option), "way=%s", way);
    (void)snprintf(next, sizeof(next), "workers=3\nworker=0\n%s\nslow_ms=300\n", way_option);
    const char *options[] = {"workers=3", "worker=0", way_option, NULL};
    report_begin();
    pid_t server = serve(options);
    assert_reaches("generation 0 started slot", 3);
    set_next(next);
    upgrade(server);
    assert_reaches("generation 1 begins", 1);
    return server;
}

/* All workers of each way end meanwhile, and each end is reported once. */
static void all_workers_may_end_in_the_gap(void **state) {
    static const char *const ways[] = {"fork", "exec", "host"};
    (void)state;
    for (unsigned way = 0; way < 3; way++) {
        pid_t server = in_the_gap(ways[way]);

        for (unsigned nth = 0; nth < 3; nth++) {
            assert_int_equal(kill(worker_of(0, nth), SIGKILL), 0);
        }

        assert_reaches("generation 1 adopted 3.", 1);
        assert_reaches("generation 1 started slot", 3);
        for (unsigned nth = 0; nth < 3; nth++) {
            pid_t old = worker_of(0, nth);
            assert_int_equal(report_count(text_of("pid %d status -1 signal 9.", (int)old)), 1);
        }
        stops(server);
    }
}

static void kill_in_the_gap_ends_all_workers(void **state) {
    static const char *const ways[] = {"fork", "exec", "host"};
    (void)state;
    for (unsigned way = 0; way < 3; way++) {
        pid_t server = in_the_gap(ways[way]);

        assert_int_equal(kill(server, SIGKILL), 0);

        (void)server_end(server);
        assert_all_end();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(process_1_keeps_its_workers),
        executed_scenario_test(process_1_keeps_its_workers_with_the_proc_of_its_parent),
        executed_scenario_test(file_with_capabilities_is_refused),
        executed_scenario_test(renamed_pool_begins_anew_beside_one_that_stays),
        executed_scenario_test(pool_may_come_beside_those_that_stay),
        executed_scenario_test(all_workers_may_end_in_the_gap),
        executed_scenario_test(kill_in_the_gap_ends_all_workers),
    };

    return cmocka_run_group_tests_name("places of upgrades", tests, NULL, NULL);
}
