/*
 * listen_fds_test.c - what pf_listen_fds() takes over from systemd
 *
 * The environment is read when the library is loaded, so each test executes this program again,
 * which then writes down what it got.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "net.h"
#include "scenario.h"

enum { FIRST = 3, ROOM = 16, ANSWER_FD = 1 };

/* ---- The program that is activated ------------------------------------------------------ */

/* Writes "COUNT:" and for each descriptor its number and flags: c close-on-exec, n
 * non-blocking. */
static void tell(int room) {
    int fds[ROOM] = {-7};
    int count = pf_listen_fds(fds, room);

    dprintf(ANSWER_FD, "%d:", count);
    for (int i = 0; i < count; i++) {
        dprintf(ANSWER_FD, " %d%s%s", fds[i], is_close_on_exec(fds[i]) ? "c" : "",
                is_nonblocking(fds[i]) ? "n" : "");
    }
    dprintf(ANSWER_FD, count < 0 && fds[0] != -7 ? " changed\n" : "\n");
}

static int worker_tells(int task_id, void *user) {
    (void)task_id;
    (void)user;
    tell(ROOM);
    return 0;
}

static void tell_in_worker(void) {
    pf_pool *pool = NULL;
    int task_id = 0;

    if (pf_pool_new(&pool) != 0 || pf_pool_set_workers(pool, 1) != 0 ||
        pf_pool_set_worker_fn(pool, worker_tells, NULL, NULL) != 0 ||
        pf_pool_run(pool, &task_id) != 0) {
        dprintf(ANSWER_FD, "pool failed\n");
    }
    (void)pf_pool_free(pool);
}

static int activated(const char *role) {
    if (strcmp(role, "late") == 0) { /* the environment is no longer what it was */
        (void)unsetenv("LISTEN_FDS");
        (void)unsetenv("LISTEN_PID");
    } else if (strcmp(role, "later") == 0) {
        (void)setenv("LISTEN_FDS", "1", 1);
        char pid[16];
        (void)snprintf(pid, sizeof(pid), "%d", getpid());
        (void)setenv("LISTEN_PID", pid, 1);
    } else if (strcmp(role, "closed") == 0) {
        (void)close(FIRST);
    } else if (strcmp(role, "worker") == 0) { /* without, and after, a call of its supervisor */
        tell_in_worker();
        tell(ROOM);
        tell_in_worker();
        return 0;
    } else if (strcmp(role, "child") == 0) {
        if (fork() == 0) {
            tell(ROOM);
            return 0;
        }
        return wait(NULL) > 0 ? 0 : 1;
    } else if (strcmp(role, "room") == 0) {
        tell(1);
        dprintf(ANSWER_FD, "%d %d\n", pf_listen_fds(NULL, 1), pf_listen_fds(NULL, -1));
        tell(2);
    } else if (strcmp(role, "none") == 0) {
        dprintf(ANSWER_FD, "%d\n", pf_listen_fds(NULL, 0));
        return 0;
    }
    tell(ROOM);
    tell(ROOM); /* a second call tells the same */
    if (strcmp(role, "kept") == 0) {
        const char *count = getenv("LISTEN_FDS");
        const char *pid = getenv("LISTEN_PID");
        dprintf(ANSWER_FD, "%s %d\n", count == NULL ? "gone" : count,
                pid != NULL && strtol(pid, NULL, 10) == getpid());
    }
    return 0;
}

/* ---- The tests -------------------------------------------------------------------------- */

/* Passed on, from FIRST on; -1: none. They are blocking. */
static int passed[2];
static char answer[512];

static int activation_setup(void **state) {
    int ends[2];
    int result = scenario_setup(state);

    passed[0] = plain_bind("127.0.0.1", 0, PLAIN_LISTEN);
    if (pipe2(ends, O_CLOEXEC) != 0 || close(ends[1]) != 0) {
        return -1;
    }
    passed[1] = ends[0]; /* what does not listen is passed, too */
    return passed[0] >= 0 ? result : -1;
}

static int activation_teardown(void **state) {
    (void)close(passed[0]); /* nothing was written; so below */
    (void)close(passed[1]);
    return scenario_teardown(state);
}

#define activation_test(function)                                                                  \
    cmocka_unit_test_setup_teardown(function, activation_setup, activation_teardown)

/* In the child: FIRST and the next are what is passed, nothing else is open but stdio. */
static void execute(const char *role, const char *pid, const char *count, int output) {
    char own[16];
    int high[2];

    (void)snprintf(own, sizeof(own), "%d", getpid());
    for (int i = 0; i < 2; i++) {
        high[i] = fcntl(passed[i], F_DUPFD_CLOEXEC, 100);
    }
    if (dup2(output, ANSWER_FD) < 0 || dup2(high[0], FIRST) < 0 || dup2(high[1], FIRST + 1) < 0) {
        _exit(90);
    }
    for (int fd = FIRST + 2; fd < 100; fd++) {
        (void)close(fd); /* most are not open */
    }
    if (pid != NULL) {
        (void)setenv("LISTEN_PID", pid[0] == '\0' ? own : pid, 1);
    }
    if (count != NULL) {
        (void)setenv("LISTEN_FDS", count, 1);
    }
    (void)execl("/proc/self/exe", "listen_fds_test", "activated", role, (char *)NULL);
    _exit(91);
}

/* Returns what the program wrote. pid: "" its own; NULL for either: not set. */
static const char *activate(const char *role, const char *pid, const char *count) {
    int ends[2];
    int status = -1;
    size_t length = 0;
    ssize_t more = 0;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        execute(role, pid, count, ends[1]);
    }
    assert_int_equal(close(ends[1]), 0);
    while ((more = read(ends[0], answer + length, sizeof(answer) - 1 - length)) > 0) {
        length += (size_t)more;
    }
    answer[length] = '\0';
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return answer;
}

static void what_was_passed_is_taken_over(void **state) {
    (void)state;

    assert_string_equal(activate("plain", "", "2"), "2: 3cn 4c\n2: 3cn 4c\n");
    assert_string_equal(activate("plain", "", "1"), "1: 3cn\n1: 3cn\n");
}

static void without_activation_there_is_nothing(void **state) {
    (void)state;

    assert_string_equal(activate("plain", NULL, NULL), "0:\n0:\n");
    assert_string_equal(activate("plain", "", NULL), "0:\n0:\n");
    assert_string_equal(activate("plain", NULL, "2"), "0:\n0:\n");
    assert_string_equal(activate("plain", "", "0"), "0:\n0:\n");
    assert_string_equal(activate("none", NULL, NULL), "0\n");
    assert_string_equal(activate("none", "", "0"), "0\n");
}

static void what_is_for_another_process_is_left_alone(void **state) {
    static const char *const others[] = {"1", "0", "-1", "x", "99999999999999999999", " "};
    (void)state;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_string_equal(activate("plain", others[i], "2"), "0:\n0:\n");
    }
}

static void a_number_that_is_none_is_an_error(void **state) {
    static const char *const wrong[] = {"x",  "",    "-1",  "+1",
                                        "2x", " 2 ", "0x2", "99999999999999999999"};
    char expected[64];
    (void)state;

    (void)snprintf(expected, sizeof(expected), "%d:\n%d:\n", -EINVAL, -EINVAL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_string_equal(activate("plain", "", wrong[i]), expected);
    }
}

static void a_descriptor_that_is_not_open_is_an_error(void **state) {
    static const char *const counts[] = {"3", "1000000000"};
    char expected[64];
    (void)state;

    (void)snprintf(expected, sizeof(expected), "%d:\n%d:\n", -EBADF, -EBADF);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(activate("plain", "", counts[i]), expected);
    }
    assert_string_equal(activate("closed", "", "2"), expected);
}

static void the_environment_of_the_start_counts(void **state) {
    (void)state;

    assert_string_equal(activate("late", "", "2"), "2: 3cn 4c\n2: 3cn 4c\n");
    assert_string_equal(activate("later", NULL, NULL), "0:\n0:\n");
}

static void the_environment_is_left_alone(void **state) {
    (void)state;

    assert_string_equal(activate("kept", "", "2"), "2: 3cn 4c\n2: 3cn 4c\n2 1\n");
}

static void a_worker_gets_what_its_supervisor_gets(void **state) {
    (void)state;

    assert_string_equal(activate("worker", "", "2"), "2: 3cn 4c\n2: 3cn 4c\n2: 3cn 4c\n");
    assert_string_equal(activate("child", "", "2"), "2: 3cn 4c\n");
    assert_string_equal(activate("worker", NULL, NULL), "0:\n0:\n0:\n");
}

static void too_little_room_is_reported(void **state) {
    char expected[128];
    (void)state;

    (void)snprintf(expected, sizeof(expected), "%d:\n%d %d\n2: 3cn 4c\n2: 3cn 4c\n2: 3cn 4c\n",
                   -ENOBUFS, -EINVAL, -EINVAL);
    assert_string_equal(activate("room", "", "2"), expected);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        activation_test(what_was_passed_is_taken_over),
        activation_test(without_activation_there_is_nothing),
        activation_test(what_is_for_another_process_is_left_alone),
        activation_test(a_number_that_is_none_is_an_error),
        activation_test(a_descriptor_that_is_not_open_is_an_error),
        activation_test(the_environment_of_the_start_counts),
        activation_test(the_environment_is_left_alone),
        activation_test(a_worker_gets_what_its_supervisor_gets),
        activation_test(too_little_room_is_reported),
    };

    if (argc == 3) {
        return activated(argv[2]);
    }
    return cmocka_run_group_tests_name("listen fds", tests, NULL, NULL);
}
