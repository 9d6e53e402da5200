/*
 * socket_systems_test.c - pf_bind_sockets() on systems that lack something: a family, an
 * address, privileges, descriptors, free ports
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "net.h"
#include "scenario.h"

enum { ROOM = 8, STATUS_IMPOSSIBLE = 77 };

static int fds[ROOM];

static int bind_here(const char *host, int port) {
    return pf_bind_sockets(host, port, AF_UNSPEC, 0, 0, fds, ROOM);
}

static void close_all(int count) {
    for (int i = 0; i < count; i++) {
        (void)close(fds[i]); /* nothing was written */
    }
}

/* The test of a host that may find that its system cannot be made here. */
static void judge_host(struct scenario *run, host_fn host) {
    scenario_start_host(run, host);
    int status = scenario_wait(run);
    if (status == STATUS_IMPOSSIBLE << 8) {
        print_message("skipped: needs namespaces of its own, and a file /etc/hosts\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static int host_without_version6(struct board *board) {
    leave_out_leak_check();
    if (!forbid_family(AF_INET6)) {
        return STATUS_IMPOSSIBLE;
    }
    board_require(board, bind_here(NULL, 0) == 1);
    board_require(board, socket_family(fds[0]) == AF_INET);
    close_all(1);
    board_require(board, pf_bind_sockets(NULL, 0, AF_INET6, 0, 0, fds, ROOM) == -EAFNOSUPPORT);
    board_require(board, bind_here("::1", 0) == -EAFNOSUPPORT);
    return 0;
}

static void a_family_that_the_kernel_lacks_is_passed_over(void **state) {
    judge_host(*state, host_without_version6);
}

static bool file_is(const char *path, const char *text) {
    return write_file("file", text) && chmod("file", 0644) == 0 &&
           mount("file", path, NULL, MS_BIND, NULL) == 0 && unlink("file") == 0;
}

/* A file in the place of /etc/hosts, in this process's own mounts. Nobody else is asked. */
static bool names_are(const char *text) {
    char directory[64];

    scratch_enter(directory, sizeof(directory));
    bool done = file_is("/etc/hosts", text) && (access("/etc/nsswitch.conf", F_OK) < 0 ||
                                                file_is("/etc/nsswitch.conf", "hosts: files\n"));
    scratch_leave(directory);
    return done;
}

static int host_with_one_name(struct board *board) {
    leave_out_leak_check();
    if (!enter_own_network() || !names_are("127.0.0.2 one\n")) {
        return STATUS_IMPOSSIBLE;
    }
    board_require(board, bind_here("one", 0) == 1);
    board_require(board, strcmp(socket_host(fds[0]), "127.0.0.2") == 0);
    close_all(1);
    board_require(board, bind_here("other", 0) == PF_ERESOLVE);
    board_require(board, bind_here("127.0.0.256", 0) == PF_ERESOLVE);
    board_require(board, strcmp(pf_strerror(PF_ERESOLVE), "Host name not found") == 0);
    return 0;
}

static void a_name_is_resolved_and_one_that_is_not_found_is_told_apart(void **state) {
    judge_host(*state, host_with_one_name);
}

static int host_with_half_of_version6(struct board *board) {
    leave_out_leak_check();
    if (!enter_own_network() || !write_file("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "1") ||
        !names_are("127.0.0.1 localhost other\n::1 localhost other\n")) {
        return STATUS_IMPOSSIBLE;
    }
    board_require(board, bind_here("localhost", 0) == 1);
    board_require(board, strcmp(socket_host(fds[0]), "127.0.0.1") == 0);
    close_all(1);
    board_require(board, bind_here("other", 0) == -EADDRNOTAVAIL);
    board_require(board, bind_here("::1", 0) == -EADDRNOTAVAIL);
    board_require(board,
                  pf_bind_sockets("localhost", 0, AF_INET6, 0, 0, fds, ROOM) == -EADDRNOTAVAIL);
    return 0;
}

static void localhost_without_its_second_address_is_bound(void **state) {
    judge_host(*state, host_with_half_of_version6);
}

static int host_with_addresses_twice(struct board *board) {
    leave_out_leak_check();
    if (!enter_own_network() || !names_are("::1 many\n127.0.0.3 many\n127.0.0.2 many\n"
                                           "127.0.0.3 many\n::1 many\n127.0.0.2 many\n")) {
        return STATUS_IMPOSSIBLE;
    }
    int count = bind_here("many", 0);
    board_require(board, count == 3);
    for (int i = 0; i < count; i++) {
        board_require(board, socket_family(fds[i]) == (i < 2 ? AF_INET : AF_INET6));
        board_require(board, socket_port(fds[i]) == socket_port(fds[0]));
        for (int j = 0; j < i; j++) {
            char other[INET6_ADDRSTRLEN];
            (void)snprintf(other, sizeof(other), "%s", socket_host(fds[j]));
            board_require(board, strcmp(socket_host(fds[i]), other) != 0);
        }
    }
    close_all(count);
    return 0;
}

static void an_address_is_bound_once_and_version_4_first(void **state) {
    judge_host(*state, host_with_addresses_twice);
}

enum { PORT_FIRST = 40000, PORTS = 16, ROUNDS = 50 };

/* Whether version 6 has that port, which the kernel does not know when it chooses one for 4. It
 * prefers some ports to others; of any kind half are taken. */
static bool is_taken(int port) { return (port - PORT_FIRST) % 4 < 2; }

static int host_with_few_free_ports(struct board *board) {
    int taken[PORTS];
    char range[32];

    leave_out_leak_check();
    (void)snprintf(range, sizeof(range), "%d %d", PORT_FIRST, PORT_FIRST + PORTS - 1);
    if (!enter_own_network() || !write_file("/proc/sys/net/ipv4/ip_local_port_range", range)) {
        return STATUS_IMPOSSIBLE;
    }
    for (int i = 0; i < PORTS; i++) {
        taken[i] = is_taken(PORT_FIRST + i) ? plain_bind("::", PORT_FIRST + i, PLAIN_LISTEN) : -1;
        board_require(board, taken[i] >= 0 || !is_taken(PORT_FIRST + i));
    }
    for (int round = 0; round < ROUNDS; round++) {
        board_require(board, bind_here(NULL, 0) == 2);
        board_require(board, !is_taken(socket_port(fds[0])));
        board_require(board, socket_port(fds[1]) == socket_port(fds[0]));
        close_all(2);
    }
    for (int i = 0; i < PORTS; i++) {
        if (taken[i] < 0) {
            taken[i] = plain_bind("::", PORT_FIRST + i, PLAIN_LISTEN);
            board_require(board, taken[i] >= 0);
        }
    }
    board_require(board, bind_here(NULL, 0) == -EADDRINUSE);
    for (int i = 0; i < PORTS; i++) {
        (void)close(taken[i]); /* nothing was written */
    }
    return 0;
}

static void port_0_is_tried_until_all_families_have_it(void **state) {
    judge_host(*state, host_with_few_free_ports);
}

static int host_without_privileges(struct board *board) {
    leave_out_leak_check();
    if (!drop_privileges()) {
        return STATUS_IMPOSSIBLE;
    }
    board_require(board, bind_here("127.0.0.1", 0) == 1);
    close_all(1);
    int lowest = 1024;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    if (file != NULL) {
        board_require(board, fscanf(file, "%d", &lowest) == 1);
        (void)fclose(file); /* only read */
    }
    if (lowest < 2) {
        return STATUS_IMPOSSIBLE;
    }
    board_require(board, bind_here("127.0.0.1", 1) == -EACCES);
    return 0;
}

static void a_low_port_needs_privileges(void **state) {
    judge_host(*state, host_without_privileges);
}

static int host_without_descriptors(struct board *board) {
    struct rlimit limit;
    int lowest = dup(STDERR_FILENO);

    (void)close(lowest); /* it only told the number */
    board_require(board, getrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int left = 0; left <= 1; left++) {
        limit.rlim_cur = (rlim_t)lowest + (rlim_t)left;
        board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
        board_require(board, bind_here(NULL, 0) == -EMFILE);
    }
    limit.rlim_cur = limit.rlim_max;
    board_require(board, setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int first = dup(STDERR_FILENO);
    board_require(board, first == lowest); /* nothing was left open */
    (void)close(first);
    return 0;
}

static void short_of_descriptors_nothing_stays_open(void **state) {
    judge_host(*state, host_without_descriptors);
}

static int host_without_stdio(struct board *board) {
    (void)close(STDIN_FILENO);
    (void)close(STDOUT_FILENO);
    int count = bind_here(NULL, 0);
    board_require(board, count >= 1);
    for (int i = 0; i < count; i++) {
        board_require(board, fds[i] > STDERR_FILENO);
        board_require(board, is_close_on_exec(fds[i]));
    }
    board_require(board, fcntl(STDIN_FILENO, F_GETFD) < 0);
    board_require(board, fcntl(STDOUT_FILENO, F_GETFD) < 0);
    close_all(count);
    return 0;
}

static void a_socket_never_takes_the_place_of_stdio(void **state) {
    judge_host(*state, host_without_stdio);
}

static void require_nothing_open(struct board *board, int before) {
    int first = dup(STDERR_FILENO);

    board_require(board, first == before);
    (void)close(first);
}

static int lowest_free(void) {
    int lowest = dup(STDERR_FILENO);

    (void)close(lowest);
    return lowest;
}

static int host_that_may_not_ask_for_the_port(struct board *board) {
    int lowest = lowest_free();

    leave_out_leak_check();
    board_require(board, filter_forbid(SYS_getsockname, EPERM));
    board_require(board, bind_here("127.0.0.1", 0) == -EPERM);
    require_nothing_open(board, lowest);
    return 0;
}

static void a_port_that_can_not_be_asked_for_is_no_port(void **state) {
    judge_host(*state, host_that_may_not_ask_for_the_port);
}

/* What cannot be looked at cannot be handed to workers by exec. */
static int host_that_may_not_look(struct board *board) {
    int lowest = lowest_free();

    leave_out_leak_check();
#ifdef SYS_fstat
    board_require(board, filter_forbid(SYS_fstat, EPERM));
#endif
#ifdef SYS_newfstatat
    board_require(board, filter_forbid(SYS_newfstatat, EPERM));
#endif
    board_require(board, bind_here("127.0.0.1", 0) == -EPERM);
    board_require(board, pf_bind_unix_socket("none", 0600, 0) == -EPERM);
    require_nothing_open(board, lowest);
    return 0;
}

static void a_socket_that_can_not_be_looked_at_is_refused(void **state) {
    judge_host(*state, host_that_may_not_look);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        scenario_test(a_family_that_the_kernel_lacks_is_passed_over),
        scenario_test(a_name_is_resolved_and_one_that_is_not_found_is_told_apart),
        scenario_test(localhost_without_its_second_address_is_bound),
        scenario_test(an_address_is_bound_once_and_version_4_first),
        scenario_test(port_0_is_tried_until_all_families_have_it),
        scenario_test(a_low_port_needs_privileges),
        scenario_test(short_of_descriptors_nothing_stays_open),
        scenario_test(a_socket_never_takes_the_place_of_stdio),
        scenario_test(a_port_that_can_not_be_asked_for_is_no_port),
        scenario_test(a_socket_that_can_not_be_looked_at_is_refused),
    };

    return cmocka_run_group_tests_name("socket systems", tests, NULL, NULL);
}
