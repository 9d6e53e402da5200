/*
 * executed.c - hosts whose workers are executed, and report
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "executed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"

enum { STEPS_MAX = 24 };

static char scratch[256];

/* What whoever started the test has left open is not to be seen in its workers. */
static void keep_inherited_descriptors(void) {
    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* most are not open */
    }
}

/* The leak checker of a sanitizer attaches to a process that exits, and waits for ever if the
 * SIGCONT that follows a request to stop comes just then: it takes back the stop of the attachment.
 * What the library leaves is counted elsewhere. */
static void check_no_leaks_in_workers(void) { (void)setenv("LSAN_OPTIONS", "detect_leaks=0", 1); }

static void enter(void) {
    keep_inherited_descriptors();
    check_no_leaks_in_workers();
    scratch_enter(scratch, sizeof(scratch));
    report_begin();
}

int executed_setup(void **state) {
    enter();
    return host_setup(state);
}

int executed_scenario_setup(void **state) {
    enter();
    return scenario_setup(state);
}

/* The reader of a failed test wants to see it; CMocka does not tell a teardown of a failure, so
 * it is for PREFORK_TEST_REPORT=1 to ask. */
static void leave(void) {
    if (getenv("PREFORK_TEST_REPORT") != NULL) {
        (void)fprintf(stderr, "%s", report_text());
    }
    (void)unsetenv("REPORT");
    (void)unsetenv("LSAN_OPTIONS");
    scratch_leave(scratch);
}

int executed_teardown(void **state) {
    int result = host_teardown(state);

    leave();
    return result;
}

int executed_scenario_teardown(void **state) {
    int result = scenario_teardown(state);

    leave();
    return result;
}

static void execute_steps(struct host *host, const char *program, va_list steps) {
    const char *arguments[STEPS_MAX + 1] = {program};
    int count = 1;

    while (count < STEPS_MAX && (arguments[count] = va_arg(steps, const char *)) != NULL) {
        count++;
    }
    const char *path = program_path(program);
    board_require(host->board, pf_pool_set_worker_fn(host->pool, NULL, NULL, NULL) == 0);
    board_require(host->board, pf_pool_set_exec(host->pool, path, arguments, NULL) == 0);
}

void executes(struct host *host, ...) {
    va_list steps;

    va_start(steps, host);
    execute_steps(host, "exec_worker", steps);
    va_end(steps);
}

void executes_program(struct host *host, const char *program, ...) {
    va_list steps;

    va_start(steps, program);
    execute_steps(host, program, steps);
    va_end(steps);
}

bool host_reports(struct host *host, const char *text, unsigned count) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (report_count(text) < count) {
        if (now_ms() > deadline || !host_turn(host, 2)) {
            return report_count(text) >= count;
        }
    }
    return true;
}

bool report_reaches(const char *text, unsigned count) {
    uint64_t deadline = now_ms() + PATIENCE_MS;

    while (report_count(text) < count) {
        if (now_ms() > deadline) {
            return false;
        }
        pause_ms(1);
    }
    return true;
}

static char text_made[1024];

const char *text_of(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text_made, sizeof(text_made), format, arguments);
    va_end(arguments);
    return text_made;
}

void assert_reported(const char *format, ...) {
    static char text[sizeof(text_made)];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (report_count(text) == 0) {
        fail_msg("not reported: %s\n%s", text, report_text());
    }
}

static void fail_file(const char *name) {
    perror(name);
    exit(99);
}

void make_file(const char *name, const char *text, unsigned mode) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
        fchmod(fd, (mode_t)mode) != 0 || close(fd) != 0) {
        fail_file(name);
    }
}

void copy_program(const char *from, const char *to) {
    char buffer[65536];
    ssize_t length = 0;
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

    while (source >= 0 && target >= 0 && (length = read(source, buffer, sizeof(buffer))) > 0) {
        if (write(target, buffer, (size_t)length) != length) {
            fail_file(to);
        }
    }
    if (source < 0 || target < 0 || length != 0 || close(source) != 0 || close(target) != 0) {
        fail_file(to);
    }
}

int execute_and_wait(const char *const *arguments, const char *const *environment) {
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        /* Both are strings that exec only reads. */
        execve(arguments[0], (char *const *)(uintptr_t)arguments,
               environment == NULL ? environ : (char *const *)(uintptr_t)environment);
        _exit(93);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}
