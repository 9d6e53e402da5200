// SPDX-License-Identifier: MIT
#include "os/fork_gate.h"

#include <climits>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/worker_process.h"

namespace prefork::os {

void let_in(Cell *cell, int32_t pid) {
    cell->admitted.store(pid);
    syscall(SYS_futex, &cell->admitted, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

Cell *pass_fork_gate(Cell *const (&cells)[2]) {
    // As the kernel's call has it, whatever the C library takes for a time.
    constexpr long moment[2] = {0, 50'000'000};
    const int32_t own = getpid();
    const int32_t seen = cells[0]->admitted.load();
    if (seen != own) {
        syscall(SYS_futex, &cells[0]->admitted, FUTEX_WAIT, seen, moment, nullptr, 0);
    }
    for (Cell *cell : cells) {
        if (cell->admitted.load() == own) {
            return cell;
        }
    }
    return nullptr;
}

void MainThread::note() {
    if (is_main_thread()) {
        thread_ = pthread_self();
        known_ = true;
    }
}

// A child has the thread that forked it for its own.
bool MainThread::forked_this_child() const {
    return known_ && pthread_equal(thread_, pthread_self()) != 0;
}

} // namespace prefork::os
