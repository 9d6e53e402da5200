// Signals that are blocked while the library works.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmocka_all.h"

#include "os/signals/signals.h"

using prefork::os::SignalBlock;

namespace {

bool is_refused;
constexpr size_t kernel_set_size = 8;

} // namespace

// That of the library.
extern "C" int pthread_sigmask(int how, const sigset_t *set, sigset_t *before) noexcept {
    if (is_refused) {
        return EPERM;
    }
    return syscall(SYS_rt_sigprocmask, how, set, before, kernel_set_size) < 0 ? errno : 0;
}

namespace {

// The wait is given this mask.
void mask_of_the_host_is_empty_where_it_cannot_be_asked_for(void **) {
    alignas(SignalBlock) unsigned char memory[sizeof(SignalBlock)];
    memset(memory, 0xff, sizeof(memory));
    is_refused = true;
    auto *block = new (memory) SignalBlock();

    assert_true(sigisemptyset(&block->host_mask()));

    block->~SignalBlock();
    is_refused = false;
}

void mask_of_the_host_is_restored(void **) {
    sigset_t blocked;
    sigset_t after;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &blocked, nullptr), 0);
    {
        const SignalBlock block;
        assert_int_equal(sigismember(&block.host_mask(), SIGUSR1), 1);
        assert_int_equal(pthread_sigmask(SIG_BLOCK, nullptr, &after), 0);
        assert_int_equal(sigismember(&after, SIGTERM), 1);
    }

    sigemptyset(&after);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, nullptr, &after), 0);

    assert_int_equal(sigismember(&after, SIGUSR1), 1);
    assert_int_equal(sigismember(&after, SIGTERM), 0);
    sigemptyset(&blocked);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &blocked, nullptr), 0);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(mask_of_the_host_is_empty_where_it_cannot_be_asked_for),
        cmocka_unit_test(mask_of_the_host_is_restored),
    };
    return cmocka_run_group_tests_name("signal block", tests, nullptr, nullptr);
}
