/*
 * process_identity_test.c - a child that has the pid of the supervisor, in a namespace of its own
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "host.h"
#include "launch.h"

enum { NOTE_CHILD = KIND_NOTE };
enum { STATUS_UNABLE = 60 };

static bool without_wiping; /* the kernel gives no page that a child finds zeroed */

/* ---- The child -------------------------------------------------------------------------- */

/* As struct clone_args of <linux/sched.h>, which does not go well with <sched.h>. */
struct arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size;
};

/* As fork() without its handlers, with that pid; 0: any. */
static pid_t clone_with(uint64_t flags, pid_t pid) {
    struct arguments arguments;

    memset(&arguments, 0, sizeof(arguments));
    arguments.flags = flags;
    arguments.exit_signal = SIGCHLD;
    if (pid != 0) {
        arguments.set_tid = (uint64_t)(uintptr_t)&pid;
        arguments.set_tid_size = 1;
    }
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* Runs in a child with the pid of this process. Returns the child's exit status. */
static int in_child_with_own_pid(struct board *board, int (*body)(struct board *, pf_pool *),
                                 pf_pool *pool) {
    int status = STATUS_UNABLE << 8;
    pid_t own = getpid();
    pid_t init = clone_with(CLONE_NEWPID, 0);

    if (init == 0) {
        pid_t child = clone_with(0, own);
        if (child == 0) {
            board_require(board, getpid() == own);
            _exit(body(board, pool));
        }
        _exit(child > 0 && waitpid(child, &status, 0) == child ? WEXITSTATUS(status)
                                                               : STATUS_UNABLE);
    }
    if (init > 0) {
        board_require(board, waitpid(init, &status, 0) == init && WIFEXITED(status));
    }
    return WEXITSTATUS(status);
}

static void prepare(void) {
    leave_out_leak_check();
    if (without_wiping && !filter_forbid(SYS_madvise, EINVAL)) {
        _exit(STATUS_UNABLE);
    }
}

static void assert_passes(struct scenario *run) {
    int status = scenario_wait(run);

    if (status == STATUS_UNABLE << 8) {
        print_message("skipped: a child cannot be given a pid here\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* ---- Pools ------------------------------------------------------------------------------ */

static int uses_a_pool_of_its_parent(struct board *board, pf_pool *pool) {
    const pf_event *event = NULL;
    pf_pool *own = NULL;
    int task_id = -1;

    board_require(board, pf_pool_resize(pool, 2) == -ECHILD);
    board_require(board, pf_pool_dispatch(pool, 0) == -ECHILD);
    board_require(board, pf_pool_next_event(pool, &event) == -ECHILD);
    board_require(board, pf_pool_worker_pid(pool, 0) == -ECHILD);
    board_require(board, pf_pool_stop(pool) == -ECHILD);
    board_require(board, pf_pool_run(pool, &task_id) == -ECHILD);
    board_require(board, pf_pool_new(&own) == 0); /* one of its own is another matter */
    board_require(board, pf_pool_set_workers(own, 3) == 0);
    board_require(board, pf_pool_free(own) == NULL);
    board_require(board, pf_pool_free(pool) == NULL);
    return 0;
}

static int host_with_pool(struct board *board) {
    struct host host;

    prepare();
    host_open(&host, board);
    host.work = ends_on_term;
    board_require(board, host_begin(&host, 1) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, 0, 1));
    int status = in_child_with_own_pid(board, uses_a_pool_of_its_parent, host.pool);
    board_require(board, status == 0 || status == STATUS_UNABLE);
    host_goes_on(&host, 50);
    board_require(board, pf_pool_alive_count(host.pool) == 1);
    board_require(board, board_count(board, PF_EVENT_EXITED, ANY_TASK) == 0);
    board_require(board, host_stops(&host) == 0);
    host_close(&host);
    return status;
}

static void is_not_the_owner_of_a_pool(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_pool);

    assert_passes(run);
}

/* ---- Host fork -------------------------------------------------------------------------- */

/* The pool has not asked, so the child is none of its workers; the parent would hear -EINVAL. */
static int says_that_it_is_the_child(struct board *board, pf_pool *pool) {
    board_require(board, pf_pool_fork_child(pool, 0) == -ESRCH);
    board_require(board, pf_pool_free(pool) == NULL);
    return 0;
}

static int host_that_forks(struct board *board) {
    pf_pool *pool = NULL;

    prepare();
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_workers(pool, 1) == 0);
    board_require(board, pf_pool_set_host_fork(pool, 1) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    int status = in_child_with_own_pid(board, says_that_it_is_the_child, pool);
    pf_pool_free(pool);
    return status;
}

static void is_the_child_for_pf_pool_fork_child(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_forks);

    assert_passes(run);
}

/* ---- The one call ------------------------------------------------------------------------ */

/* The first call is that of the parent, which does not return in a child. */
static int calls_again(struct board *board, pf_pool *pool) {
    (void)board, (void)pool;
    pf_set_event_callback(NULL, NULL);
    int task_id = pf_fork_processes(1, 0);
    _exit(task_id == 0 ? 0 : 1); /* the supervisor ends by exit(0) */
}

static void clone_once(struct board *board, const pf_event *event) {
    if (pf_event_type(event) == PF_EVENT_STARTED) {
        int status = in_child_with_own_pid(board, calls_again, NULL);
        board_require(board, status == 0 || status == STATUS_UNABLE);
    }
}

static int ends_at_the_gate(struct board *board, int task_id, int run) {
    (void)task_id, (void)run;
    gate_wait(board, 1);
    return 0;
}

static int host_of_one_call(struct board *board) {
    static const struct plan plan = {
        .workers = 1, .work = ends_at_the_gate, .on_event = clone_once};

    prepare();
    gate_open(board, 1);
    return plan_run(board, &plan);
}

static void may_call_pf_fork_processes_itself(void **state) {
    struct scenario *run = *state;
    run->output_taken = true; /* the child reports as by default */

    scenario_start_host(run, host_of_one_call);

    assert_passes(run);
}

/* ---- Daemons ----------------------------------------------------------------------------- */

static int ends_as_a_daemon_does(struct board *board, pf_pool *pool) {
    (void)pool;
    board_require(board, pf_daemon_ready() == -ECHILD);
    exit(0); /* the pid file is not its */
}

static int is_daemon_with_child(struct board *board) {
    prepare();
    if (!become_daemon(board, "daemon.pid")) {
        return STATUS_REFUSED;
    }
    board_require(board, pf_daemon_ready() == 0);
    int status = in_child_with_own_pid(board, ends_as_a_daemon_does, NULL);
    board_require(board, access("daemon.pid", F_OK) == 0);
    board_note(board, NOTE_CHILD, status);
    return status;
}

static void does_not_remove_the_pid_file_of_its_parent(void **state) {
    struct scenario *run = *state;

    (void)launch(run, is_daemon_with_child);
    assert_exits(run, 0);

    int status = end_of(daemon_pid(run, 0));
    if (status == STATUS_UNABLE << 8) {
        skip();
    }
    assert_int_equal(status, 0);
    assert_int_equal(access("daemon.pid", F_OK), -1);
}

static int refuse_wiping(void **state) {
    (void)state;
    without_wiping = true;
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(is_not_the_owner_of_a_pool),
        scenario_test(is_the_child_for_pf_pool_fork_child),
        scenario_test(may_call_pf_fork_processes_itself),
        launch_test(does_not_remove_the_pid_file_of_its_parent),
    };

    return cmocka_run_group_tests_name("process identity", tests, NULL, NULL) +
           cmocka_run_group_tests_name("process identity, no page is wiped", tests, refuse_wiping,
                                       NULL);
}
