// SPDX-License-Identifier: MIT
#include "os/signals/wakeups.h"

#include <atomic>
#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/process/process_id.h"
#include "os/process/process_lock.h"

namespace prefork::os {

namespace {

// Each descriptor plus 1; 0: unused. A handler reads them at any time, without the lock.
std::atomic<int> wakeups[wakeups_max];
std::atomic<int> wakeups_end;
std::atomic<uint64_t> device; // of all descriptors of their kind
std::atomic<int32_t> readers; // handlers that are about to write to the descriptors
std::atomic<ProcessId> owner;

// In another process than the one that noted them the numbers may mean something else. The owner
// comes last: until then no handler reads them.
void forget_other_process() {
    if (is_this_process(owner.load())) {
        return;
    }
    for (std::atomic<int> &wakeup : wakeups) {
        wakeup.store(0);
    }
    readers.store(0);
    owner.store(own_process_id());
}

// A handler in another thread may have read the number just before it was removed. Once this
// returns no handler writes to it, and it may be closed and mean something else.
void await_readers() {
    constexpr timespec moment = {0, 50'000};
    constexpr int moments_max = 20'000; // a second: signals may come faster than they are handled
    for (int count = 0; readers.load() > 0 && count < moments_max; count++) {
        nanosleep(&moment, nullptr);
    }
}

} // namespace

int add_wakeup(int descriptor) {
    const ProcessLock lock;
    struct stat status {};
    if (fstat(descriptor, &status) < 0) {
        return -errno;
    }
    device.store(status.st_dev);
    forget_other_process();
    for (int index = 0; index < wakeups_max; index++) {
        if (wakeups[index].load() == 0) {
            wakeups[index].store(descriptor + 1);
            if (wakeups_end.load() <= index) {
                wakeups_end.store(index + 1);
            }
            return 0;
        }
    }
    return -ENOSPC;
}

void remove_wakeup(int descriptor) {
    {
        const ProcessLock lock;
        for (int index = 0; index < wakeups_end.load(); index++) {
            if (wakeups[index].load() == descriptor + 1) {
                wakeups[index].store(0);
                break;
            }
        }
    }
    await_readers();
}

void wake(int descriptor) {
    const uint64_t one = 1;
    struct stat status {};
    // Where the host has closed the library's descriptors, it is another file by now.
    if (fstat(descriptor, &status) == 0 && status.st_dev != device.load()) {
        return;
    }
    (void)!write(descriptor, &one, sizeof(one)); // fails only when it is readable already
}

void wake_all() {
    if (!is_this_process(owner.load())) {
        return;
    }
    readers.fetch_add(1);
    for (int index = 0; index < wakeups_end.load(); index++) {
        const int wakeup = wakeups[index].load();
        if (wakeup != 0) {
            wake(wakeup - 1);
        }
    }
    readers.fetch_sub(1);
}

} // namespace prefork::os
