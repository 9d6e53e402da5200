// What belongs to the process, used by several threads: also under ThreadSanitizer.
//
// SPDX-License-Identifier: MIT
#include <atomic>
#include <csignal>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "os/process/process_lock.h"
#include "os/signals/pool_signals.h"
#include "os/signals/wakeups.h"
#include "os/watch/child_signal.h"
#include "prefork.h"

namespace os = prefork::os;

#ifdef __has_feature
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif

namespace {

constexpr unsigned patience_s = 40; // only a failing test ends by it

bool has_handler(int signal) {
    struct sigaction action {};
    sigaction(signal, nullptr, &action);
    return (action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_DFL;
}

// Two threads do the same until each has done it so often. They count what is wrong: CMocka's
// asserts are for the main thread.
struct Pair {
    void *(*work)(void *);
    pthread_t threads[2]{};
    std::atomic<int> faults{0};
    std::atomic<int> running{0};

    explicit Pair(void *(*function)(void *)) : work(function) {
        for (pthread_t &thread : threads) {
            running.fetch_add(1);
            assert_int_equal(pthread_create(&thread, nullptr, work, this), 0);
        }
    }

    int join() {
        for (const pthread_t thread : threads) {
            assert_int_equal(pthread_join(thread, nullptr), 0);
        }
        return faults.load();
    }
};

// ---- The lock -------------------------------------------------------------------------------

int guarded;

void *counts_under_the_lock(void *pair) {
    for (int count = 0; count < 2'000; count++) {
        const os::ProcessLock lock;
        guarded += 1;
    }
    static_cast<Pair *>(pair)->running.fetch_sub(1);
    return nullptr;
}

void one_thread_at_a_time_has_the_lock(void ** /*state*/) {
    guarded = 0;
    Pair pair(counts_under_the_lock);

    assert_int_equal(pair.join(), 0);
    assert_int_equal(guarded, 4'000);
}

void all_signals_are_blocked_while_it_is_held(void ** /*state*/) {
    sigset_t before;
    sigset_t within;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    {
        const os::ProcessLock lock;
        pthread_sigmask(SIG_SETMASK, nullptr, &within);
    }
    pthread_sigmask(SIG_SETMASK, nullptr, &after);

    assert_int_equal(sigismember(&within, SIGTERM), 1);
    assert_int_equal(sigismember(&within, SIGCHLD), 1);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    assert_int_equal(sigismember(&after, SIGTERM), 0);
}

std::atomic<bool> held{false};
std::atomic<bool> let_go{false};

void *holds_the_lock(void * /*user*/) {
    const os::ProcessLock lock;
    held = true;
    while (!let_go) {
        usleep(100);
    }
    return nullptr;
}

void a_child_does_not_wait_for_a_thread_that_it_has_not(void ** /*state*/) {
    pthread_t thread;
    held = false;
    let_go = false;
    assert_int_equal(pthread_create(&thread, nullptr, holds_the_lock, nullptr), 0);
    while (!held) {
        usleep(100);
    }

    const pid_t child = fork();
    if (child == 0) {
        alarm(patience_s);
        for (int count = 0; count < 2; count++) {
            const os::ProcessLock lock;
        }
        _exit(7);
    }
    int status = 0;
    const pid_t reaped = waitpid(child, &status, 0);
    let_go = true;
    pthread_join(thread, nullptr);

    assert_int_equal(reaped, child);
    assert_int_equal(status, 7 << 8);
}

// ---- Signals of pools -----------------------------------------------------------------------

void *takes_and_gives_back_signals(void *user) {
    auto *pair = static_cast<Pair *>(user);
    sigset_t none;
    sigemptyset(&none);
    for (int count = 0; count < 500; count++) {
        os::OwnSignals signals;
        signals.claim(os::SignalSet::standard, none);
        for (int look = 0; look < 4; look++) {
            pair->faults.fetch_add(has_handler(SIGTERM) && has_handler(SIGWINCH) ? 0 : 1);
        }
        signals.release();
    }
    pair->running.fetch_sub(1);
    return nullptr;
}

void signals_have_a_handler_while_any_pool_has_them(void ** /*state*/) {
    Pair pair(takes_and_gives_back_signals);

    assert_int_equal(pair.join(), 0);
    assert_false(has_handler(SIGTERM));
    assert_false(has_handler(SIGWINCH));
}

void each_of_two_pools_hears_of_a_signal_of_another_thread(void ** /*state*/) {
    sigset_t none;
    sigemptyset(&none);
    os::OwnSignals pools[2];
    for (os::OwnSignals &signals : pools) {
        signals.claim(os::SignalSet::standard, none);
    }
    pthread_t thread;
    const auto raise_signal = [](void * /*user*/) -> void * {
        kill(getpid(), SIGUSR1);
        return nullptr;
    };
    assert_int_equal(pthread_create(&thread, nullptr, raise_signal, nullptr), 0);
    assert_int_equal(pthread_join(thread, nullptr), 0);

    for (os::OwnSignals &signals : pools) {
        os::SignalRequest request{};
        assert_true(signals.next(&request));
        assert_int_equal(request.number, SIGUSR1);
        assert_false(signals.next(&request));
    }
}

// ---- SIGCHLD --------------------------------------------------------------------------------

void *holds_and_releases_the_handler(void *user) {
    auto *pair = static_cast<Pair *>(user);
    for (int count = 0; count < 500; count++) {
        os::hold_child_handler(false);
        pthread_kill(pthread_self(), SIGCHLD);
        for (int look = 0; look < 4; look++) {
            pair->faults.fetch_add(has_handler(SIGCHLD) ? 0 : 1);
            os::check_child_handler();
        }
        os::release_child_handler(false);
    }
    pair->running.fetch_sub(1);
    return nullptr;
}

void sigchld_has_a_handler_while_any_pool_needs_it(void ** /*state*/) {
    Pair pair(holds_and_releases_the_handler);
    while (pair.running > 0) {
        kill(getpid(), SIGCHLD);
        usleep(50);
    }

    assert_int_equal(pair.join(), 0);
    assert_false(has_handler(SIGCHLD));
}

// ---- Wake-ups -------------------------------------------------------------------------------

void *adds_and_removes_a_wakeup(void *user) {
    auto *pair = static_cast<Pair *>(user);
    for (int count = 0; count < 2'000; count++) {
        const int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        uint64_t value = 0;
        pair->faults.fetch_add(os::add_wakeup(descriptor) == 0 ? 0 : 1);
        os::wake_all();
        pair->faults.fetch_add(read(descriptor, &value, sizeof(value)) > 0 ? 0 : 1);
        os::remove_wakeup(descriptor);
        (void)!read(descriptor, &value, sizeof(value));
        usleep(10);
        // By now it could be a file of the host's.
        pair->faults.fetch_add(read(descriptor, &value, sizeof(value)) < 0 ? 0 : 1);
        close(descriptor);
    }
    pair->running.fetch_sub(1);
    return nullptr;
}

void no_thread_writes_to_a_wakeup_that_was_removed(void ** /*state*/) {
    Pair pair(adds_and_removes_a_wakeup);
    while (pair.running > 0) {
        os::wake_all();
    }

    assert_int_equal(pair.join(), 0);
}

// ---- Pools ----------------------------------------------------------------------------------

int pool_backend = PF_BACKEND_AUTO;

int waits_for_the_end(int /*task_id*/, void * /*user*/) {
    while (pause() < 0) {
    }
    return 0;
}

// ThreadSanitizer's table of handlers is one for the parent and the child that shares its memory
// until it executes a program.
int set_workers(pf_pool *pool) {
#ifdef __SANITIZE_THREAD__
    const int result = pf_pool_set_thread_policy(pool, PF_THREADS_ALLOW);
    return result < 0 ? result : pf_pool_set_worker_fn(pool, waits_for_the_end, nullptr, nullptr);
#else
    static const char *const arguments[] = {"sleep", "100", nullptr};
    (void)waits_for_the_end;
    return pf_pool_set_exec(pool, "/bin/sleep", arguments, nullptr);
#endif
}

bool runs_a_pool() {
    pf_pool *pool = nullptr;
    bool good = pf_pool_new(&pool) == 0 && pf_pool_set_workers(pool, 2) == 0 &&
                pf_pool_set_backend(pool, pool_backend) == 0 &&
                pf_pool_set_restart_policy(pool, PF_RESTART_NEVER) == 0 && set_workers(pool) == 0 &&
                pf_pool_set_signals(pool, PF_SIGNALS_STANDARD) == 0 && pf_pool_start(pool) == 0;
    int result = 1;
    int ends = 0;
    for (bool asked = false; good && (result == 1);) {
        result = pf_pool_dispatch(pool, asked ? 1'000 : 0);
        good = has_handler(SIGTERM) || result == 0;
        for (const pf_event *event = nullptr; pf_pool_next_event(pool, &event) == 1;) {
            ends += pf_event_type(event) == PF_EVENT_EXITED ? 1 : 0;
        }
        if (!asked && pf_pool_alive_count(pool) == 2) {
            asked = true;
            good = good && pf_pool_kill(pool) == 0;
        }
    }
    (void)pf_pool_free(pool);
    return good && result == 0 && ends == 2;
}

void *runs_pools(void *user) {
    auto *pair = static_cast<Pair *>(user);
    for (int count = 0; count < 20; count++) {
        pair->faults.fetch_add(runs_a_pool() ? 0 : 1);
    }
    pair->running.fetch_sub(1);
    return nullptr;
}

bool has_backend(int backend) {
    pf_pool *pool = nullptr;
    const bool has = pf_pool_new(&pool) == 0 && pf_pool_set_backend(pool, backend) == 0;
    (void)pf_pool_free(pool);
    return has;
}

void pools_of_two_threads_are_independent(void ** /*state*/) {
    for (const int backend : {PF_BACKEND_PIDFD, PF_BACKEND_SIGCHLD}) {
        if (!has_backend(backend)) {
            continue;
        }
        pool_backend = backend;
        Pair pair(runs_pools);

        assert_int_equal(pair.join(), 0);
        assert_false(has_handler(SIGTERM));
        assert_false(has_handler(SIGCHLD));
    }
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_at_a_time_has_the_lock),
        cmocka_unit_test(all_signals_are_blocked_while_it_is_held),
        cmocka_unit_test(a_child_does_not_wait_for_a_thread_that_it_has_not),
        cmocka_unit_test(signals_have_a_handler_while_any_pool_has_them),
        cmocka_unit_test(each_of_two_pools_hears_of_a_signal_of_another_thread),
        cmocka_unit_test(sigchld_has_a_handler_while_any_pool_needs_it),
        cmocka_unit_test(no_thread_writes_to_a_wakeup_that_was_removed),
        cmocka_unit_test(pools_of_two_threads_are_independent),
    };

    return cmocka_run_group_tests_name("threads", tests, nullptr, nullptr);
}
