/*
 * accepting_test.c - workers that wait at one socket as pf_accept(3) says share its connections
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "host.h"
#include "net.h"

enum { WORKERS = 16, IDLE_CONNECTIONS = 200, BUSY_REQUESTS = 3200, CLIENTS = 64 };
enum { NOTE_IDLE = KIND_NOTE, COST_US = 1000, CACHE_LINE = 64 };

/* Written by the workers, in the memory that all share. */
struct counts {
    uint32_t woken;
    uint32_t accepted;
    uint32_t found_nothing;
    uint32_t at_rest; /* it does nothing but wait, if it sleeps */
    char rest[CACHE_LINE - 16];
};

static struct counts *counts;
static int listener;

static void watch(struct board *board, int epoll, int operation, int fd) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};

    board_require(board, epoll_ctl(epoll, operation, fd, &event) == 0);
}

static int takes_turns(struct board *board, int task_id, int run) {
    struct counts *own = &counts[task_id];
    struct epoll_event event;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    (void)run;

    watch(board, epoll, EPOLL_CTL_ADD, listener);
    board_note(board, NOTE_IDLE, 0);
    for (;;) {
        __atomic_store_n(&own->at_rest, 1, __ATOMIC_RELEASE);
        int count = epoll_wait(epoll, &event, 1, -1);
        __atomic_store_n(&own->at_rest, 0, __ATOMIC_RELEASE);
        if (count < 0) {
            return 1;
        }
        own->woken++;
        int connection = pf_accept(listener);
        if (connection == -EAGAIN) {
            own->found_nothing++;
            continue;
        }
        board_require(board, connection >= 0);
        own->accepted++;
        watch(board, epoll, EPOLL_CTL_DEL, listener);
        watch(board, epoll, EPOLL_CTL_ADD, listener);
        (void)usleep(COST_US);   /* what the request costs */
        (void)close(connection); /* which tells the client */
    }
}

static void all_rest(struct host *host) {
    for (int task = 0; task < WORKERS; task++) {
        while (!__atomic_load_n(&counts[task].at_rest, __ATOMIC_ACQUIRE) ||
               process_state(host_pid(host, task, 0)) != 'S') {
            pause_ms(1);
        }
    }
}

static void begin(struct host *host) {
    counts = mmap(NULL, WORKERS * sizeof(*counts), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(counts != MAP_FAILED);
    assert_int_equal(pf_bind_sockets("127.0.0.1", 0, AF_INET, 1024, 0, &listener, 1), 1);
    host->work = takes_turns;
    assert_int_equal(host_begin(host, WORKERS), 0);
    assert_true(host_reaches(host, NOTE_IDLE, ANY_TASK, WORKERS));
}

static void end(struct host *host) {
    assert_int_equal(host_stops(host), 0);
    assert_int_equal(close(listener), 0);
    assert_int_equal(munmap(counts, WORKERS * sizeof(*counts)), 0);
}

static void a_connection_wakes_one_idle_worker(void **state) {
    struct host *host = *state;
    unsigned woken = 0;
    unsigned found_nothing = 0;
    char byte;
    begin(host);

    for (int i = 0; i < IDLE_CONNECTIONS; i++) {
        all_rest(host);
        int client = connect_to(listener);
        assert_true(client >= 0);
        assert_int_equal(read(client, &byte, 1), 0);
        assert_int_equal(close(client), 0);
    }
    all_rest(host);

    for (int task = 0; task < WORKERS; task++) {
        woken += counts[task].woken;
        found_nothing += counts[task].found_nothing;
        assert_true(counts[task].accepted > 0); /* each had its turn */
    }
    print_message("%u woken and %u times EAGAIN for %d connections\n", woken, found_nothing,
                  IDLE_CONNECTIONS);
    assert_int_equal(found_nothing, 0);
    assert_int_equal(woken, IDLE_CONNECTIONS);
    end(host);
}

static void busy_workers_get_equal_shares(void **state) {
    struct host *host = *state;
    uint32_t most = 0;
    uint32_t least = UINT32_MAX;
    int clients[CLIENTS];
    begin(host);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_to(listener);
        assert_true(clients[i] >= 0);
    }

    /* Most end in the order in which they came. */
    for (int i = 0; i < BUSY_REQUESTS; i++) {
        int *client = &clients[i % CLIENTS];
        assert_true(becomes_readable(*client));
        assert_int_equal(close(*client), 0);
        *client = connect_to(listener);
        assert_true(*client >= 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(becomes_readable(clients[i]));
        assert_int_equal(close(clients[i]), 0);
    }

    for (int task = 0; task < WORKERS; task++) {
        most = counts[task].accepted > most ? counts[task].accepted : most;
        least = counts[task].accepted < least ? counts[task].accepted : least;
    }
    print_message("%u to %u requests a worker\n", least, most);
    /* One that had no processor for a while has less. */
    assert_true(least > 0 && most <= 4 * least);
    end(host);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        host_test(a_connection_wakes_one_idle_worker),
        host_test(busy_workers_get_equal_shares),
    };

    return cmocka_run_group_tests_name("accepting", tests, NULL, NULL);
}
