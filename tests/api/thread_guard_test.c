/*
 * thread_guard_test.c - other threads are seen whatever /proc is, and what cannot be seen is
 * refused
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "net.h"
#include "scenario.h"

enum { FIRST_GATE = 1, STATUS_UNABLE = 60 };

static struct board *thread_board;
static pthread_t other_thread;
static volatile pid_t other_id;    /* of that thread */
static int last_gate = FIRST_GATE; /* each thread has one of its own */

static void *wait_for_the_gate(void *nothing) {
    other_id = (pid_t)syscall(SYS_gettid);
    gate_wait(thread_board, last_gate);
    return nothing;
}

static void begin_thread(struct board *board) {
    thread_board = board;
    board_require(board, pthread_create(&other_thread, NULL, wait_for_the_gate, NULL) == 0);
}

static void end_thread(struct board *board) {
    gate_open(board, last_gate);
    board_require(board, pthread_join(other_thread, NULL) == 0);
    last_gate += 1;
}

/* From then on libc does not know any more whether there is a thread. */
static void have_had_thread(struct board *board) {
    begin_thread(board);
    end_thread(board);
}

static int ends_at_once(int task_id, void *user) {
    (void)task_id, (void)user;
    return 0;
}

static void ignore_event(const pf_event *event, void *user) { (void)event, (void)user; }

/* What pf_pool_run() returns. */
static int run_pool(struct board *board) {
    pf_pool *pool = NULL;
    int task_id = -1;

    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_workers(pool, 1) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, ends_at_once, NULL, NULL) == 0);
    board_require(board, pf_pool_set_event_callback(pool, ignore_event, NULL, NULL) == 0);
    int result = pf_pool_run(pool, &task_id);
    pf_pool_free(pool);
    return result;
}

static void require_refusal(struct board *board) {
    board_require(board, run_pool(board) == PF_ETHREADS);
    board_require(board, pf_daemonize(NULL) == PF_ETHREADS);
    int result = pf_fork_processes(1, 0);
    if (result == 0) {
        _exit(1); /* a worker that must not be */
    }
    board_require(board, result == PF_ETHREADS);
    board_require(board, waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

/* Gives this process mounts of its own, with a file system of that type at /proc. */
static bool mount_at_proc(const char *type, const char *options) {
    if (unshare(CLONE_NEWNS) != 0) {
        char map[32];
        (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned)getuid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !write_file("/proc/self/uid_map", map)) {
            return false;
        }
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(type, "/proc", type, 0, options) == 0;
}

static bool hide_proc(void) {
    leave_out_leak_check();
    return mount_at_proc("tmpfs", "");
}

static void assert_passes(struct scenario *run) {
    int status = scenario_wait(run);

    if (status == STATUS_UNABLE << 8) {
        print_message("skipped: this system does not let it be tried\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* ---- Without /proc --------------------------------------------------------------------- */

static int host_with_thread(struct board *board) {
    if (!hide_proc()) {
        return STATUS_UNABLE;
    }
    begin_thread(board);
    require_refusal(board);
    end_thread(board);
    return 0;
}

static void without_proc_a_thread_is_seen(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_thread);

    assert_passes(run);
}

static int host_that_had_thread(struct board *board) {
    if (!hide_proc()) {
        return STATUS_UNABLE;
    }
    have_had_thread(board);
    board_require(board, run_pool(board) == 0);
    return 0;
}

static void without_proc_a_thread_that_was_joined_does_not_count(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_had_thread);

    assert_passes(run);
}

static int host_that_cannot_count(struct board *board) {
    if (!hide_proc() || !filter_forbid(SYS_unshare, EPERM)) {
        return STATUS_UNABLE;
    }
    have_had_thread(board);
    require_refusal(board);
    return 0;
}

static void where_threads_cannot_be_counted_it_is_refused(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_cannot_count);

    assert_passes(run);
}

static int host_that_never_had_thread(struct board *board) {
    if (!hide_proc() || !filter_forbid(SYS_unshare, EPERM)) {
        return STATUS_UNABLE;
    }
    board_require(board, run_pool(board) == 0);
    return 0;
}

static void but_not_where_there_never_was_a_thread(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_that_never_had_thread);

    assert_passes(run);
}

/* ---- Another /proc --------------------------------------------------------------------- */

/* With a directory whose links are those of one thread. */
static int host_with_false_proc(struct board *board) {
    if (!hide_proc()) {
        return STATUS_UNABLE;
    }
    board_require(board, mkdir("/proc/self", 0700) == 0 && mkdir("/proc/self/task", 0700) == 0 &&
                             mkdir("/proc/self/task/1", 0700) == 0);
    begin_thread(board);
    require_refusal(board);
    end_thread(board);
    return 0;
}

static void a_false_proc_is_not_believed(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_false_proc);

    assert_passes(run);
}

/* Of a namespace in which this process has no number. */
static int host_with_proc_of_others(struct board *board) {
    leave_out_leak_check();
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return STATUS_UNABLE;
    }
    int ends[2];
    char byte = 0;
    board_require(board, pipe(ends) == 0);
    pid_t init = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0L, 0L, 0L, 0L);
    if (init == 0) {
        _exit(mount("proc", "/proc", "proc", 0, NULL) == 0 && write(ends[1], &byte, 1) == 1 &&
                      sleep(60) == 0
                  ? 0
                  : 1);
    }
    (void)close(ends[1]);
    if (read(ends[0], &byte, 1) != 1) {
        return STATUS_UNABLE;
    }
    struct stat status;
    board_require(board, stat("/proc/self/task", &status) != 0);
    begin_thread(board);
    board_require(board, run_pool(board) == PF_ETHREADS);
    end_thread(board);
    board_require(board, kill(init, SIGKILL) == 0 && waitpid(init, NULL, 0) == init);
    (void)close(ends[0]);
    return 0;
}

static void a_proc_of_others_says_nothing(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_proc_of_others);

    assert_passes(run);
}

static int host_in_hidden_proc(struct board *board) {
    leave_out_leak_check();
    if (!mount_at_proc("proc", "hidepid=2") || setuid(65534) != 0) {
        return STATUS_UNABLE;
    }
    begin_thread(board);
    require_refusal(board);
    end_thread(board);
    board_require(board, run_pool(board) == 0);
    return 0;
}

static void a_proc_that_hides_others_shows_what_counts(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_in_hidden_proc);

    assert_passes(run);
}

/* ---- Threads that have ended ------------------------------------------------------------ */

static unsigned long threads_listed(void) {
    struct stat status;

    return stat("/proc/self/task", &status) == 0 ? (unsigned long)status.st_nlink - 2 : 0;
}

/* What a debugger has not looked at yet stays in the list; without one it is a matter of luck. */
static int host_with_ended_thread(struct board *board) {
    begin_thread(board);
    while (other_id == 0) {
        pause_ms(1);
    }
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0L, 0L, 0L);
    pid_t debugger = fork();
    if (debugger == 0) {
        board_note(board, KIND_NOTE, ptrace(PTRACE_SEIZE, other_id, NULL, NULL) == 0 ? 1 : 0);
        wait_for_ever();
    }
    board_require(board, debugger > 0 && board_reaches(board, KIND_NOTE, ANY_TASK, 1));
    bool is_traced = board_find(board, KIND_NOTE, ANY_TASK, 0)->value == 1;
    end_thread(board);
    if (is_traced) {
        board_require(board, threads_listed() == 2);
        board_require(board, run_pool(board) == 0);
        board_require(board, threads_listed() == 2);
    }
    board_require(board, kill(debugger, SIGKILL) == 0);
    board_require(board, waitpid(debugger, NULL, 0) == debugger);
    return is_traced ? 0 : STATUS_UNABLE;
}

static void one_that_was_joined_does_not_count_though_it_is_listed(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_ended_thread);

    assert_passes(run);
}

/* ---- Threads of the kernel -------------------------------------------------------------- */

static bool begin_io_uring(void) {
    struct io_uring_params parameters;

    memset(&parameters, 0, sizeof(parameters));
    parameters.flags = IORING_SETUP_SQPOLL;
    parameters.sq_thread_idle = 60000;
    return syscall(SYS_io_uring_setup, 4L, &parameters) >= 0;
}

static int host_with_io_uring(struct board *board) {
    have_had_thread(board);
    /* One that was joined is listed until the kernel is done with it. */
    for (uint64_t start = now_ms(); threads_listed() > 1 && now_ms() - start < PATIENCE_MS;) {
        pause_ms(1);
    }
    if (!begin_io_uring() || threads_listed() != 2) {
        return STATUS_UNABLE;
    }
    board_require(board, run_pool(board) == 0);
    begin_thread(board);
    require_refusal(board);
    end_thread(board);
    return 0;
}

static void threads_of_io_uring_do_not_count(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_with_io_uring);

    assert_passes(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(without_proc_a_thread_is_seen),
        scenario_test(without_proc_a_thread_that_was_joined_does_not_count),
        scenario_test(where_threads_cannot_be_counted_it_is_refused),
        scenario_test(but_not_where_there_never_was_a_thread),
        scenario_test(a_false_proc_is_not_believed),
        scenario_test(a_proc_of_others_says_nothing),
        scenario_test(a_proc_that_hides_others_shows_what_counts),
        scenario_test(one_that_was_joined_does_not_count_though_it_is_listed),
        scenario_test(threads_of_io_uring_do_not_count),
    };

    return cmocka_run_group_tests_name("thread guard", tests, NULL, NULL);
}
