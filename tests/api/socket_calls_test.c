/*
 * socket_calls_test.c - calls that fail one by one while sockets are bound: the sockets listen all
 * the same, or the error is that of the call, and nothing is left
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "failing.h"
#include "launch.h"
#include "net.h"

static const char path[] = "socket";

/* How many files there are; removes all of them. */
static unsigned clear_files(void) {
    DIR *directory = opendir(".");
    unsigned count = 0;

    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += unlinkat(dirfd(directory), entry->d_name, 0) == 0; /* "." and ".." stay */
    }
    assert_int_equal(closedir(directory), 0);
    return count;
}

static void assert_accepts(int listener, int client) {
    assert_true(client >= 0);
    assert_true(becomes_readable(listener));
    int connection = pf_accept(listener);
    assert_true(connection >= 0);
    assert_int_equal(close(connection), 0);
    assert_int_equal(close(client), 0);
    assert_int_equal(close(listener), 0);
}

/* ---- A path ---------------------------------------------------------------------------- */

static void leave_stale(void) {
    int fd = plain_bind_path(path, SOCK_STREAM, PLAIN_LISTEN);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

/* Returns whether the call was used so often. */
static bool try_path(const struct failure *failure, bool is_stale) {
    static struct descriptors before, after;

    if (is_stale) {
        leave_stale();
    }
    descriptors_take(&before);
    failure_begin(failure);
    const int listener = pf_bind_unix_socket(path, 0600, 0);
    const unsigned failed = failure_end();
    print_message("%s %u: %d\n", failure->call, failure->first, listener);
    if (listener >= 0) {
        assert_accepts(listener, connect_to_path(path));
    } else {
        assert_int_equal(listener, -failure->error);
        descriptors_take(&after);
        assert_string_equal(before.text, after.text);
        const int again = pf_bind_unix_socket(path, 0600, 0);
        assert_accepts(again, connect_to_path(path));
    }
    /* A file that could not be removed is left. */
    assert_int_equal(clear_files(), strcmp(failure->call, "unlinkat") == 0 && failed > 0 ? 2 : 1);
    return failed > 0;
}

static void try_path_with(const struct use *uses, unsigned count, bool is_stale) {
    require_failing();
    for (unsigned i = 0; i < count; i++) {
        struct failure failure = {uses[i].call, uses[i].error, 1, 1, ANYWHERE};
        while (failure.first <= USES_MAX && try_path(&failure, is_stale)) {
            failure.first += 1;
        }
        assert_in_range(failure.first, 2, USES_MAX);
    }
}

static void a_path_is_bound_or_nothing_is_left(void **state) {
    static const struct use uses[] = {
        {"socket", EMFILE}, {"fchmod", EPERM},  {"fstat64", ENOMEM}, {"malloc", ENOMEM},
        {"calloc", ENOMEM}, {"bind", EACCES},   {"listen", EIO},     {"openat64", EACCES},
        {"flock", ENOLCK},  {"fstatat64", EIO},
    };
    (void)state;

    try_path_with(uses, sizeof(uses) / sizeof(uses[0]), false);
}

static void a_stale_path_is_replaced_or_nothing_is_left(void **state) {
    static const struct use uses[] = {
        {"socket", EMFILE},   {"malloc", ENOMEM},   {"bind", EACCES},
        {"listen", EIO},      {"openat64", EACCES}, {"syscall.renameat2", EACCES},
        {"unlinkat", EACCES}, {"fstatat64", EIO},   {"connect", EACCES},
    };
    (void)state;

    try_path_with(uses, sizeof(uses) / sizeof(uses[0]), true);
}

/* ---- TCP ------------------------------------------------------------------------------- */

static bool try_host(const struct failure *failure, const char *host, int expected) {
    static struct descriptors before, after;
    int fds[4] = {-1, -1, -1, -1};

    descriptors_take(&before);
    failure_begin(failure);
    const int count = pf_bind_sockets(host, 0, AF_UNSPEC, 0, PF_BIND_REUSEPORT, fds, 4);
    const unsigned failed = failure_end();
    print_message("%s %u: %d\n", failure->call, failure->first, count);
    for (int i = 0; i < count; i++) {
        assert_accepts(fds[i], connect_to(fds[i]));
    }
    if (count < 0) {
        assert_int_equal(count, expected);
        assert_int_equal(fds[0], -1);
        descriptors_take(&after);
        assert_string_equal(before.text, after.text);
    }
    return failed > 0;
}

static void a_host_is_bound_or_nothing_is_left(void **state) {
    static const struct use uses[] = {
        {"socket", EMFILE}, {"setsockopt", ENOMEM}, {"bind", EACCES},
        {"listen", EIO},    {"fstat64", ENOMEM},    {"malloc", ENOMEM},
    };
    (void)state;
    require_failing();

    for (unsigned i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        struct failure failure = {uses[i].call, uses[i].error, 1, 1, ANYWHERE};
        while (failure.first <= USES_MAX && try_host(&failure, NULL, -uses[i].error)) {
            failure.first += 1;
        }
        assert_in_range(failure.first, 2, USES_MAX);
    }
}

static void a_name_that_is_not_resolved_says_why(void **state) {
    static const struct {
        int code, expected;
    } errors[] = {
        {EAI_NONAME, PF_ERESOLVE},
        {EAI_AGAIN, PF_ERESOLVE},
        {EAI_MEMORY, -ENOMEM},
        {EAI_SYSTEM, -EIO},
    };
    (void)state;
    require_failing();

    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct failure failure = {"getaddrinfo", errors[i].code, 1, 1, ANYWHERE};
        assert_true(try_host(&failure, "localhost", errors[i].expected));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        launch_test(a_path_is_bound_or_nothing_is_left),
        launch_test(a_stale_path_is_replaced_or_nothing_is_left),
        launch_test(a_host_is_bound_or_nothing_is_left),
        launch_test(a_name_that_is_not_resolved_says_why),
    };

    return cmocka_run_group_tests_name("calls of sockets", tests, NULL, NULL);
}
