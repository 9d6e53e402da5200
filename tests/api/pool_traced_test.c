/*
 * pool_traced_test.c - workers that are dead, and held by a debugger that does not let go of them
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum { NOTE_HELD = KIND_NOTE, NOTE_FREED };
enum { GATE_LET_GO };
#define CPU_MS (time_scale() * (SANITIZED ? 400U : 100U))

static uint64_t cpu_ms(void) {
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static int may_be_traced(struct board *board, int task_id, int run) {
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0L, 0L, 0L);
    return ends_on_term(board, task_id, run);
}

/* Starts a debugger at its prompt, which lets go of the process when the gate opens. */
static pid_t trace(struct board *board, pid_t pid) {
    pid_t debugger = fork();

    board_require(board, debugger >= 0);
    if (debugger == 0) {
        board_note(board, NOTE_HELD, ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0 ? pid : 0);
        gate_wait(board, GATE_LET_GO);
        _exit(0);
    }
    return debugger;
}

/* Returns the debugger of a worker that is dead; 0: there is no debugging here. */
static pid_t kill_traced_worker(struct host *host) {
    const struct record *held = NULL;
    pid_t worker = host_pid(host, 0, 0);
    pid_t debugger = trace(host->board, worker);

    board_require(host->board, board_reaches(host->board, NOTE_HELD, ANY_TASK, 1));
    held = board_find(host->board, NOTE_HELD, ANY_TASK, 0);
    if (held->value == 0) {
        gate_open(host->board, GATE_LET_GO);
        board_require(host->board, waitpid(debugger, NULL, 0) == debugger);
        return 0;
    }
    board_require(host->board, kill(worker, SIGKILL) == 0);
    board_require(host->board, process_reaches_state(worker, 'Z'));
    return debugger;
}

static void begin(struct host *host) {
    host->work = may_be_traced;
    assert_int_equal(host_begin(host, 2), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 2));
}

static void the_supervisor_sleeps_until_it_can_be_reaped(void **state) {
    struct host *host = *state;
    begin(host);
    pid_t debugger = kill_traced_worker(host);
    if (debugger == 0) {
        skip();
    }

    uint64_t before = cpu_ms(), end = now_ms() + 1500;
    for (uint64_t now = 0; (now = now_ms()) < end;) {
        (void)host_turn(host, (int)(end - now));
    }
    assert_in_range(cpu_ms() - before, 0, CPU_MS);
    assert_int_equal(board_count(host->board, PF_EVENT_EXITED, ANY_TASK), 0);

    gate_open(host->board, GATE_LET_GO);
    assert_true(host_reaches(host, NOTE_READY, 0, 2));
    assert_int_equal(board_find(host->board, PF_EVENT_EXITED, 0, 0)->signal, SIGKILL);
    assert_int_equal(waitpid(debugger, NULL, 0), debugger);
    assert_int_equal(host_stops(host), 0);
}

static void a_free_sleeps_too(void **state) {
    struct host *host = *state;
    begin(host);
    pid_t debugger = kill_traced_worker(host);
    if (debugger == 0) {
        skip();
    }
    pid_t helper = fork();
    if (helper == 0) {
        for (uint64_t end = now_ms() + 1000; now_ms() < end;) {
            pause_ms(10);
        }
        gate_open(host->board, GATE_LET_GO);
        _exit(0);
    }

    uint64_t before = cpu_ms();
    host_close(host);

    assert_in_range(cpu_ms() - before, 0, CPU_MS);
    assert_int_equal(waitpid(helper, NULL, 0), helper);
    assert_int_equal(waitpid(debugger, NULL, 0), debugger);
    assert_false(process_exists(host_pid(host, 0, 0)));
}

static int host_freed_while_it_is_held(struct board *board) {
    struct host host;
    uint64_t start = 0;

    host_open(&host, board);
    host.work = may_be_traced;
    board_require(board, host_begin(&host, 2) == 0);
    board_require(board, host_reaches(&host, NOTE_READY, ANY_TASK, 2));
    pid_t worker = host_pid(&host, 0, 0);
    pid_t debugger = kill_traced_worker(&host);
    if (debugger == 0) {
        host_close(&host);
        return 77;
    }
    start = now_ms();
    host_close(&host);
    board_note(board, NOTE_FREED, (int64_t)(now_ms() - start));
    board_require(board, !process_exists(host_pid(&host, 1, 0)));
    gate_open(board, GATE_LET_GO);
    board_require(board, waitpid(debugger, NULL, 0) == debugger);
    board_require(board, waitpid(worker, NULL, 0) == worker); /* the host's from here on */
    return 0;
}

static void a_free_does_not_wait_for_ever(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_freed_while_it_is_held);

    int status = scenario_wait(run);
    run->output_taken = true;
    if (status == 77 << 8) {
        skip();
    }
    assert_int_equal(status, 0);
    assert_in_range(board_find(run->board, NOTE_FREED, ANY_TASK, 0)->value, 0, 10000);
    assert_non_null(strstr(scenario_output(run), "was killed and has not ended yet, left behind"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(the_supervisor_sleeps_until_it_can_be_reaped),
        host_test(a_free_sleeps_too),
        scenario_test(a_free_does_not_wait_for_ever),
    };

    return run_group_with_each_backend("pool traced", tests);
}
