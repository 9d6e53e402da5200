/*
 * exec_rights_test.c - workers by exec that run with more rights than their caller has: from files
 * with capabilities, and with set-user-ID and set-group-ID bits
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"
#include "filter.h"

enum { CALLER = 65533, OWNER = 65532, PROCESSES_MAX = 20 };
static const uint32_t pidfd_get_info = 0xC040FF0B;

enum kind { CAPABILITY, SET_USER_ID, SET_GROUP_ID, KINDS };

/* What is done before the program is executed, still as root. */
static bool (*prepare)(void);

static bool make_program(enum kind kind) {
    const struct vfs_cap_data one = {
        .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
        .data = {{.permitted = 1U << CAP_NET_BIND_SERVICE}},
    };

    (void)unlink("rights");
    copy_program(program_path("rights"), "rights");
    switch (kind) {
    case CAPABILITY:
        return setxattr("rights", "security.capability", &one, XATTR_CAPS_SZ_2, 0) == 0;
    case SET_USER_ID:
        return chown("rights", OWNER, 0) == 0 && chmod("rights", 04755) == 0;
    default:
        return chown("rights", 0, OWNER) == 0 && chmod("rights", 02755) == 0;
    }
}

static int go_on_as_caller(void) {
    const struct rlimit few = {PROCESSES_MAX, PROCESSES_MAX};
    int output = open("output", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);

    return output >= 0 && dup2(output, STDOUT_FILENO) >= 0 && setrlimit(RLIMIT_NPROC, &few) == 0 &&
                   setgroups(0, NULL) == 0 && setresgid(CALLER, CALLER, CALLER) == 0 &&
                   setresuid(CALLER, CALLER, CALLER) == 0
               ? 0
               : -1;
}

/* Runs the program as another user; with variables, in a child that they name as the supervisor.
 * Returns what it printed, or NULL if it did not end well. */
static const char *output_of(const char *mode, const char *copy) {
    static char output[1024];
    int status = -1;

    pid_t pid = fork();
    if (pid == 0) {
        filter_keep_rights();
        if ((prepare != NULL && !prepare()) || go_on_as_caller() != 0) {
            _exit(90);
        }
        if (strcmp(mode, "worker") == 0) {
            char us[128];
            struct stat output_pipe;
            if (fstat(STDOUT_FILENO, &output_pipe) != 0) {
                _exit(93);
            }
            (void)snprintf(us, sizeof(us), "%d:::%d::0:1:15:0:0:%016lx:0123456789abcdef",
                           (int)getpid(), STDOUT_FILENO, (unsigned long)output_pipe.st_ino);
            pid_t child = fork();
            if (child == 0) {
                (void)setenv("PF_TASK_ID", "0", 1);
                (void)setenv("PF_SUPERVISOR", us, 1);
                (void)setenv("PF_POOL", "", 1);
                execl("./rights", "rights", mode, "./libprefork.so", copy, (char *)NULL);
            }
            _exit(child > 0 && waitpid(child, &status, 0) == child && status == 0 ? 0 : 91);
        }
        execl("./rights", "rights", mode, "./libprefork.so", copy, (char *)NULL);
        _exit(92);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        return NULL;
    }
    int file = open("output", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, output, sizeof(output) - 1);
    (void)close(file);
    output[length < 0 ? 0 : length] = '\0';
    return output;
}

static void begin(void) {
    if (geteuid() != 0) {
        print_message("skipped: only root can make programs with rights\n");
        skip();
    }
    char library[4200];
    (void)snprintf(library, sizeof(library), "%s/libprefork.so", library_directory());
    copy_program(library, "libprefork.so");
    copy_program(library, "copy.so");
    assert_int_equal(chmod(".", 0755), 0);
    prepare = NULL;
}

/* Where the bits are ignored, by the mount or by no_new_privs, there is nothing to see. */
static void need_rights(const char *output) {
    if (output != NULL && strstr(output, "secure=0") != NULL) {
        print_message("skipped: this file system gives no rights\n");
        skip();
    }
}

static const char supervisor_and_worker[] = "1 secure=1 exec=0 run=0 task=0 death=15\n"
                                            "0 secure=1 exec=0 run=0 task=-1 death=0\n";

static void workers_with_the_rights_of_their_supervisor_are_workers(void **state) {
    (void)state;
    begin();
    for (enum kind kind = CAPABILITY; kind < KINDS; kind++) {
        assert_true(make_program(kind));
        const char *output = output_of("keep", NULL);
        need_rights(output);
        assert_non_null(output);
        assert_string_equal(output, supervisor_and_worker);
    }
}

static void a_second_copy_of_the_library_finds_it_as_well(void **state) {
    (void)state;
    begin();
    for (enum kind kind = CAPABILITY; kind < KINDS; kind++) {
        assert_true(make_program(kind));
        const char *output = output_of("keep", "./copy.so");
        need_rights(output);
        assert_non_null(output);
        assert_string_equal(output, supervisor_and_worker);
    }
}

static void workers_with_more_rights_than_their_supervisor_start_nothing(void **state) {
    (void)state;
    begin();
    for (enum kind kind = CAPABILITY; kind < KINDS; kind++) {
        assert_true(make_program(kind));
        const char *output = output_of("drop", NULL);
        need_rights(output);
        assert_non_null(output);
        assert_string_equal(output, text_of("1 secure=1 exec=0 run=%d task=-1 death=0\n"
                                            "0 secure=1 exec=0 run=0 task=-1 death=0\n",
                                            -ESRCH));
    }
}

static void a_caller_without_rights_is_no_supervisor(void **state) {
    (void)state;
    begin();
    for (enum kind kind = CAPABILITY; kind < KINDS; kind++) {
        assert_true(make_program(kind));
        const char *output = output_of("worker", NULL);
        need_rights(output);
        assert_non_null(output);
        assert_string_equal(output, text_of("0 secure=1 exec=0 run=%d task=-1 death=0\n", -ESRCH));
    }
}

/* ---- Where the system refuses looks ----------------------------------------------------- */

static bool forbid_pidfd_info(void) {
    return filter_forbid_value(SYS_ioctl, 1, pidfd_get_info, ENOTTY);
}

static bool forbid_pidfds(void) { return filter_forbid(SYS_pidfd_open, ENOSYS); }

static void without_information_by_pidfd_the_ids_are_read_from_proc(void **state) {
    bool (*const without[])(void) = {forbid_pidfd_info, forbid_pidfds};
    (void)state;
    begin();
    for (enum kind kind = CAPABILITY; kind < KINDS; kind++) {
        assert_true(make_program(kind));
        for (unsigned i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
            prepare = without[i];
            const char *output = output_of("keep", NULL);
            need_rights(output);
            assert_non_null(output);
            assert_string_equal(output, supervisor_and_worker);
            const char *dropped = output_of("drop", NULL);
            assert_non_null(dropped);
            assert_non_null(strstr(dropped, text_of("1 secure=1 exec=0 run=%d", -ESRCH)));
        }
    }
}

static bool forbid_all_ways_to_ids(void) {
    return forbid_pidfd_info() && filter_forbid(SYS_fstatfs, EACCES);
}

static bool forbid_capabilities(void) { return filter_forbid(SYS_capget, ENOSYS); }

static void where_nobody_could_look_the_program_is_refused(void **state) {
    (void)state;
    begin();
    for (enum kind kind = CAPABILITY; kind < KINDS; kind++) {
        assert_true(make_program(kind));
        prepare = forbid_all_ways_to_ids;
        const char *output = output_of("keep", NULL);
        need_rights(output);
        assert_non_null(output);
        assert_string_equal(output,
                            text_of("0 secure=1 exec=%d run=-1000 task=-1 death=0\n", -EACCES));
        prepare = forbid_capabilities;
        output = output_of("keep", NULL);
        assert_non_null(output);
        assert_string_equal(output,
                            text_of("0 secure=1 exec=%d run=-1000 task=-1 death=0\n", -ENOSYS));
    }
}

/* ---- An ordinary supervisor -------------------------------------------------------------- */

static int supervisor_that_nobody_sees(struct board *board) {
    pf_pool *pool = NULL;

    board_require(board, forbid_capabilities());
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_exec(pool, "./rights", NULL, NULL) == -ENOSYS);
    board_require(board, pf_pool_set_exec(pool, "./libprefork.so", NULL, NULL) == 0);
    board_require(board, pf_pool_set_exec(pool, NULL, NULL, NULL) == 0);
    (void)pf_pool_free(pool);
    return 0;
}

static void it_is_asked_only_for_programs_with_rights(void **state) {
    struct scenario *run = *state;
    begin();
    for (enum kind kind = CAPABILITY; kind < KINDS; kind++) {
        assert_true(make_program(kind));
        scenario_start_host(run, supervisor_that_nobody_sees);
        assert_exits(run, 0);
    }
}

/* root gets all capabilities again by executing any program, without AT_SECURE. */
static int supervisor_with_few_capabilities(struct board *board) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct few[_LINUX_CAPABILITY_U32S_3] = {{0}};
    struct host host;

    few[0].permitted = few[0].effective = 1U << CAP_KILL;
    board_require(board, syscall(SYS_capset, &header, few) == 0);
    host_open(&host, board);
    executes(&host, "run:", "signals", "exit:0", NULL);
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_finishes(&host) == 0);
    host_close(&host);
    return 0;
}

static void root_that_gets_capabilities_again_keeps_its_death_signal(void **state) {
    struct scenario *run = *state;
    begin();

    scenario_start_host(run, supervisor_with_few_capabilities);

    assert_exits(run, 0);
    assert_reported("0 run  result=0 task=0");
    assert_int_equal(report_number("death=", 0), SIGTERM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        executed_scenario_test(workers_with_the_rights_of_their_supervisor_are_workers),
        executed_scenario_test(a_second_copy_of_the_library_finds_it_as_well),
        executed_scenario_test(workers_with_more_rights_than_their_supervisor_start_nothing),
        executed_scenario_test(a_caller_without_rights_is_no_supervisor),
        executed_scenario_test(without_information_by_pidfd_the_ids_are_read_from_proc),
        executed_scenario_test(where_nobody_could_look_the_program_is_refused),
        executed_scenario_test(it_is_asked_only_for_programs_with_rights),
        executed_scenario_test(root_that_gets_capabilities_again_keeps_its_death_signal),
    };

    return cmocka_run_group_tests_name("workers by exec with more rights", tests, NULL, NULL);
}
