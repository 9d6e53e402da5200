// Writing to pipes and sockets whose reader is gone, in a process with SIGPIPE at its default.
//
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <initializer_list>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "os/fd/pipe_write.h"

using prefork::os::write_without_sigpipe;

namespace {

bool refused; // a filter of system calls forbids the two below

constexpr size_t kernel_set_size = 8;

} // namespace

extern "C" int sigtimedwait(const sigset_t *set, siginfo_t *info, const timespec *timeout) {
    errno = EPERM;
    return refused ? -1
                   : static_cast<int>(
                         syscall(SYS_rt_sigtimedwait, set, info, timeout, kernel_set_size));
}

extern "C" int sigpending(sigset_t *set) {
    sigemptyset(set);
    errno = EPERM;
    return refused ? -1 : static_cast<int>(syscall(SYS_rt_sigpending, set, kernel_set_size));
}

namespace {

bool is_blocked() {
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    return sigismember(&mask, SIGPIPE) == 1;
}

bool is_pending() {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) == 1;
}

void set_blocked(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(how, &set, nullptr);
}

// The end to write to, of a pipe that nobody reads.
int pipe_without_reader() {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    return ends[1];
}

void what_is_written_arrives(void ** /*state*/) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);

    assert_int_equal(write_without_sigpipe(ends[1], "text", 4), 4);

    char text[8];
    assert_int_equal(read(ends[0], text, sizeof(text)), 4);
    assert_false(is_blocked());
    close(ends[0]);
    close(ends[1]);
}

void a_reader_that_is_gone_is_an_error_and_no_signal(void ** /*state*/) {
    const int end = pipe_without_reader();

    assert_int_equal(write_without_sigpipe(end, "text", 4), -EPIPE);

    assert_false(is_pending());
    assert_false(is_blocked());
    close(end);
}

void a_socket_without_a_peer_is_an_error_and_no_signal(void ** /*state*/) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    close(ends[0]);

    assert_int_equal(write_without_sigpipe(ends[1], "text", 4), -EPIPE);

    assert_false(is_pending());
    close(ends[1]);
}

void a_host_that_blocks_it_finds_none_pending(void ** /*state*/) {
    const int end = pipe_without_reader();
    set_blocked(SIG_BLOCK);

    assert_int_equal(write_without_sigpipe(end, "text", 4), -EPIPE);

    assert_false(is_pending());
    assert_true(is_blocked());
    set_blocked(SIG_UNBLOCK);
    close(end);
}

void one_that_was_pending_stays(void ** /*state*/) {
    const int end = pipe_without_reader();
    set_blocked(SIG_BLOCK);
    raise(SIGPIPE);

    assert_int_equal(write_without_sigpipe(end, "text", 4), -EPIPE);

    assert_true(is_pending());
    signal(SIGPIPE, SIG_IGN); // discards it
    signal(SIGPIPE, SIG_DFL);
    set_blocked(SIG_UNBLOCK);
    close(end);
}

void none_is_left_where_it_cannot_be_taken(void ** /*state*/) {
    const int end = pipe_without_reader();
    for (const int how : {SIG_UNBLOCK, SIG_BLOCK}) {
        set_blocked(how);
        refused = true;
        const auto result = write_without_sigpipe(end, "text", 4);
        refused = false;

        assert_int_equal(result, -EPIPE);
        assert_false(is_pending());
        assert_int_equal(is_blocked(), how == SIG_BLOCK);
    }
    set_blocked(SIG_UNBLOCK);
    close(end);
}

void other_errors_are_reported(void ** /*state*/) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);

    assert_int_equal(write_without_sigpipe(-1, "text", 4), -EBADF);
    while (write_without_sigpipe(ends[1], "text", 4) == 4) {
    }
    assert_int_equal(write_without_sigpipe(ends[1], "text", 4), -EAGAIN);

    assert_false(is_blocked());
    close(ends[0]);
    close(ends[1]);
}

} // namespace

int main() {
    signal(SIGPIPE, SIG_DFL);
    const CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_arrives),
        cmocka_unit_test(a_reader_that_is_gone_is_an_error_and_no_signal),
        cmocka_unit_test(a_socket_without_a_peer_is_an_error_and_no_signal),
        cmocka_unit_test(a_host_that_blocks_it_finds_none_pending),
        cmocka_unit_test(one_that_was_pending_stays),
        cmocka_unit_test(none_is_left_where_it_cannot_be_taken),
        cmocka_unit_test(other_errors_are_reported),
    };
    return cmocka_run_group_tests_name("pipe_write", tests, nullptr, nullptr);
}
