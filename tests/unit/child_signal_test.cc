// The handler of SIGCHLD beside the host's own handlers and threads.
//
// SPDX-License-Identifier: MIT
#include <atomic>
#include <csetjmp>
#include <csignal>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "os/signals/wakeups.h"
#include "os/watch/child_signal.h"

namespace os = prefork::os;

namespace {

std::atomic<int> first_calls;
std::atomic<int> second_calls;
struct sigaction before_second {};
int wakeup = -1;

void first(int /*signal*/) { first_calls += 1; }

// As a runtime does that respects who was there before it.
void second(int signal, siginfo_t *info, void *context) {
    second_calls += 1;
    if ((before_second.sa_flags & SA_SIGINFO) != 0) {
        before_second.sa_sigaction(signal, info, context);
    } else {
        before_second.sa_handler(signal);
    }
}

void handle(void (*function)(int)) {
    struct sigaction action {};
    action.sa_handler = function;
    assert_int_equal(sigaction(SIGCHLD, &action, nullptr), 0);
}

void handle_second() {
    struct sigaction action {};
    action.sa_sigaction = second;
    action.sa_flags = SA_SIGINFO;
    assert_int_equal(sigaction(SIGCHLD, &action, &before_second), 0);
}

bool is_handled_by(void (*function)(int)) {
    struct sigaction action {};
    sigaction(SIGCHLD, nullptr, &action);
    return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == function;
}

bool woke() {
    uint64_t value = 0;
    return read(wakeup, &value, sizeof(value)) > 0;
}

int setup(void ** /*state*/) {
    first_calls = 0;
    second_calls = 0;
    wakeup = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    handle(first);
    os::hold_child_handler(false);
    return os::add_wakeup(wakeup);
}

int teardown(void ** /*state*/) {
    os::remove_wakeup(wakeup);
    signal(SIGCHLD, SIG_DFL);
    return close(wakeup);
}

void each_signal_wakes_and_reaches_the_host(void ** /*state*/) {
    for (int count = 1; count <= 3; count++) {
        raise(SIGCHLD);
        assert_int_equal(first_calls, count);
        assert_true(woke());
    }
    os::release_child_handler(false);
    assert_true(is_handled_by(first));
}

// ---- Handlers of the host that come later ---------------------------------------------------

void a_later_handler_that_passes_on_still_reaches_the_first(void ** /*state*/) {
    handle_second();
    for (int count = 1; count <= 3; count++) {
        raise(SIGCHLD);
        assert_int_equal(first_calls, count);
        assert_int_equal(second_calls, count);
        assert_true(woke());
        os::check_child_handler(); // installs ours before it
    }

    os::release_child_handler(false);
    raise(SIGCHLD);
    assert_int_equal(first_calls, 4);
    assert_int_equal(second_calls, 4);
    struct sigaction action {};
    sigaction(SIGCHLD, nullptr, &action);
    assert_true(action.sa_sigaction == second);
}

void a_host_may_put_back_ours_when_the_pool_has_gone(void ** /*state*/) {
    handle_second();
    os::release_child_handler(false); // the host's is before it: nothing can be given back
    assert_int_equal(sigaction(SIGCHLD, &before_second, nullptr), 0);

    raise(SIGCHLD);

    assert_int_equal(first_calls, 1);
    assert_true(is_handled_by(first));
    raise(SIGCHLD);
    assert_int_equal(first_calls, 2);
    assert_false(woke());
}

void handlers_that_change_places_are_not_heaped_up(void ** /*state*/) {
    for (int count = 1; count <= 50; count++) {
        handle(first);
        os::check_child_handler();
        handle_second();
        os::check_child_handler();
    }

    raise(SIGCHLD);
    assert_int_equal(second_calls, 1);
    assert_int_equal(first_calls, 1);
    os::release_child_handler(false);
}

// ---- Threads and jumps ----------------------------------------------------------------------

std::atomic<int> stage;
pthread_t main_thread;
pthread_t other_thread;

// Main enters, the other enters, main leaves, the other leaves.
void overlap(int /*signal*/) {
    first_calls += 1;
    if (pthread_equal(pthread_self(), main_thread) != 0 && stage == 1) {
        stage = 2;
        pthread_kill(other_thread, SIGCHLD);
        while (stage < 3) {
        }
    } else if (pthread_equal(pthread_self(), other_thread) != 0 && stage == 2) {
        stage = 3;
        while (stage < 4) {
        }
        stage = 5;
    }
}

void *waits(void * /*user*/) {
    while (stage < 6) {
        usleep(1'000);
    }
    return nullptr;
}

void two_threads_within_it_at_once_are_both_served_later(void ** /*state*/) {
    handle(overlap);
    os::check_child_handler();
    stage = 0;
    main_thread = pthread_self();
    assert_int_equal(pthread_create(&other_thread, nullptr, waits, nullptr), 0);
    stage = 1;
    pthread_kill(main_thread, SIGCHLD);
    stage = 4; // main has left its handler
    while (stage < 5) {
        usleep(100);
    }
    (void)woke();
    const int calls = first_calls;

    pthread_kill(main_thread, SIGCHLD);
    assert_int_equal(first_calls, calls + 1);
    assert_true(woke());
    pthread_kill(other_thread, SIGCHLD);
    while (first_calls < calls + 2) {
        usleep(100);
    }
    assert_true(woke());

    stage = 6;
    pthread_join(other_thread, nullptr);
    os::release_child_handler(false);
}

sigjmp_buf out;

void jump(int /*signal*/) {
    first_calls += 1;
    siglongjmp(out, 1);
}

void a_host_that_jumps_out_is_called_again(void ** /*state*/) {
    handle(jump);
    os::check_child_handler();

    for (int count = 1; count <= 3; count++) {
        if (sigsetjmp(out, 1) == 0) {
            raise(SIGCHLD);
        }
        assert_int_equal(first_calls, count);
    }
    os::release_child_handler(false);
}

// ---- Children of the host -------------------------------------------------------------------

void a_child_of_the_host_gets_the_hosts_handler_back(void ** /*state*/) {
    const pid_t child = fork();
    if (child == 0) {
        raise(SIGCHLD);
        _exit(first_calls == 1 && is_handled_by(first) && !woke() ? 7 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);

    assert_int_equal(status, 7 << 8);
    os::release_child_handler(false);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_signal_wakes_and_reaches_the_host, setup, teardown),
        cmocka_unit_test_setup_teardown(a_later_handler_that_passes_on_still_reaches_the_first,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_may_put_back_ours_when_the_pool_has_gone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(handlers_that_change_places_are_not_heaped_up, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(two_threads_within_it_at_once_are_both_served_later, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_host_that_jumps_out_is_called_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_of_the_host_gets_the_hosts_handler_back, setup,
                                        teardown),
    };

    return cmocka_run_group_tests_name("child signal", tests, nullptr, nullptr);
}
