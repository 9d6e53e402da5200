// What a pool reports to the launcher of the daemon and to the service manager.
//
// SPDX-License-Identifier: MIT
#include <utility>

#include "os/process/clock.h"
#include "os/service/daemon.h"
#include "runtime/pool.h"

namespace prefork::runtime {

Pool::~Pool() {
    note_pending_forks(false);
    if (awaited_) {
        os::awaited_pool_is_gone();
    }
    signals_.release();
    orphans_.close(); // nobody handles them while workers are waited for
    if (opened_) {
        lose_descriptors(); // those that the host has closed
        loop_.abandon(nullptr, nullptr);
        report_left_workers();
    }
}

// Nobody else would ever report them.
void Pool::report_left_workers() {
    const uint32_t workers = supervisor_.capacity();
    for (uint32_t index = 0; index < workers + supervisor_.spare_places(); index++) {
        const uint32_t worker = index < workers ? index : base::first_spare + (index - workers);
        const int32_t pid = loop_.pid(worker);
        if (pid != 0) {
            report_left(task_id_of(worker), pid, loop_.send(worker, base::signal_kill));
        }
    }
}

// After each batch of actions.
void Pool::notify_manager() {
    if (!was_ready_) {
        reloads_reported_ = supervisor_.reloads(); // during which the pool gets ready: not reported
        if (supervisor_.all_ready()) {
            was_ready_ = true;
            notifier_.ready();
            if (std::exchange(awaited_, false)) {
                os::awaited_pool_is_ready();
            }
        }
    }
    if (options_.notify) {
        if (!supervisor_.running()) {
            notifier_.stopping();
        } else {
            notify_manager_of_reload();
        }
        notifier_.update(
            {supervisor_.ready(), supervisor_.slots(), supervisor_.alive(), supervisor_.restarts()},
            os::now());
    }
}

// One may have begun and ended since the last call, or ended and another begun.
void Pool::notify_manager_of_reload() {
    if (reloads_reported_ != supervisor_.reloads()) {
        reloads_reported_ = supervisor_.reloads();
        reload_reported_ = true;
        notifier_.reloading();
    }
    if (reload_reported_ && !supervisor_.reloading()) {
        reload_reported_ = false;
        notifier_.ready();
    }
}

base::Instant Pool::next_deadline() const {
    const base::Instant telling = notifier_.deadline();
    base::Instant deadline = supervisor_.next_deadline();
    deadline = messages_resume_ < deadline ? messages_resume_ : deadline;
    deadline = orphans_.next_look() < deadline ? orphans_.next_look() : deadline;
    return telling < deadline ? telling : deadline;
}

} // namespace prefork::runtime
