/*
 * hostile_directory_test.c - sockets and pid files in a directory that another user owns
 *
 * That user puts links, pipes and files in the place of all that the library makes there. Whatever
 * comes out of a call, it ends soon, and no file outside of the directory is changed.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "launch.h"
#include "net.h"

enum { GATE_END, NOBODY = 65534, RACE_MS = 300 };
#define SOON_MS (time_scale() * 5000U)

/* Not in the directory, which is called "theirs". */
static const char victim[] = "victim", missing[] = "missing";

static const char *const socket_names[] = {"theirs/socket", "theirs/socket.bind-lock", NULL};
static const char *const pid_names[] = {"theirs/pid", "theirs/pid.start-lock", NULL};

static const mode_t modes[] = {01777, 0777};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

/* ---- What the other user puts there -----------------------------------------------------------
 */

static void put_link(const char *name) { (void)symlink("../victim", name); }
static void put_dangling_link(const char *name) { (void)symlink("../missing", name); }
static void put_hard_link(const char *name) { (void)link(victim, name); }
static void put_pipe(const char *name) { (void)mkfifo(name, 0666); }
static void put_directory(const char *name) { (void)mkdir(name, 0777); }

static int locked_file = -1;

static void put_locked_file(const char *name) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    locked_file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    (void)flock(locked_file, LOCK_EX);
    (void)fcntl(locked_file, F_SETLK, &whole);
}

static void (*const plants[])(const char *name) = {put_link, put_dangling_link, put_hard_link,
                                                   put_pipe, put_directory,     put_locked_file};
enum { PLANTS = sizeof(plants) / sizeof(plants[0]) };

static void plant(void (*put)(const char *name), const char *name) {
    put(name);
    if (put != put_hard_link) { /* that is the file itself */
        assert_int_equal(lchown(name, NOBODY, NOBODY), 0);
    }
}

static void open_directory(mode_t mode) {
    assert_int_equal(mkdir("theirs", 0700), 0);
    assert_int_equal(chown("theirs", NOBODY, NOBODY), 0);
    assert_int_equal(chmod("theirs", mode), 0);
}

static void remove_directory(const char *const *names) {
    for (; *names != NULL; names++) {
        if (unlink(*names) != 0 && errno != ENOENT) {
            assert_int_equal(rmdir(*names), 0);
        }
    }
    if (locked_file >= 0) {
        assert_int_equal(close(locked_file), 0);
        locked_file = -1;
    }
    assert_int_equal(rmdir("theirs"), 0); /* nothing else was left in it */
}

/* ---- Who must not be hurt ---------------------------------------------------------------------
 */

static int directory_setup(void **state) {
    int result = launch_setup(state);

    if (result == 0 && !write_file(victim, "precious")) {
        return -1;
    }
    return result != 0 ? result : chmod(victim, 0640);
}

#define directory_test(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, directory_setup, launch_teardown)

static void assert_unharmed(void) {
    char text[32] = "";
    struct stat status;
    int fd = open(victim, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof(text) - 1) >= 0);
    assert_string_equal(text, "precious");
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0640);
    assert_int_equal(status.st_uid, geteuid());
    assert_int_equal(close(fd), 0);
    assert_int_equal(access(missing, F_OK), -1);
}

static void skip_without_privileges(void) {
    if (geteuid() != 0) {
        skip();
    }
}

/* ---- Sockets -----------------------------------------------------------------------------------
 */

static void bind_among(void (*put)(const char *name), const char *name, mode_t mode) {
    open_directory(mode);
    plant(put, name);
    uint64_t start = now_ms();

    int fd = pf_bind_unix_socket(socket_names[0], 0666, 0);

    assert_in_range(now_ms() - start, 0, SOON_MS);
    assert_unharmed();
    if (strcmp(name, socket_names[0]) == 0) {
        assert_int_equal(fd, -EEXIST);
    }
    if (fd >= 0) {
        assert_int_equal(close(fd), 0);
    }
    remove_directory(socket_names);
}

static void a_socket_is_not_bound_through_what_others_put_there(void **state) {
    (void)state;
    skip_without_privileges();
    for (unsigned i = 0; i < PLANTS * MODES; i++) {
        bind_among(plants[i / MODES], socket_names[0], modes[i % MODES]);
    }
}

static void a_lock_of_a_socket_is_not_followed_or_waited_for(void **state) {
    (void)state;
    skip_without_privileges();
    for (unsigned i = 0; i < PLANTS * MODES; i++) {
        bind_among(plants[i / MODES], socket_names[1], modes[i % MODES]);
    }
}

/* As the other user, until it is killed: everything in turn, as fast as possible. */
static pid_t start_attacker(const char *const *names) {
    pid_t attacker = fork();

    if (attacker == 0) {
        if (!drop_privileges()) {
            _exit(1);
        }
        for (unsigned turn = 0;; turn++) {
            for (unsigned i = 0; names[i] != NULL; i++) {
                (void)unlink(names[i]);
                if (plants[turn % PLANTS] != put_locked_file) {
                    plants[turn % PLANTS](names[i]);
                }
                (void)rename(names[i], "theirs/other");
                (void)rename("theirs/other", names[i]);
                (void)unlink(names[i]);
                (void)rmdir(names[i]);
            }
        }
    }
    return attacker;
}

static void end_attacker(pid_t attacker) {
    int status = 0;

    assert_int_equal(kill(attacker, SIGKILL), 0);
    assert_int_equal(waitpid(attacker, &status, 0), attacker);
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void a_socket_is_bound_beside_who_changes_the_directory(void **state) {
    (void)state;
    skip_without_privileges();
    for (unsigned i = 0; i < MODES; i++) {
        open_directory(modes[i]);
        assert_int_equal(chmod(".", 0711), 0);
        pid_t attacker = start_attacker(socket_names);
        for (uint64_t start = now_ms(); now_ms() - start < RACE_MS;) {
            int fd = pf_bind_unix_socket(socket_names[0], 0777, 0);
            if (fd >= 0) {
                assert_int_equal(close(fd), 0);
            }
            assert_unharmed();
        }
        end_attacker(attacker);
        assert_int_equal(system("rm -rf theirs"), 0);
    }
}

/* ---- Pid files ---------------------------------------------------------------------------------
 */

static int is_daemon(struct board *board) {
    if (!become_daemon(board, pid_names[0])) {
        return STATUS_REFUSED;
    }
    board_require(board, pf_daemon_ready() == 0);
    return 5;
}

/* Returns whether a daemon was there for a moment. */
static bool daemonize(struct scenario *scenario) {
    unsigned before = board_count(scenario->board, NOTE_DAEMON, ANY_TASK);

    (void)launch(scenario, is_daemon);
    int status = scenario_wait(scenario);
    assert_true(status == 0 || status == STATUS_REFUSED << 8);
    if (status == 0) {
        (void)daemon_pid(scenario, before);
    }
    assert_true(reap_all() >= 0);
    return status == 0;
}

static void daemonize_among(struct scenario *scenario, void (*put)(const char *name),
                            const char *name, mode_t mode) {
    open_directory(mode);
    plant(put, name);
    uint64_t start = now_ms();

    bool began = daemonize(scenario);

    assert_in_range(now_ms() - start, 0, SOON_MS);
    assert_unharmed();
    if (strcmp(name, pid_names[0]) == 0) {
        assert_false(began);
    }
    remove_directory(pid_names);
}

static void a_pid_file_is_not_written_through_what_others_put_there(void **state) {
    skip_without_privileges();
    for (unsigned i = 0; i < PLANTS * MODES; i++) {
        daemonize_among(*state, plants[i / MODES], pid_names[0], modes[i % MODES]);
    }
}

static void a_lock_of_a_pid_file_is_not_followed_or_waited_for(void **state) {
    skip_without_privileges();
    for (unsigned i = 0; i < PLANTS * MODES; i++) {
        daemonize_among(*state, plants[i / MODES], pid_names[1], modes[i % MODES]);
    }
}

static void a_pid_file_is_made_beside_who_changes_the_directory(void **state) {
    skip_without_privileges();
    for (unsigned i = 0; i < MODES; i++) {
        open_directory(modes[i]);
        assert_int_equal(chmod(".", 0711), 0);
        pid_t attacker = start_attacker(pid_names);
        for (uint64_t start = now_ms(); now_ms() - start < RACE_MS;) {
            (void)launch(*state, is_daemon);
            (void)scenario_wait(*state);
            assert_unharmed();
        }
        end_attacker(attacker);
        assert_true(reap_all() >= 0);
        assert_int_equal(system("rm -rf theirs"), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        directory_test(a_socket_is_not_bound_through_what_others_put_there),
        directory_test(a_lock_of_a_socket_is_not_followed_or_waited_for),
        directory_test(a_socket_is_bound_beside_who_changes_the_directory),
        directory_test(a_pid_file_is_not_written_through_what_others_put_there),
        directory_test(a_lock_of_a_pid_file_is_not_followed_or_waited_for),
        directory_test(a_pid_file_is_made_beside_who_changes_the_directory),
    };

    return cmocka_run_group_tests_name("hostile directory", tests, NULL, NULL);
}
