/*
 * unix_socket_test.c - what pf_bind_unix_socket() binds, replaces and leaves alone
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "net.h"
#include "scenario.h"

enum { LENGTH_MAX = 107, STATUS_IMPOSSIBLE = 77 };

static char directory[128];

/* Each test is in an empty directory. */
static int directory_setup(void **state) {
    scratch_enter(directory, sizeof(directory));
    return scenario_setup(state);
}

static int directory_teardown(void **state) {
    int result = scenario_teardown(state);

    scratch_leave(directory);
    return result;
}

#define directory_test(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, directory_setup, directory_teardown)

static int mode_of(const char *path) {
    struct stat facts;

    return lstat(path, &facts) == 0 ? (int)facts.st_mode : -1;
}

static ino_t inode_of(const char *path) {
    struct stat facts;

    return lstat(path, &facts) == 0 ? facts.st_ino : 0;
}

/* Binds there, and sees that clients reach it. */
static void assert_binds(const char *path) {
    int fd = pf_bind_unix_socket(path, 0600, 0);
    assert_true(fd >= 0);
    int client = connect_to_path(path);
    assert_true(client >= 0);
    int connection = pf_accept(fd);
    assert_true(connection >= 0);
    assert_true(is_nonblocking(connection));
    assert_int_equal(close(connection), 0);
    assert_int_equal(close(client), 0);
    assert_int_equal(close(fd), 0);
}

static void leave_stale(const char *path) {
    int fd = plain_bind_path(path, SOCK_STREAM, PLAIN_LISTEN);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(connect_to_path(path), -ECONNREFUSED);
}

static void a_socket_listens_under_its_path(void **state) {
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    (void)state;

    int fd = pf_bind_unix_socket("socket", 0600, 0);

    assert_true(fd > STDERR_FILENO);
    assert_true(is_nonblocking(fd));
    assert_true(is_close_on_exec(fd));
    assert_int_equal(socket_option(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    assert_int_equal(socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    assert_string_equal(address.sun_path, "socket");
    assert_int_equal(pf_accept(fd), -EAGAIN);
    assert_int_equal(close(fd), 0);
    assert_int_equal(mode_of("socket"), S_IFSOCK | 0600); /* the file stays */
    assert_binds("socket");
}

static void the_mode_does_not_depend_on_the_umask(void **state) {
    static const mode_t umasks[] = {0, 022, 077, 0777};
    static const uint32_t modes[] = {0, 0600, 0660, 0666, 0777, 0123};
    (void)state;

    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 6; j++) {
            mode_t before = umask(umasks[i]);
            int fd = pf_bind_unix_socket("socket", modes[j], 0);
            mode_t after = umask(before);
            assert_true(fd >= 0);
            assert_int_equal(after, umasks[i]);
            assert_int_equal(mode_of("socket"), S_IFSOCK | modes[j]);
            assert_int_equal(close(fd), 0);
            assert_int_equal(unlink("socket"), 0);
        }
    }
}

static void the_backlog_is_128_or_what_was_asked_for(void **state) {
    int clients[200];
    (void)state;

    for (int asked = 0; asked <= 5; asked += 5) {
        int fd = pf_bind_unix_socket("socket", 0600, asked);
        int count = 0;
        assert_true(fd >= 0);
        while (count < 200 && (clients[count] = connect_to_path("socket")) >= 0) {
            count++;
        }
        assert_int_equal(clients[count], -EAGAIN);
        assert_int_equal(count, asked == 0 ? 129 : asked + 1); /* as the kernel counts */
        while (count > 0) {
            assert_int_equal(close(clients[--count]), 0);
        }
        assert_int_equal(close(fd), 0);
    }
}

/* ---- What is there already ------------------------------------------------------------ */

static void a_stale_socket_is_replaced(void **state) {
    (void)state;
    leave_stale("socket");
    ino_t stale = inode_of("socket");
    assert_int_equal(link("socket", "kept"), 0); /* so that its number is not given again */

    assert_binds("socket");

    assert_true(inode_of("socket") != stale);
    assert_int_equal(inode_of("kept"), stale);
    assert_int_equal(unlink("socket"), 0);
    assert_int_equal(unlink("kept"), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(directory), 0); /* nothing is left beside it */
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(chdir(directory), 0);
}

static void a_stale_socket_for_datagrams_is_replaced(void **state) {
    (void)state;
    int fd = plain_bind_path("socket", SOCK_DGRAM, 0);
    assert_int_equal(close(fd), 0);

    assert_binds("socket");
}

static void a_socket_in_use_is_refused(void **state) {
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    (void)state;

    for (int i = 0; i < 3; i++) {
        int fd = plain_bind_path("socket", types[i], types[i] == SOCK_DGRAM ? 0 : PLAIN_LISTEN);
        ino_t inode = inode_of("socket");
        assert_int_equal(pf_bind_unix_socket("socket", 0600, 0), -EADDRINUSE);
        assert_int_equal(inode_of("socket"), inode);
        assert_int_equal(close(fd), 0);
        assert_int_equal(unlink("socket"), 0);
    }
}

static void a_listener_with_a_full_queue_is_in_use(void **state) {
    int clients[8];
    int count = 0;
    (void)state;
    int fd = plain_bind_path("socket", SOCK_STREAM, PLAIN_LISTEN);
    while (count < 8 && (clients[count] = connect_to_path("socket")) >= 0) {
        count++;
    }
    assert_int_equal(clients[count], -EAGAIN);

    assert_int_equal(pf_bind_unix_socket("socket", 0600, 0), -EADDRINUSE);

    while (count > 0) {
        assert_int_equal(close(clients[--count]), 0);
    }
    assert_int_equal(close(fd), 0);
}

static void assert_kept(const char *path) {
    ino_t inode = inode_of(path);
    int mode = mode_of(path);

    assert_int_equal(pf_bind_unix_socket(path, 0777, 0), -EEXIST);
    assert_int_equal(inode_of(path), inode);
    assert_int_equal(mode_of(path), mode);
}

static void another_kind_of_file_is_never_replaced(void **state) {
    (void)state;

    assert_true(write_file("file", "text"));
    assert_kept("file");
    assert_true(write_file("empty", ""));
    assert_kept("empty");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_kept("fifo");
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_kept("dangling");
    assert_int_equal(mode_of("nowhere"), -1);
    leave_stale("stale");
    assert_int_equal(symlink("stale", "link"), 0);
    assert_kept("link");
    assert_kept("/tmp");
    assert_kept("/dev/null");
}

/* ---- Names ---------------------------------------------------------------------------- */

static void a_name_has_at_most_107_bytes(void **state) {
    char name[LENGTH_MAX + 2];
    (void)state;
    memset(name, 'n', sizeof(name));
    name[LENGTH_MAX + 1] = '\0';
    assert_int_equal(pf_bind_unix_socket(name, 0600, 0), -ENAMETOOLONG);
    name[LENGTH_MAX] = '\0';

    assert_binds(name);
    assert_binds(name); /* what the first has left is stale */
}

static void a_short_name_in_a_long_directory_is_replaced_too(void **state) {
    char name[LENGTH_MAX + 1];
    (void)state;
    memset(name, 'd', sizeof(name));
    name[LENGTH_MAX - 2] = '\0';
    assert_int_equal(mkdir(name, 0700), 0);
    memcpy(name + LENGTH_MAX - 2, "/s", 3);

    assert_binds(name);
    assert_binds(name);

    assert_int_equal(unlink(name), 0);
    name[LENGTH_MAX - 2] = '\0';
    assert_int_equal(rmdir(name), 0);
}

static void names_have_no_special_characters(void **state) {
    (void)state;

    assert_binds("@socket");
    assert_int_equal(mode_of("@socket"), S_IFSOCK | 0600);
    assert_int_equal(pf_bind_unix_socket("", 0600, 0), -EINVAL);
    assert_int_equal(pf_bind_unix_socket(NULL, 0600, 0), -EINVAL);
    assert_int_equal(pf_bind_unix_socket("socket", 01000, 0), -EINVAL);
    assert_int_equal(pf_bind_unix_socket("socket", 0140600, 0), -EINVAL);
    assert_int_equal(mode_of("socket"), -1);
}

static void the_faults_of_a_directory_are_reported(void **state) {
    (void)state;

    assert_int_equal(pf_bind_unix_socket("nowhere/socket", 0600, 0), -ENOENT);
    assert_true(write_file("file", "text"));
    assert_int_equal(pf_bind_unix_socket("file/socket", 0600, 0), -ENOTDIR);
}

/* ---- Without privileges --------------------------------------------------------------- */

static int host_without_privileges(struct board *board) {
    leave_out_leak_check();
    if (geteuid() != 0 || chmod(".", 01777) != 0 || mkdir("closed", 0700) != 0) {
        return STATUS_IMPOSSIBLE;
    }
    int stale = plain_bind_path("stale", SOCK_STREAM, PLAIN_LISTEN);
    board_require(board, chmod("stale", 0666) == 0 && close(stale) == 0);
    int secret = plain_bind_path("secret", SOCK_STREAM, PLAIN_LISTEN);
    board_require(board, chmod("secret", 0600) == 0);
    board_require(board, drop_privileges());

    int fd = pf_bind_unix_socket("own", 0660, 0);
    board_require(board, fd >= 0 && close(fd) == 0);
    fd = pf_bind_unix_socket("own", 0660, 0);
    board_require(board, fd >= 0 && close(fd) == 0);
    board_require(board, pf_bind_unix_socket("closed/socket", 0600, 0) == -EACCES);
    /* Nobody can tell whether it is in use; and in such a directory only its owner may. */
    board_require(board, pf_bind_unix_socket("secret", 0600, 0) == -EACCES);
    board_require(board, pf_bind_unix_socket("stale", 0600, 0) == -EPERM);
    board_require(board, mode_of("stale") == (S_IFSOCK | 0666));
    board_require(board, close(secret) == 0);
    return 0;
}

static void sockets_of_others_are_left_alone(void **state) {
    struct scenario *run = *state;

    scenario_start_host(run, host_without_privileges);

    int status = scenario_wait(run);
    (void)rmdir("closed"); /* it is empty, if it is there */
    if (status == STATUS_IMPOSSIBLE << 8) {
        print_message("skipped: only for root\n");
        skip();
    }
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        directory_test(a_socket_listens_under_its_path),
        directory_test(the_mode_does_not_depend_on_the_umask),
        directory_test(the_backlog_is_128_or_what_was_asked_for),
        directory_test(a_stale_socket_is_replaced),
        directory_test(a_stale_socket_for_datagrams_is_replaced),
        directory_test(a_socket_in_use_is_refused),
        directory_test(a_listener_with_a_full_queue_is_in_use),
        directory_test(another_kind_of_file_is_never_replaced),
        directory_test(a_name_has_at_most_107_bytes),
        directory_test(a_short_name_in_a_long_directory_is_replaced_too),
        directory_test(names_have_no_special_characters),
        directory_test(the_faults_of_a_directory_are_reported),
        directory_test(sockets_of_others_are_left_alone),
    };

    return cmocka_run_group_tests_name("unix socket", tests, NULL, NULL);
}
