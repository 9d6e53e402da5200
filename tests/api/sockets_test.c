/*
 * sockets_test.c - what pf_bind_sockets() binds, and how
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "net.h"
#include "scenario.h"

enum { ROOM = 8 };
/* How often a case looks for a free port: another program may take it first. */
enum { TRIES = 10 };

static int fds[ROOM];

static void close_all(int count) {
    for (int i = 0; i < count; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
}

static int bind_here(const char *host, int port) {
    return pf_bind_sockets(host, port, AF_UNSPEC, 0, 0, fds, ROOM);
}

/* For tests that need both families. */
static void need_version6(void) {
    int fd = plain_bind("::1", 0, 0);

    if (fd < 0) {
        print_message("skipped: there is no IPv6 here\n");
        skip();
    }
    assert_int_equal(close(fd), 0);
}

static void assert_listens(int fd) {
    assert_int_equal(socket_option(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    assert_int_equal(socket_option(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    assert_int_equal(socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    assert_int_equal(socket_option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(socket_option(fd, SOL_SOCKET, SO_REUSEPORT), 0);
    assert_true(is_nonblocking(fd));
    assert_true(is_close_on_exec(fd));
    assert_true(fd > STDERR_FILENO);
}

/* ---- Addresses and families ----------------------------------------------------------- */

static void assert_binds_any_address(const char *host) {
    int count = bind_here(host, 0);

    assert_int_equal(count, 2);
    assert_string_equal(socket_host(fds[0]), "0.0.0.0");
    assert_string_equal(socket_host(fds[1]), "::");
    assert_int_equal(socket_option(fds[1], IPPROTO_IPV6, IPV6_V6ONLY), 1);
    assert_in_range(socket_port(fds[0]), 1, 65535);
    assert_int_equal(socket_port(fds[1]), socket_port(fds[0]));
    for (int i = 0; i < count; i++) {
        assert_listens(fds[i]);
    }
    close_all(count);
}

static void any_address_is_both_families_on_one_port(void **state) {
    (void)state;
    need_version6();

    assert_binds_any_address(NULL);
    assert_binds_any_address("");
}

static void a_numeric_address_needs_no_resolver(void **state) {
    static const char *const version4[] = {"127.0.0.1", "127.0.0.2", "0.0.0.0"};
    (void)state;

    for (size_t i = 0; i < sizeof(version4) / sizeof(version4[0]); i++) {
        assert_int_equal(bind_here(version4[i], 0), 1);
        assert_string_equal(socket_host(fds[0]), version4[i]);
        assert_listens(fds[0]);
        close_all(1);
    }
    need_version6();
    assert_int_equal(bind_here("::1", 0), 1);
    assert_string_equal(socket_host(fds[0]), "::1");
    close_all(1);
}

static void one_family_can_be_chosen(void **state) {
    (void)state;
    need_version6();

    assert_int_equal(pf_bind_sockets(NULL, 0, AF_INET, 0, 0, fds, ROOM), 1);
    assert_int_equal(socket_family(fds[0]), AF_INET);
    close_all(1);
    assert_int_equal(pf_bind_sockets(NULL, 0, AF_INET6, 0, 0, fds, ROOM), 1);
    assert_int_equal(socket_family(fds[0]), AF_INET6);
    close_all(1);
    assert_int_equal(pf_bind_sockets("127.0.0.1", 0, AF_INET6, 0, 0, fds, ROOM), PF_ERESOLVE);
}

static void an_address_of_another_machine_is_refused(void **state) {
    (void)state;

    assert_int_equal(bind_here("192.0.2.1", 0), -EADDRNOTAVAIL);
}

/* ---- Ports ---------------------------------------------------------------------------- */

static void a_port_that_was_asked_for_is_taken(void **state) {
    int port = 0, count = 0;
    (void)state;

    for (int i = 0; i < TRIES && count != 1; i++) {
        assert_int_equal(bind_here("127.0.0.1", 0), 1);
        port = socket_port(fds[0]);
        close_all(1);
        count = bind_here("127.0.0.1", port);
    }

    assert_int_equal(count, 1);
    assert_int_equal(socket_port(fds[0]), port);
    close_all(1);
}

static void a_taken_port_is_refused_and_nothing_stays_bound(void **state) {
    int other = -1;
    (void)state;
    need_version6();

    for (int i = 0; i < TRIES && other < 0; i++) {
        int taken = plain_bind("::", 0, PLAIN_LISTEN);
        int port = socket_port(taken);
        fds[0] = -7;
        assert_int_equal(bind_here(NULL, port), -EADDRINUSE);
        assert_int_equal(fds[0], -7);
        other = plain_bind("0.0.0.0", port, PLAIN_LISTEN); /* the library has let go of it */
        assert_int_equal(close(taken), 0);
    }

    assert_true(other >= 0);
    assert_int_equal(close(other), 0);
}

static void a_port_is_free_again_at_once(void **state) {
    (void)state;
    assert_int_equal(bind_here("127.0.0.1", 0), 1);
    int port = socket_port(fds[0]);
    int client = connect_to(fds[0]);
    assert_true(becomes_readable(fds[0]));
    int connection = pf_accept(fds[0]);
    assert_true(connection >= 0);
    assert_int_equal(close(connection), 0); /* first, so that this end waits in TIME_WAIT */
    assert_true(becomes_readable(client));
    assert_int_equal(close(client), 0);
    close_all(1);
    assert_int_equal(plain_bind("127.0.0.1", port, 0), -EADDRINUSE);

    assert_int_equal(bind_here("127.0.0.1", port), 1);

    close_all(1);
}

static void reuseport_shares_a_port_with_those_who_set_it(void **state) {
    (void)state;
    int first[1];

    assert_int_equal(pf_bind_sockets("127.0.0.1", 0, 0, 0, PF_BIND_REUSEPORT, first, 1), 1);
    int port = socket_port(first[0]);
    assert_int_equal(socket_option(first[0], SOL_SOCKET, SO_REUSEPORT), 1);
    assert_int_equal(pf_bind_sockets("127.0.0.1", port, 0, 0, PF_BIND_REUSEPORT, fds, ROOM), 1);
    close_all(1);
    assert_int_equal(bind_here("127.0.0.1", port), -EADDRINUSE);
    assert_int_equal(close(first[0]), 0);
}

/* ---- Other settings and limits -------------------------------------------------------- */

static void the_backlog_is_128_or_what_was_asked_for(void **state) {
    static const int asked[] = {0, -1, 1, 7, 128};
    static const int given[] = {128, 128, 1, 7, 128};
    (void)state;

    for (int i = 0; i < 5; i++) {
        assert_int_equal(pf_bind_sockets("127.0.0.1", 0, 0, asked[i], 0, fds, ROOM), 1);
        assert_int_equal(socket_backlog(fds[0]), given[i]);
        close_all(1);
    }
}

static void too_little_room_binds_nothing(void **state) {
    int for_one = 0, for_none = 0, for_both = 0;
    (void)state;
    need_version6();

    for (int i = 0; i < TRIES && for_both != 2; i++) {
        assert_int_equal(bind_here(NULL, 0), 2);
        int port = socket_port(fds[0]);
        close_all(2);
        fds[0] = -7;
        for_one = pf_bind_sockets(NULL, port, 0, 0, 0, fds, 1);
        for_none = pf_bind_sockets(NULL, port, 0, 0, 0, NULL, 0);
        assert_int_equal(fds[0], -7);
        for_both = bind_here(NULL, port);
    }

    assert_int_equal(for_both, 2);
    close_all(2);
    assert_int_equal(for_one, -ENOBUFS);
    assert_int_equal(for_none, -ENOBUFS);
    assert_int_equal(pf_bind_sockets(NULL, 0, AF_INET, 0, 0, fds, 1), 1);
    close_all(1);
}

static void wrong_arguments_are_refused(void **state) {
    (void)state;

    assert_int_equal(bind_here(NULL, -1), -EINVAL);
    assert_int_equal(bind_here(NULL, 65536), -EINVAL);
    assert_int_equal(pf_bind_sockets(NULL, 0, AF_UNIX, 0, 0, fds, ROOM), -EINVAL);
    assert_int_equal(pf_bind_sockets(NULL, 0, -1, 0, 0, fds, ROOM), -EINVAL);
    assert_int_equal(pf_bind_sockets(NULL, 0, 0, 0, 2, fds, ROOM), -EINVAL);
    assert_int_equal(pf_bind_sockets(NULL, 0, 0, 0, 0x80000001U, fds, ROOM), -EINVAL);
    assert_int_equal(pf_bind_sockets(NULL, 0, 0, 0, 0, NULL, 1), -EINVAL);
    assert_int_equal(pf_bind_sockets(NULL, 0, 0, 0, 0, fds, -1), -EINVAL);
}

/* More sets than a program has, and closed in an order that is not theirs. */
static void sets_may_be_bound_and_closed_in_any_order(void **state) {
    enum { SETS = 40 };
    int sockets[SETS];
    (void)state;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SETS; i++) {
            int at = i * 7 % SETS;
            assert_int_equal(pf_bind_sockets("127.0.0.1", 0, 0, 0, 0, &sockets[at], 1), 1);
        }
        for (int i = 0; i < SETS; i++) {
            assert_int_equal(close(sockets[i]), 0);
        }
    }
}

/* ---- Workers -------------------------------------------------------------------------- */

enum { NOTE_SERVED = KIND_NOTE, WORKERS = 3 };

static void bind_for_workers(struct board *board) {
    board_require(board, bind_here("127.0.0.1", 0) == 1);
    board_note(board, NOTE_SERVED + 1, socket_port(fds[0]));
}

static int serve_one(struct board *board, int task_id, int run) {
    (void)task_id;
    (void)run;
    for (;;) {
        board_require(board, becomes_readable(fds[0]));
        int connection = pf_accept(fds[0]);
        if (connection >= 0) {
            board_note(board, NOTE_SERVED, connection);
            return 0;
        }
        board_require(board, connection == -EAGAIN);
    }
}

static void workers_share_the_sockets(void **state) {
    static const struct plan plan = {
        .workers = WORKERS, .prepare = bind_for_workers, .work = serve_one};
    struct scenario *run = *state;
    struct sockaddr_in address = {.sin_family = AF_INET};

    scenario_start(run, &plan);
    assert_true(board_reaches(run->board, NOTE_SERVED + 1, ANY_TASK, 1));
    const struct record *bound = board_find(run->board, NOTE_SERVED + 1, ANY_TASK, 0);
    address.sin_port = htons((uint16_t)bound->value);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < WORKERS; i++) {
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_true(becomes_readable(client)); /* it is closed when the worker ends */
        assert_int_equal(close(client), 0);
    }

    assert_exits(run, 0);
    for (int task = 0; task < WORKERS; task++) {
        assert_int_equal(board_count(run->board, NOTE_SERVED, task), 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(any_address_is_both_families_on_one_port),
        scenario_test(a_numeric_address_needs_no_resolver),
        scenario_test(one_family_can_be_chosen),
        scenario_test(an_address_of_another_machine_is_refused),
        scenario_test(a_port_that_was_asked_for_is_taken),
        scenario_test(a_taken_port_is_refused_and_nothing_stays_bound),
        scenario_test(a_port_is_free_again_at_once),
        scenario_test(reuseport_shares_a_port_with_those_who_set_it),
        scenario_test(the_backlog_is_128_or_what_was_asked_for),
        scenario_test(too_little_room_binds_nothing),
        scenario_test(wrong_arguments_are_refused),
        scenario_test(sets_may_be_bound_and_closed_in_any_order),
        scenario_test(workers_share_the_sockets),
    };

    return cmocka_run_group_tests_name("sockets", tests, NULL, NULL);
}
