// SPDX-License-Identifier: MIT
#include "os/process/process_lock.h"

#include <atomic>
#include <cstdint>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/process/clock.h"

namespace prefork::os {

namespace {

std::atomic<int32_t> holder; // a thread id; 0: free

// The own id is the number that the parent's holder had in another pid namespace: no thread waits
// for itself.
bool is_left_by_parent(int32_t thread, int32_t own) {
    return thread == own || (syscall(SYS_tgkill, getpid(), thread, 0) < 0 && errno == ESRCH);
}

} // namespace

ProcessLock::ProcessLock() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask_);
    const auto own = static_cast<int32_t>(syscall(SYS_gettid));
    for (;;) {
        int32_t seen = 0;
        if (holder.compare_exchange_strong(seen, own, std::memory_order_acquire) ||
            (is_left_by_parent(seen, own) &&
             holder.compare_exchange_strong(seen, own, std::memory_order_acquire))) {
            return;
        }
        sleep_for_a_moment();
    }
}

ProcessLock::~ProcessLock() {
    holder.store(0, std::memory_order_release);
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
}

} // namespace prefork::os
