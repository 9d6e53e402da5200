/*
 * stop_fd_test.c - a descriptor that tells a worker that it should end: pf_worker_stop_fd()
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"

enum {
    NOTE_WAITS = KIND_NOTE,
    NOTE_TOLD = KIND_NOTE + 1,
    NOTE_SIGNAL = KIND_NOTE + 2,
    NOTE_INNER = KIND_NOTE + 3
};

static struct board *worker_board;
static int worker_fd;

static bool is_readable(int fd, int timeout_ms) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int count = 0;

    do {
        count = poll(&one, 1, timeout_ms);
    } while (count < 0 && errno == EINTR);
    return count == 1 && (one.revents & POLLIN) != 0;
}

/* Opens it, and sees that it is quiet. */
static int open_quiet(struct board *board) {
    int fd = pf_worker_stop_fd();

    board_require(board, fd > STDERR_FILENO);
    board_require(board, pf_worker_stop_fd() == fd);
    board_require(board, (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    board_require(board, !is_readable(fd, 0));
    return fd;
}

/* Waits until it is readable, and sees that it stays so. */
static void wait_until_told(struct board *board, int fd) {
    board_note(board, NOTE_WAITS, 0);
    board_require(board, is_readable(fd, -1));
    board_require(board, is_readable(fd, 0));
    board_require(board, pf_worker_stop_fd() == fd);
    board_note(board, NOTE_TOLD, 0);
}

static void ignore_term(struct board *board) {
    board_require(board, signal(SIGTERM, SIG_IGN) != SIG_ERR);
}

static int ends_when_told(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    ignore_term(board);
    wait_until_told(board, open_quiet(board));
    return 0;
}

static void begin(struct host *host, int workers) {
    assert_int_equal(host_begin(host, workers), 0);
    assert_true(host_reaches(host, NOTE_WAITS, ANY_TASK, (unsigned)workers));
}

static void assert_all_reported(const struct host *host, unsigned workers) {
    assert_int_equal(board_count(host->board, NOTE_TOLD, ANY_TASK), workers);
    for (unsigned i = 0; i < workers; i++) {
        assert_int_equal(board_find(host->board, PF_EVENT_EXITED, ANY_TASK, i)->exit_code, 0);
    }
}

/* ---- A stop ---------------------------------------------------------------------------- */

static void a_stop_makes_it_readable(void **state) {
    struct host *host = *state;
    host->work = ends_when_told;
    begin(host, 3);
    host_goes_on(host, 20);
    assert_int_equal(board_count(host->board, NOTE_TOLD, ANY_TASK), 0);

    assert_int_equal(host_stops(host), 0);

    assert_all_reported(host, 3);
}

static void note_whether_told(int signal) {
    board_note(worker_board, NOTE_SIGNAL, is_readable(worker_fd, 0) ? signal : 0);
}

static int compares_signal_and_descriptor(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    worker_board = board;
    worker_fd = open_quiet(board);
    board_require(board, signal(SIGTERM, note_whether_told) != SIG_ERR);
    wait_until_told(board, worker_fd);
    while (board_count(board, NOTE_SIGNAL, task_id) == 0) {
        pause_ms(1);
    }
    return 0;
}

static void it_is_so_before_the_signal_is_sent(void **state) {
    enum { MANY = 10 };
    struct host *host = *state;
    host->work = compares_signal_and_descriptor;
    begin(host, MANY);

    assert_int_equal(host_stops(host), 0);

    for (int i = 0; i < MANY; i++) {
        assert_int_equal(board_find(host->board, NOTE_SIGNAL, i, 0)->value, SIGTERM);
    }
}

static void without_a_stop_signal_it_alone_tells(void **state) {
    struct host *host = *state;
    host->work = ends_when_told;
    assert_int_equal(pf_pool_set_stop(host->pool, 0, 0), 0);
    begin(host, 3);

    assert_int_equal(host_stops(host), 0);

    assert_all_reported(host, 3);
}

static int opens_after_the_stop(struct board *board, int task_id, int run) {
    (void)run;
    ignore_term(board);
    if (task_id == 1) {
        board_require(board, pf_worker_ready() == 0);
    }
    board_note(board, NOTE_WAITS, 0);
    gate_wait(board, 0);
    int fd = pf_worker_stop_fd();
    board_require(board, is_readable(fd, 0) && is_readable(fd, 0));
    board_note(board, NOTE_TOLD, 0);
    return 0;
}

static void who_opens_it_after_the_stop_is_reported_at_once(void **state) {
    struct host *host = *state;
    host->work = opens_after_the_stop;
    begin(host, 2);
    assert_int_equal(pf_pool_stop(host->pool), 0);
    assert_true(host_reaches(host, PF_EVENT_STOPPING, ANY_TASK, 1));

    gate_open(host->board, 0);

    assert_int_equal(host_finishes(host), 0);
    assert_all_reported(host, 2);
}

static int waits_in_its_epoll(struct board *board, int task_id, int run) {
    struct epoll_event event = {.events = EPOLLIN | (task_id == 1 ? (uint32_t)EPOLLET : 0U)};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int fd = open_quiet(board);

    (void)run;
    ignore_term(board);
    event.data.fd = fd;
    board_require(board, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    board_require(board, epoll_wait(epoll, &event, 1, 0) == 0);
    board_note(board, NOTE_WAITS, 0);
    board_require(board, epoll_wait(epoll, &event, 1, -1) == 1 && event.data.fd == fd);
    board_note(board, NOTE_TOLD, 0);
    return 0;
}

static void it_works_in_an_epoll(void **state) {
    struct host *host = *state;
    host->work = waits_in_its_epoll;
    begin(host, 2);

    assert_int_equal(host_stops(host), 0);

    assert_all_reported(host, 2);
}

static void only_those_who_should_end_are_reported(void **state) {
    struct host *host = *state;
    host->work = ends_when_told;
    begin(host, 3);
    pid_t old = host_pid(host, 0, 0);

    assert_int_equal(host_replaces(host, 0), 0);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 0, 1));
    assert_int_equal(board_find(host->board, NOTE_TOLD, ANY_TASK, 0)->author, old);
    assert_int_equal(pf_pool_resize(host->pool, 2), 0);
    assert_true(host_reaches(host, PF_EVENT_EXITED, 2, 1));
    assert_int_equal(kill(host_pid(host, 1, 0), SIGKILL), 0);
    assert_true(host_reaches(host, NOTE_WAITS, 1, 2));
    host_goes_on(host, 20);

    assert_int_equal(board_count(host->board, NOTE_TOLD, ANY_TASK), 2);
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(board_count(host->board, NOTE_TOLD, ANY_TASK), 4);
}

static int forked_worker(struct board *board, int task_id, int run) {
    return ends_when_told(board, task_id, run);
}

static void workers_of_the_one_call_have_it(void **state) {
    static const struct plan plan = {.workers = 2, .work = forked_worker};
    struct scenario *run = *state;
    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, NOTE_WAITS, ANY_TASK, 2));

    scenario_signal(run, SIGTERM);

    assert_dies_of(run, SIGTERM);
    assert_int_equal(board_count(run->board, NOTE_TOLD, ANY_TASK), 2);
}

/* ---- Its making ------------------------------------------------------------------------ */

static int count_descriptors(void) {
    int count = 0;

    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

static int lacks_descriptors_at_first(struct board *board, int task_id, int run) {
    struct rlimit limit;
    int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int before = count_descriptors();

    board_require(board, getrlimit(RLIMIT_NOFILE, &limit) == 0);
    struct rlimit few = limit;
    int needed = backend_under_test == PF_BACKEND_PIDFD ? 2 : 1;
    for (int more = 0; more < needed; more++) {
        few.rlim_cur = (rlim_t)first + 1 + (rlim_t)more;
        board_require(board, setrlimit(RLIMIT_NOFILE, &few) == 0);
        board_require(board, pf_worker_stop_fd() == -EMFILE);
    }
    board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
    (void)ends_when_told(board, task_id, run);
    int more = count_descriptors() - before;
    /* An epoll and, with that backend, a process descriptor. */
    board_require(board, more == (backend_under_test == PF_BACKEND_PIDFD ? 2 : 1));
    return 0;
}

static void who_lacked_descriptors_may_ask_again(void **state) {
    struct host *host = *state;
    host->work = lacks_descriptors_at_first;
    begin(host, 1);

    assert_int_equal(host_stops(host), 0);

    assert_all_reported(host, 1);
}

enum { THREADS = 8 };

static void *opens_it(void *number) {
    int *fd = number;
    gate_wait(worker_board, 0);
    *fd = pf_worker_stop_fd();
    return NULL;
}

static int opens_it_in_threads(struct board *board, int task_id, int run) {
    pthread_t threads[THREADS];
    int fds[THREADS];

    worker_board = board;
    for (int i = 0; i < THREADS; i++) {
        board_require(board, pthread_create(&threads[i], NULL, opens_it, &fds[i]) == 0);
    }
    gate_open(board, 0);
    for (int i = 0; i < THREADS; i++) {
        board_require(board, pthread_join(threads[i], NULL) == 0);
        board_require(board, fds[i] >= 0 && fds[i] == fds[0]);
    }
    return ends_when_told(board, task_id, run);
}

static void all_threads_get_the_same(void **state) {
    struct host *host = *state;
    host->work = opens_it_in_threads;
    begin(host, 1);

    assert_int_equal(host_stops(host), 0);

    assert_all_reported(host, 1);
}

static int inner_worker(int task_id, void *board) {
    ignore_term(board);
    int fd = open_quiet(board);
    board_require(board, pf_worker_ready() == 0);
    board_require(board, pf_worker_heartbeat() == 0);
    board_note_task(board, NOTE_INNER, task_id, 0);
    return is_readable(fd, -1) ? 0 : 1;
}

/* A pool of its own, with a descriptor of its own, after it has opened the outer one. */
static int supervises(struct board *board, int task_id, int run) {
    pf_pool *pool = NULL;
    const pf_event *event = NULL;
    int ready = 0;

    (void)task_id;
    (void)run;
    ignore_term(board);
    int fd = open_quiet(board);
    board_require(board, pf_worker_heartbeat() == 0);
    board_require(board, pf_pool_new(&pool) == 0);
    board_require(board, pf_pool_set_backend(pool, backend_under_test) == 0);
    board_require(board, pf_pool_set_workers(pool, 2) == 0);
    board_require(board, pf_pool_set_ready_timeout(pool, PATIENCE_MS) == 0);
    board_require(board, pf_pool_set_worker_fn(pool, inner_worker, board, NULL) == 0);
    board_require(board, pf_pool_start(pool) == 0);
    while (pf_pool_dispatch(pool, 100) != 0) {
        while (pf_pool_next_event(pool, &event) == 1) {
            ready += pf_event_type(event) == PF_EVENT_READY ? 1 : 0;
        }
        if (ready == 2 && board_count(board, NOTE_INNER, ANY_TASK) == 2) {
            board_require(board, pf_pool_stop(pool) == 0);
        }
    }
    board_require(board, pf_pool_free(pool) == NULL);
    board_require(board, !is_readable(fd, 0));
    wait_until_told(board, fd);
    return 0;
}

static void a_workers_worker_has_its_own(void **state) {
    struct host *host = *state;
    host->work = supervises;
    begin(host, 1);

    assert_int_equal(host_stops(host), 0);

    assert_all_reported(host, 1);
    assert_int_equal(board_count(host->board, NOTE_INNER, ANY_TASK), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_stop_makes_it_readable),
        host_test(it_is_so_before_the_signal_is_sent),
        host_test(without_a_stop_signal_it_alone_tells),
        host_test(who_opens_it_after_the_stop_is_reported_at_once),
        host_test(it_works_in_an_epoll),
        host_test(only_those_who_should_end_are_reported),
        scenario_test(workers_of_the_one_call_have_it),
        host_test(who_lacked_descriptors_may_ask_again),
        host_test(all_threads_get_the_same),
        host_test(a_workers_worker_has_its_own),
    };

    return run_group_with_each_backend("stop descriptor", tests);
}
