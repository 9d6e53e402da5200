/*
 * unix_systems_test.c - pf_bind_unix_socket() where the kernel, the file system or a filter refuses
 * a call
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "filter.h"
#include "launch.h"
#include "net.h"

static const char path[] = "socket";

static void (*after_connect)(void); /* happens once; NULL: nothing */
static int connects_before;         /* it comes after so many more */

int connect(int fd, const_socket_address address, socklen_t length) {
    int result = (int)syscall(SYS_connect, fd, address, length);
    int error = errno;
    void (*now)(void) = connects_before == 0 ? after_connect : NULL;

    if (connects_before > 0) {
        connects_before--;
    } else {
        after_connect = NULL;
    }
    if (now != NULL) {
        now();
    }
    errno = error;
    return result;
}

static int refused_with; /* the error of renameat2 */

static bool leave_stale(void) {
    int fd = plain_bind_path(path, SOCK_STREAM, PLAIN_LISTEN);

    return fd >= 0 && close(fd) == 0;
}

static void begin(struct board *board) {
    board_require(board, leave_stale());
    board_require(board, filter_forbid(SYS_renameat2, refused_with));
}

static int files_here(void) {
    DIR *directory = opendir(".");
    int count = -2; /* "." and ".." */

    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    assert_int_equal(closedir(directory), 0);
    return count;
}

static void assert_good(struct scenario *run, host_fn host) {
    static const int errors[] = {ENOSYS, EPERM, EINVAL};

    for (int i = 0; i < 3; i++) {
        refused_with = errors[i];
        scenario_start_host(run, host);
        assert_exits(run, 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(files_here(), 0); /* nothing else is left there */
    }
}

static int host_that_replaces(struct board *board) {
    begin(board);
    int fd = pf_bind_unix_socket(path, 0640, 0);
    int client = connect_to_path(path);

    board_require(board, fd >= 0);
    board_require(board, client >= 0);
    board_require(board, pf_accept(fd) >= 0);
    return 0;
}

static void a_stale_socket_is_replaced_without_renameat2(void **state) {
    assert_good(*state, host_that_replaces);
}

static void put_file(void) {
    (void)unlink(path);
    (void)write_file(path, "precious");
}

static int host_beside_a_file(struct board *board) {
    struct stat facts;

    begin(board);
    after_connect = put_file;
    board_require(board, pf_bind_unix_socket(path, 0600, 0) == -EEXIST);
    board_require(board, lstat(path, &facts) == 0 && facts.st_size == sizeof("precious") - 1);
    return 0;
}

static void a_file_that_comes_in_between_is_kept_there_too(void **state) {
    assert_good(*state, host_beside_a_file);
}

static int other_listener;

static void put_listener(void) {
    (void)unlink(path);
    other_listener = plain_bind_path(path, SOCK_STREAM, PLAIN_LISTEN);
}

static int host_beside_a_listener(struct board *board) {
    begin(board);
    after_connect = put_listener;
    board_require(board, pf_bind_unix_socket(path, 0600, 0) == -EADDRINUSE);
    board_require(board, other_listener >= 0);
    board_require(board, connect_to_path(path) >= 0);
    return 0;
}

static void a_listener_that_comes_in_between_is_kept_there_too(void **state) {
    assert_good(*state, host_beside_a_listener);
}

/* As for a socket of another user where hard links are protected. The listener comes when the file
 * has been looked at twice, for three types of socket: then it is moved aside. */
static int host_without_links(struct board *board) {
    connects_before = 5;
    board_require(board, filter_forbid(SYS_linkat, EPERM));
    return host_beside_a_listener(board);
}

static void a_listener_gets_its_path_back_without_links(void **state) {
    assert_good(*state, host_without_links);
}

/* ---- Many at once ------------------------------------------------------------------------ */

enum { ROUNDS = 100, RIVALS = 4, NOTE_BOUND = KIND_NOTE, NOTE_LOST };

static void bind_against_rivals(struct board *board, int go, int stay) {
    char byte;

    board_require(board, filter_forbid(SYS_renameat2, ENOSYS));
    (void)!read(go, &byte, 1); /* ends when the test closes the other end */
    int fd = pf_bind_unix_socket(path, 0600, 0);
    board_require(board, fd >= 0 || fd == -EADDRINUSE);
    board_note(board, fd >= 0 ? NOTE_BOUND : NOTE_LOST, fd);
    (void)!read(stay, &byte, 1);
    _exit(0);
}

static void of_many_at_once_one_gets_the_path_there_too(void **state) {
    struct scenario *run = *state;

    for (unsigned round = 1; round <= ROUNDS; round++) {
        int go[2];
        int stay[2];
        (void)unlink(path); /* there is none in the first round */
        assert_true(leave_stale());
        assert_int_equal(pipe(go), 0);
        assert_int_equal(pipe(stay), 0);
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

/* ---- The mode ---------------------------------------------------------------------------- */

static int host_that_can_not_clone(struct board *board) {
    struct stat facts;

    leave_out_leak_check();
    (void)umask(0777);
    board_require(board, filter_forbid(SYS_clone, EAGAIN));
    board_require(board, pf_bind_unix_socket(path, 0640, 0) >= 0);
    board_require(board, lstat(path, &facts) == 0 && facts.st_mode == (S_IFSOCK | 0640));
    board_require(board, umask(0) == 0777);
    return 0;
}

static void the_mode_is_right_without_another_process(void **state) {
    scenario_start_host(*state, host_that_can_not_clone);
    assert_exits((struct scenario *)*state, 0);
}

static int host_that_ignores_its_children(struct board *board) {
    (void)signal(SIGCHLD, SIG_IGN);
    board_require(board, pf_bind_unix_socket(path, 0600, 0) >= 0);
    board_require(board, reap_all() == 0);
    return 0;
}

static void no_process_is_left(void **state) {
    scenario_start_host(*state, host_that_ignores_its_children);
    assert_exits((struct scenario *)*state, 0);
}

static int is_bound;

/* Makes files as long as sockets are bound. Returns one of another mode than the umask leaves. */
static void *make_files(void *unused) {
    int mode = 0644;

    (void)unused;
    while (__atomic_load_n(&is_bound, __ATOMIC_SEQ_CST) == 0 && mode == 0644) {
        struct stat facts = {0};
        int fd = open("file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        mode = fstat(fd, &facts) == 0 ? (int)facts.st_mode & 0777 : -1;
        (void)close(fd); /* nothing was written */
        (void)unlink("file");
    }
    return mode == 0644 ? NULL : "another mode";
}

static int host_with_a_thread(struct board *board) {
    pthread_t thread;
    void *fault = NULL;

    leave_out_leak_check();
    (void)umask(022);
    board_require(board, pthread_create(&thread, NULL, make_files, NULL) == 0);
    for (int round = 0; round < 300; round++) {
        int fd = pf_bind_unix_socket(path, 0666, 0);
        board_require(board, fd >= 0 && close(fd) == 0);
    }
    __atomic_store_n(&is_bound, 1, __ATOMIC_SEQ_CST);
    board_require(board, pthread_join(thread, &fault) == 0);
    board_require(board, fault == NULL);
    return 0;
}

static void the_umask_of_other_threads_is_left_alone(void **state) {
    scenario_start_host(*state, host_with_a_thread);
    assert_exits((struct scenario *)*state, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        launch_test(a_stale_socket_is_replaced_without_renameat2),
        launch_test(a_file_that_comes_in_between_is_kept_there_too),
        launch_test(a_listener_that_comes_in_between_is_kept_there_too),
        launch_test(a_listener_gets_its_path_back_without_links),
        launch_test(of_many_at_once_one_gets_the_path_there_too),
        launch_test(the_mode_is_right_without_another_process),
        launch_test(no_process_is_left),
        launch_test(the_umask_of_other_threads_is_left_alone),
    };

    return cmocka_run_group_tests_name("unix systems", tests, NULL, NULL);
}
