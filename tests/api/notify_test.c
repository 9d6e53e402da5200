/*
 * notify_test.c - what a pool tells the service manager
 *
 * The test is the service manager: it listens at the socket that the environment names.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "forker.h"
#include "manager.h"

enum { NOTE_SOCKET = KIND_NOTE };

static const char status_of_three[] = "STATUS=Workers ready: 3 of 3, processes: 3, restarts: 0";

/* ---- From the start to the stop ------------------------------------------------------------ */

static void ready_is_reported_once_all_workers_run(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 3), 0);
    assert_silent();

    assert_true(host_turn(host, 0));

    assert_string_equal(next_message(), "READY=1");
    assert_string_equal(next_message(), status_of_three);
    assert_silent();
    host_goes_on(host, 50);
    assert_silent();
}

static void an_abstract_socket_is_as_good(void **state) {
    struct host *host = *state;
    char name[64];
    (void)snprintf(name, sizeof(name), "@prefork-test-%d", (int)getpid());
    manager_move(name);

    assert_int_equal(host_begin(host, 3), 0);

    assert_string_equal(await_message(host), "READY=1");
    assert_string_equal(await_message(host), status_of_three);
}

/* As after chroot(), in another mount namespace, or as a user who may not go there. */
static void the_place_of_the_socket_matters_at_the_start_alone(void **state) {
    struct host *host = *state;

    assert_int_equal(host_begin(host, 3), 0);
    assert_int_equal(rename(getenv("NOTIFY_SOCKET"), "hidden"), 0);

    assert_string_equal(await_message(host), "READY=1");
    assert_string_equal(await_message(host), status_of_three);
}

static void a_stop_is_reported_before_the_workers_have_ended(void **state) {
    struct host *host = *state;
    host->work = ignores_term;
    assert_int_equal(pf_pool_set_stop(host->pool, SIGTERM, time_scale() * 1200U), 0);
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, NOTE_READY, ANY_TASK, 3));
    assert_string_equal(next_message(), "READY=1");
    assert_string_equal(next_message(), status_of_three);

    assert_int_equal(pf_pool_stop(host->pool), 0);

    assert_string_equal(await_message(host), "STOPPING=1");
    assert_int_equal(pf_pool_alive_count(host->pool), 3);
    assert_string_equal(await_message(host),
                        "STATUS=Workers ready: 0 of 3, processes: 3, restarts: 0");
    assert_int_equal(host_finishes(host), 0);
    assert_string_equal(next_message_but_status(), "");
}

static void a_pool_that_finishes_by_itself_reports_that_too(void **state) {
    struct host *host = *state;
    host->work = ends_at_once;
    assert_int_equal(host_begin(host, 3), 0);

    assert_int_equal(host_finishes(host), 0);

    assert_string_equal(next_message(), "READY=1");
    assert_string_equal(next_message(), status_of_three);
    assert_string_equal(next_message_but_status(), "STOPPING=1");
}

static int the_first_crashes_and_others_get_ready_later(struct board *board, int task_id, int run) {
    if (task_id == 0) {
        return crashes_at_once(board, task_id, run);
    }
    gate_wait(board, 0);
    board_require(board, pf_worker_ready() == 0);
    wait_for_ever();
    return 0;
}

static void ready_does_not_wait_for_a_slot_that_was_given_up(void **state) {
    struct host *host = *state;
    host->work = the_first_crashes_and_others_get_ready_later;
    assert_int_equal(pf_pool_set_max_restarts(host->pool, 1), 0);
    assert_int_equal(pf_pool_set_limit_action(host->pool, PF_LIMIT_DEGRADE), 0);
    assert_int_equal(pf_pool_set_ready_timeout(host->pool, PATIENCE_MS), 0);
    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, PF_EVENT_GAVE_UP, 0, 1));
    assert_string_equal(next_message_but_status(), "");

    gate_open(host->board, 0);

    while (strcmp(await_message(host), "READY=1") != 0) {
    }
    assert_int_equal(board_count(host->board, PF_EVENT_READY, ANY_TASK), 2);
}

/* ---- The status ---------------------------------------------------------------------------- */

static int crashes_three_times(struct board *board, int task_id, int run) {
    if (task_id == 0 && run < 3) {
        return crashes_at_once(board, task_id, run);
    }
    wait_for_ever();
    return 0;
}

static void a_status_reports_changes_once_a_second(void **state) {
    struct host *host = *state;
    host->work = crashes_three_times;
    assert_int_equal(host_begin(host, 3), 0);
    uint64_t told = now_ms(); /* no later than the turn that sends the status */
    assert_string_equal(await_message(host), "READY=1");
    assert_string_equal(await_message(host), status_of_three);

    /* In the end no more happens to the pool, so its own timer has to wake it. */
    const char last[] = "STATUS=Workers ready: 3 of 3, processes: 3, restarts: 3";
    for (const char *message = ""; strcmp(message, last) != 0;) {
        struct pollfd one = {.fd = pf_pool_fd(host->pool), .events = POLLIN};
        assert_int_equal(poll(&one, 1, (int)PATIENCE_MS), 1);
        uint64_t turn = now_ms();
        assert_true(host_turn(host, 0));
        message = next_message();
        assert_true(message[0] == '\0' || now_ms() >= told + 900);
        told = message[0] == '\0' ? told : turn;
    }
    host_goes_on(host, 1100);
    assert_silent();
}

static void a_pool_at_rest_has_nothing_to_report_and_is_not_woken(void **state) {
    struct host *host = *state;
    assert_int_equal(host_begin(host, 3), 0);
    assert_string_equal(await_message(host), "READY=1");
    assert_string_equal(await_message(host), status_of_three);
    assert_true(host_turn(host, 0));
    struct pollfd one = {.fd = pf_pool_fd(host->pool), .events = POLLIN};
    assert_int_equal(poll(&one, 1, 1200), 0);
}

/* ---- The watchdog --------------------------------------------------------------------------- */

static void watch_process(long pid, const char *limit_us) {
    char number[32];

    (void)snprintf(number, sizeof(number), "%ld", pid);
    assert_int_equal(setenv("WATCHDOG_PID", number, 1), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", limit_us, 1), 0);
}

static void assert_signs_of_life(struct host *host) {
    uint64_t first = 0;
    assert_int_equal(host_begin(host, 3), 0);
    for (int count = 0; count < 5;) {
        struct pollfd one = {.fd = pf_pool_fd(host->pool), .events = POLLIN};
        assert_int_equal(poll(&one, 1, (int)PATIENCE_MS), 1);
        if (strcmp(await_message(host), "WATCHDOG=1") == 0) {
            count++;
            first = first == 0 ? now_ms() : first;
        }
    }
    assert_in_range(now_ms() - first, 300, PATIENCE_MS);
    /* The end of the pool is the end of that, and its descriptor is at rest. */
    assert_int_equal(host_stops(host), 0);
    struct pollfd one = {.fd = pf_pool_fd(host->pool), .events = POLLIN};
    assert_int_equal(poll(&one, 1, 300), 0);
}

static void half_of_the_watchdogs_time_is_between_signs_of_life(void **state) {
    watch_process(getpid(), "200000");

    assert_signs_of_life(*state);
}

static void a_watchdog_without_a_pid_is_meant_too(void **state) {
    assert_int_equal(setenv("WATCHDOG_USEC", "200000", 1), 0);

    assert_signs_of_life(*state);
}

static void the_watchdog_of_another_process_is_left_to_it(void **state) {
    struct host *host = *state;
    watch_process(getppid(), "20000");

    assert_int_equal(host_begin(host, 3), 0);
    host_goes_on(host, 100);
    assert_string_equal(next_message(), "READY=1");
    assert_string_equal(next_message(), status_of_three);
    assert_silent();
}

/* ---- Who does not listen -------------------------------------------------------------------- */

static void what_finds_no_room_is_reported_later_and_nothing_waits(void **state) {
    struct host *host = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", getenv("NOTIFY_SOCKET"));
    while (sendto(other, "x", 1, 0, (const struct sockaddr *)&address, sizeof(address)) == 1) {
    }
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(close(other), 0);

    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 3));

    for (const char *message = next_message(); strcmp(message, "x") == 0;) {
        message = next_message();
    }
    assert_string_equal(await_message(host), "READY=1");
    assert_string_equal(await_message(host), status_of_three);
}

static void a_socket_that_is_not_there_does_no_harm(void **state) {
    struct host *host = *state;
    assert_int_equal(setenv("NOTIFY_SOCKET", "/none/notify", 1), 0);

    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 3));
    assert_int_equal(host_stops(host), 0);
    assert_silent();
}

static void nothing_is_reported_unless_asked_for(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_manager_notify(host->pool, 0), 0);

    assert_int_equal(host_begin(host, 3), 0);
    assert_true(host_reaches(host, KIND_WORKER, ANY_TASK, 3));
    assert_int_equal(host_stops(host), 0);

    assert_silent();
}

/* ---- Who may speak --------------------------------------------------------------------------- */

static int looks_for_the_socket(struct board *board, int task_id, int run) {
    board_note(board, NOTE_SOCKET, getenv("NOTIFY_SOCKET") != NULL);
    return ends_at_once(board, task_id, run);
}

static void assert_found_socket(struct host *host, int found) {
    for (unsigned nth = 0; nth < 2; nth++) {
        assert_int_equal(board_find(host->board, NOTE_SOCKET, ANY_TASK, nth)->value, found);
    }
    assert_non_null(getenv("NOTIFY_SOCKET"));
}

static void assert_workers_find_socket(struct host *host, int found) {
    host->work = looks_for_the_socket;
    assert_int_equal(host_begin(host, 2), 0);
    assert_int_equal(host_finishes(host), 0);
    assert_found_socket(host, found);
}

static void a_worker_does_not_find_the_socket_in_its_environment(void **state) {
    assert_workers_find_socket(*state, 0);
}

static void a_worker_that_the_host_forks_does_not_find_it_either(void **state) {
    struct host *host = *state;
    host->work = looks_for_the_socket;
    assert_int_equal(forker_begin(host, 2), 0);
    assert_int_equal(forker_finishes(host), 0);
    assert_found_socket(host, 0);
}

static void the_fork_of_the_host_makes_the_pool_ready(void **state) {
    assert_int_equal(forker_begin(*state, 1), 0);
    assert_int_equal(forker_take(*state), 0);
    (void)next_message(); /* the status without a worker */
    assert_int_equal(forker_fork(*state, 0), 0);
    assert_string_equal(next_message(), "READY=1");
}

static void a_socket_that_the_pool_does_not_speak_to_is_left_to_the_workers(void **state) {
    struct host *host = *state;
    assert_int_equal(pf_pool_set_manager_notify(host->pool, 0), 0);

    assert_workers_find_socket(host, 1);
}

static int ends_with_status_0(int task_id, void *user) {
    (void)task_id;
    (void)user;
    return 0;
}

static pf_pool *pool_of_supervisor;

static int supervises_a_pool_itself(struct board *board, int task_id, int run) {
    pf_pool *pool = NULL;

    (void)task_id;
    (void)run;
    while (dup(manager_socket) < 40) { /* also in the places of what the supervisor has */
    }
    board_require(board, pf_pool_free(pool_of_supervisor) == NULL);
    for (int fd = 3; fd < 40; fd++) {
        board_require(board, fcntl(fd, F_GETFD) >= 0);
    }
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_manager_notify(pool, 1) == 0);
    board_require(board, pf_pool_set_workers(pool, 1) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, ends_with_status_0, NULL, NULL) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    while (pf_pool_dispatch(pool, -1) == 1) {
        const pf_event *event = NULL;
        while (pf_pool_next_event(pool, &event) == 1) {
        }
    }
    board_require(board, pf_pool_free(pool) == NULL);
    return 0;
}

static void a_worker_does_not_speak_for_the_service(void **state) {
    struct host *host = *state;
    host->work = supervises_a_pool_itself;
    pool_of_supervisor = host->pool;
    assert_int_equal(host_begin(host, 3), 0);

    assert_int_equal(host_finishes(host), 0);

    while (next_message()[0] != '\0') { /* each is looked at for its sender */
    }
}

static void the_setting_is_one_of_the_owner_before_the_start(void **state) {
    struct host *host = *state;
    int status = -1;

    assert_int_equal(pf_pool_set_manager_notify(NULL, 1), -EINVAL);
    pid_t child = fork();
    if (child == 0) {
        _exit(pf_pool_set_manager_notify(host->pool, 1) == -ECHILD ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(host_begin(host, 1), 0);
    assert_int_equal(pf_pool_set_manager_notify(host->pool, 0), -EBUSY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        manager_test(ready_is_reported_once_all_workers_run),
        manager_test(an_abstract_socket_is_as_good),
        manager_test(the_place_of_the_socket_matters_at_the_start_alone),
        manager_test(a_stop_is_reported_before_the_workers_have_ended),
        manager_test(a_pool_that_finishes_by_itself_reports_that_too),
        manager_test(ready_does_not_wait_for_a_slot_that_was_given_up),
        manager_test(a_status_reports_changes_once_a_second),
        manager_test(a_pool_at_rest_has_nothing_to_report_and_is_not_woken),
        manager_test(half_of_the_watchdogs_time_is_between_signs_of_life),
        manager_test(a_watchdog_without_a_pid_is_meant_too),
        manager_test(the_watchdog_of_another_process_is_left_to_it),
        manager_test(what_finds_no_room_is_reported_later_and_nothing_waits),
        manager_test(a_socket_that_is_not_there_does_no_harm),
        manager_test(nothing_is_reported_unless_asked_for),
        manager_test(a_worker_does_not_find_the_socket_in_its_environment),
        manager_test(a_worker_that_the_host_forks_does_not_find_it_either),
        manager_test(the_fork_of_the_host_makes_the_pool_ready),
        manager_test(a_socket_that_the_pool_does_not_speak_to_is_left_to_the_workers),
        manager_test(a_worker_does_not_speak_for_the_service),
        manager_test(the_setting_is_one_of_the_owner_before_the_start),
    };

    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
