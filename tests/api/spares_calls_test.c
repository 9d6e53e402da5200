/*
 * spares_calls_test.c - calls that fail while spares start, wait and take over: a worker gets the
 * slot all the same
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>

#include "cmocka_all.h"
#include "failing.h"
#include "forker.h"

static void begin(struct host *host, int workers, int spares) {
    host->work = ends_on_term;
    assert_int_equal(pf_pool_set_spares(host->pool, spares), 0);
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, (unsigned)spares));
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, (unsigned)workers));
}

static pid_t spare_pid(const struct host *host, unsigned nth) {
    const struct record *record =
        board_find(host->board, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, nth);
    return record == NULL ? 0 : (pid_t)record->pid;
}

static void without_memory_their_number_stays(void **state) {
    struct host *host = *state;
    unsigned failed = 1;
    require_failing();
    begin(host, 1, 1);

    for (struct failure failure = {"calloc", ENOMEM, 1, 1, IN_THIS_PROCESS}; failed > 0;
         failure.first++) {
        failure_begin(&failure);
        const int result = pf_pool_set_spares(host->pool, 4);
        failed = failure_end();
        assert_int_equal(result, failed > 0 ? -ENOMEM : 0);
        assert_in_range(failure.first, 1, USES_MAX);
    }

    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 4));
    assert_int_equal(host_stops(host), 0);
}

/* What fails in the child while it waits. */
static void take_over_beside(struct host *host, const struct failure *failure) {
    failure_begin(failure);
    begin(host, 1, 1);
    (void)failure_end();

    assert_int_equal(kill(host_pid(host, 0, 0), SIGKILL), 0);
    assert_true(host_reaches(host, PF_EVENT_STARTED, 0, 2));

    assert_int_equal(host_pid(host, 0, 1), spare_pid(host, 0));
    assert_true(board_reaches(host->board, NOTE_READY, 0, 2));
    assert_int_equal(host_stops(host), 0);
}

static void spare_waits_without_a_process_descriptor(void **state) {
    const struct failure failure = {"syscall.pidfd_open", EMFILE, 1, 0, IN_CHILDREN};
    require_failing();
    take_over_beside(*state, &failure);
}

static void spare_waits_on_after_an_interruption(void **state) {
    const struct failure failure = {"read", EINTR, 1, 3, IN_CHILDREN};
    require_failing();
    take_over_beside(*state, &failure);
}

static void spare_waits_where_it_cannot_poll(void **state) {
    const struct failure failure = {"poll", ENOMEM, 1, 0, IN_CHILDREN};
    require_failing();
    take_over_beside(*state, &failure);
}

static void spare_that_cannot_be_forked_is_tried_again(void **state) {
    const struct failure failure = {"pipe2", EMFILE, 1, 1, IN_THIS_PROCESS};
    struct host *host = *state;
    require_failing();
    begin(host, 1, 0);

    assert_int_equal(pf_pool_set_spares(host->pool, 1), 0);
    failure_begin(&failure);
    assert_true(host_reaches(host, PF_EVENT_START_FAILED, PF_TASK_SPARE, 1));
    assert_int_equal(failure_end(), 1);
    assert_true(host_reaches(host, PF_EVENT_SPARE_STARTED, PF_TASK_SPARE, 1));

    const struct record *failed = board_find(host->board, PF_EVENT_START_FAILED, ANY_TASK, 0);
    assert_int_equal(failed->error, -EMFILE);
    assert_int_equal(failed->will_restart, 1);
    assert_in_range(failed->delay_ms, 1, 1000);
    assert_int_equal(host_stops(host), 0);
}

/* ---- The host's own fork --------------------------------------------------------------------- */

static void fork_beside(struct host *host, const struct failure *failure, bool admits) {
    host->work = ends_on_term;
    failure_begin(failure);
    assert_int_equal(forker_begin(host, 1), 0);
    assert_true(forker_reaches(host, admits ? NOTE_READY : NOTE_REFUSED, ANY_TASK, 1));
    assert_true(failure_end() > 0);
}

static void child_is_admitted_without_tee(void **state) {
    static const int errors[] = {ENOSYS, EPERM, EINVAL};
    require_failing();

    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const struct failure failure = {"tee", errors[i], 1, 0, IN_CHILDREN};
        struct scenario scenario;
        struct host host;
        (void)state;
        assert_true(scenario_open(&scenario));
        host_open(&host, scenario.board);
        fork_beside(&host, &failure, true);
        assert_int_equal(forker_stops(&host), 0);
        host_close(&host);
        assert_true(scenario_close(&scenario));
    }
}

static void child_that_cannot_read_who_it_is_is_refused(void **state) {
    const struct failure failure = {"tee", EIO, 1, 1, IN_CHILDREN};
    struct host *host = *state;
    require_failing();
    fork_beside(host, &failure, false);
    assert_int_equal(pf_pool_kill(host->pool), 0);
    (void)forker_reaches(host, PF_EVENT_DONE, ANY_TASK, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(without_memory_their_number_stays),
        host_test(spare_waits_without_a_process_descriptor),
        host_test(spare_waits_on_after_an_interruption),
        host_test(spare_waits_where_it_cannot_poll),
        host_test(spare_that_cannot_be_forked_is_tried_again),
        scenario_test(child_is_admitted_without_tee),
        host_test(child_that_cannot_read_who_it_is_is_refused),
    };
    return run_group_with_each_backend("calls of spares", tests);
}
