/*
 * unix_race_test.c - pf_bind_unix_socket() beside others who change the same directory
 *
 * Functions of libc that the library calls are defined here, so that things happen between two
 * of its steps that would happen there once in a million times.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "net.h"
#include "scenario.h"

static const char path[] = "socket";

static char directory[128];

/* What happens once, before or after the next of these calls; NULL: nothing. */
static void (*after_connect)(void);
static void (*after_bind)(void);
static void (*before_listen)(void);

static void happen(void (**what)(void)) {
    void (*now)(void) = *what;

    *what = NULL;
    if (now != NULL) {
        now();
    }
}

int connect(int fd, const_socket_address address, socklen_t length) {
    int result = (int)syscall(SYS_connect, fd, address, length);
    int error = errno;

    happen(&after_connect);
    errno = error;
    return result;
}

int bind(int fd, const_socket_address address, socklen_t length) {
    int result = (int)syscall(SYS_bind, fd, address, length);
    int error = errno;

    happen(&after_bind);
    errno = error;
    return result;
}

int listen(int fd, int backlog) {
    happen(&before_listen);
    return (int)syscall(SYS_listen, fd, backlog);
}

/* Each test is in an empty directory. */
static int directory_setup(void **state) {
    scratch_enter(directory, sizeof(directory));
    after_connect = NULL;
    after_bind = NULL;
    before_listen = NULL;
    return scenario_setup(state);
}

static int directory_teardown(void **state) {
    int result = scenario_teardown(state);

    scratch_leave(directory);
    return result;
}

#define directory_test(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, directory_setup, directory_teardown)

static void leave_stale(void) {
    int fd = plain_bind_path(path, SOCK_STREAM, PLAIN_LISTEN);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static mode_t seen_mode;

static void see_mode(void) {
    struct stat facts;

    seen_mode = lstat(path, &facts) == 0 ? facts.st_mode : 0;
}

static void the_file_has_its_mode_from_the_first_moment(void **state) {
    (void)state;

    for (mode_t mode = 0; mode <= 0777; mode += 073) {
        mode_t before = umask(mode % 2 == 0 ? 0 : 0777);
        after_bind = see_mode;
        int fd = pf_bind_unix_socket(path, mode, 0);
        (void)umask(before); /* cannot fail */
        assert_true(fd >= 0);
        assert_int_equal(seen_mode, S_IFSOCK | mode);
        assert_int_equal(close(fd), 0);
        assert_int_equal(unlink(path), 0); /* who may not connect cannot tell that it is stale */
    }
}

static void nobody_is_noticed_before_the_mode_is_right(void **state) {
    (void)state;
    mode_t before = umask(0777);
    before_listen = see_mode;

    int fd = pf_bind_unix_socket(path, 0640, 0);

    (void)umask(before); /* cannot fail */
    assert_true(fd >= 0);
    assert_int_equal(seen_mode, S_IFSOCK | 0640);
    assert_int_equal(close(fd), 0);
}

/* ---- Something else is there after the library has looked ------------------------------ */

static int other_listener;

static void put_file(void) {
    (void)unlink(path);
    (void)write_file(path, "precious");
}

static void put_listener(void) {
    (void)unlink(path);
    other_listener = plain_bind_path(path, SOCK_STREAM, PLAIN_LISTEN);
}

static void remove_it(void) { (void)unlink(path); }

static void a_file_that_comes_in_between_is_kept(void **state) {
    char text[16] = "";
    (void)state;
    leave_stale();
    after_connect = put_file;

    assert_int_equal(pf_bind_unix_socket(path, 0600, 0), -EEXIST);

    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, "precious");
}

static void a_listener_that_comes_in_between_is_kept(void **state) {
    (void)state;
    leave_stale();
    after_connect = put_listener;

    assert_int_equal(pf_bind_unix_socket(path, 0600, 0), -EADDRINUSE);

    int client = connect_to_path(path);
    assert_true(client >= 0);
    assert_int_equal(close(client), 0);
    assert_int_equal(close(other_listener), 0);
}

static void a_stale_socket_that_goes_by_itself_is_no_fault(void **state) {
    (void)state;
    leave_stale();
    after_connect = remove_it;

    int fd = pf_bind_unix_socket(path, 0600, 0);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

/* ---- The directory's owner is not to be trusted -------------------------------------- */

static const char victim[] = "victim";

static mode_t mode_of(const char *file) {
    struct stat facts;

    return lstat(file, &facts) == 0 ? facts.st_mode : 0;
}

static void put_symbolic_link(void) {
    (void)unlink(path);
    (void)!symlink(victim, path);
}

static void put_hard_link(void) {
    (void)unlink(path);
    (void)!link(victim, path);
}

static void assert_mode_of_victim_stays(void (*replace)(void)) {
    assert_true(write_file(victim, "text"));
    assert_int_equal(chmod(victim, 0600), 0);
    after_bind = replace;

    int fd = pf_bind_unix_socket(path, 0666, 0);

    assert_int_equal(mode_of(victim), S_IFREG | 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void no_other_file_gets_the_mode_by_a_symbolic_link(void **state) {
    (void)state;
    assert_mode_of_victim_stays(put_symbolic_link);
}

static void no_other_file_gets_the_mode_by_a_hard_link(void **state) {
    (void)state;
    assert_mode_of_victim_stays(put_hard_link);
}

/* The path then leads into a directory of somebody else's. */
static void turn_directory(void) {
    (void)!rename("inner", "old");
    (void)!symlink("foreign", "inner");
}

static void make_directories(void) {
    assert_int_equal(mkdir("inner", 0700), 0);
    assert_int_equal(mkdir("foreign", 0700), 0);
    assert_true(write_file("foreign/socket", "text"));
    assert_int_equal(chmod("foreign/socket", 0600), 0);
}

static void assert_foreign_file_stays(void) {
    assert_int_equal(mode_of("foreign/socket"), S_IFREG | 0600);
    assert_int_equal(mode_of("foreign/socket.bind-lock"), 0);
    assert_int_equal(mode_of("old/socket.bind-lock"), 0);
    assert_int_equal(unlink("inner"), 0);
    assert_int_equal(unlink("old/socket"), 0);
    assert_int_equal(rmdir("old"), 0);
    assert_int_equal(unlink("foreign/socket"), 0);
    assert_int_equal(rmdir("foreign"), 0);
}

static void no_file_is_moved_out_of_a_directory_that_is_put_there(void **state) {
    (void)state;
    make_directories();
    int stale = plain_bind_path("inner/socket", SOCK_STREAM, PLAIN_LISTEN);
    assert_int_equal(close(stale), 0);
    after_connect = turn_directory;

    assert_true(pf_bind_unix_socket("inner/socket", 0666, 0) < 0);

    assert_foreign_file_stays();
}

static void none_there_gets_the_mode(void **state) {
    (void)state;
    make_directories();
    after_bind = turn_directory;

    int fd = pf_bind_unix_socket("inner/socket", 0666, 0);

    assert_int_equal(mode_of("old/socket"), S_IFSOCK | 0666);
    assert_foreign_file_stays();
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

/* ---- The lock --------------------------------------------------------------------------- */

static const char lock_path[] = "socket.bind-lock";

static bool lock_is_there;

static void see_lock(void) { lock_is_there = access(lock_path, F_OK) == 0; }

static void the_lock_is_there_only_while_the_path_is_bound(void **state) {
    (void)state;
    before_listen = see_lock;

    int fd = pf_bind_unix_socket(path, 0600, 0);

    assert_true(fd >= 0);
    assert_true(lock_is_there);
    assert_int_equal(access(lock_path, F_OK), -1);
    assert_int_equal(pf_bind_unix_socket(path, 0600, 0), -EADDRINUSE);
    assert_int_equal(access(lock_path, F_OK), -1);
    assert_int_equal(close(fd), 0);
}

static void a_lock_that_was_left_behind_is_no_fault(void **state) {
    (void)state;
    assert_true(write_file(lock_path, ""));

    int fd = pf_bind_unix_socket(path, 0600, 0);

    assert_true(fd >= 0);
    assert_int_equal(access(lock_path, F_OK), -1);
    assert_int_equal(close(fd), 0);
}

static void who_is_just_binding_has_the_path(void **state) {
    (void)state;
    assert_true(write_file(lock_path, ""));
    int other = open(lock_path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX), 0);
    leave_stale();

    assert_int_equal(pf_bind_unix_socket(path, 0600, 0), -EADDRINUSE);

    assert_int_equal(access(lock_path, F_OK), 0);
    assert_int_equal(connect_to_path(path), -ECONNREFUSED);
    assert_int_equal(close(other), 0);
    int fd = pf_bind_unix_socket(path, 0600, 0);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

/* ---- Many at once --------------------------------------------------------------------- */

enum { ROUNDS = 300, RIVALS = 4, NOTE_BOUND = KIND_NOTE, NOTE_LOST };

static void bind_against_rivals(struct board *board, int go, int stay) {
    char byte;

    (void)!read(go, &byte, 1); /* ends when the test closes the other end */
    int fd = pf_bind_unix_socket(path, 0600, 0);
    board_require(board, fd >= 0 || fd == -EADDRINUSE);
    board_note(board, fd >= 0 ? NOTE_BOUND : NOTE_LOST, fd);
    (void)!read(stay, &byte, 1);
    _exit(0);
}

/* One and no other believes that it has the path, and is reached there. */
static void of_many_at_once_one_gets_the_path(void **state) {
    struct scenario *run = *state;

    for (unsigned round = 1; round <= ROUNDS; round++) {
        int go[2];
        int stay[2];
        (void)unlink(path); /* there is none in the first round */
        leave_stale();
        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        assert_int_equal(pipe2(stay, O_CLOEXEC), 0);
        for (int i = 0; i < RIVALS; i++) {
            if (fork() == 0) {
                (void)close(go[1]); /* nothing was written; so below */
                (void)close(stay[1]);
                bind_against_rivals(run->board, go[0], stay[0]);
            }
        }
        (void)close(go[0]);
        (void)close(go[1]);
        while (board_count(run->board, NOTE_BOUND, ANY_TASK) +
                   board_count(run->board, NOTE_LOST, ANY_TASK) <
               round * RIVALS) {
            pause_ms(1);
        }
        assert_int_equal(board_count(run->board, NOTE_BOUND, ANY_TASK), round);
        int client = connect_to_path(path);
        assert_true(client >= 0);
        assert_int_equal(close(client), 0);
        (void)close(stay[0]);
        (void)close(stay[1]);
        assert_int_equal(reap_all(), RIVALS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        directory_test(the_file_has_its_mode_from_the_first_moment),
        directory_test(nobody_is_noticed_before_the_mode_is_right),
        directory_test(a_file_that_comes_in_between_is_kept),
        directory_test(a_listener_that_comes_in_between_is_kept),
        directory_test(a_stale_socket_that_goes_by_itself_is_no_fault),
        directory_test(no_other_file_gets_the_mode_by_a_symbolic_link),
        directory_test(no_other_file_gets_the_mode_by_a_hard_link),
        directory_test(no_file_is_moved_out_of_a_directory_that_is_put_there),
        directory_test(none_there_gets_the_mode),
        directory_test(the_lock_is_there_only_while_the_path_is_bound),
        directory_test(a_lock_that_was_left_behind_is_no_fault),
        directory_test(who_is_just_binding_has_the_path),
        directory_test(of_many_at_once_one_gets_the_path),
    };

    return cmocka_run_group_tests_name("unix race", tests, NULL, NULL);
}
