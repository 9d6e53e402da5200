// SPDX-License-Identifier: MIT
#include "os/signals/wakeups.h"

#include <atomic>
#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd/pipe_write.h"
#include "os/process/clock.h"
#include "os/process/process_id.h"
#include "os/process/process_lock.h"

namespace prefork::os {

namespace {

// Each descriptor plus 1; 0: unused. A handler reads them at any time, without the lock.
std::atomic<int> wakeups[wakeups_max];
std::atomic<int> wakeups_end;
std::atomic<uint64_t> inodes[wakeups_max]; // of those that are pipes
std::atomic<uint64_t> device;              // of all eventfds
std::atomic<int32_t> readers;              // handlers that are about to write to the descriptors
std::atomic<ProcessId> owner;

// In another process than the one that noted them the numbers may mean something else. The owner
// comes last: until then no handler reads them.
void forget_wakeups_of_parent() {
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
    constexpr int moments_max = 20'000; // a second: signals may come faster than they are handled
    for (int count = 0; readers.load() > 0 && count < moments_max; count++) {
        sleep_for_a_moment();
    }
}

bool is_pipe_of(int descriptor, uint64_t inode) {
    for (int index = 0; index < wakeups_end.load(); index++) {
        if (wakeups[index].load() == descriptor + 1) {
            return inodes[index].load() == inode;
        }
    }
    return false;
}

} // namespace

int add_wakeup(int descriptor) {
    const ProcessLock lock;
    struct stat status {};
    if (fstat(descriptor, &status) < 0) {
        return -errno;
    }
    forget_wakeups_of_parent();
    const bool pipe = S_ISFIFO(status.st_mode);
    if (!pipe) {
        device.store(status.st_dev);
    }
    for (int index = 0; index < wakeups_max; index++) {
        if (wakeups[index].load() == 0) {
            if (pipe) {
                inodes[index].store(status.st_ino);
            }
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
    const bool known = fstat(descriptor, &status) == 0;
    const bool pipe = known && S_ISFIFO(status.st_mode);
    // Where the host has closed the library's descriptors, it is another file by now.
    if (known && (pipe ? !is_pipe_of(descriptor, status.st_ino) : status.st_dev != device.load())) {
        return;
    }
    // Both fail only when it is readable already.
    if (pipe || !known) {
        (void)write_without_sigpipe(descriptor, &one, sizeof(one));
    } else {
        (void)!write(descriptor, &one, sizeof(one));
    }
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
