// SPDX-License-Identifier: MIT
#include "os/upgrade/handed_over.h"

#include <atomic>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap_object.h"
#include "base/number.h"
#include "os/fd/borrowed_fd.h"
#include "os/fd/descriptor.h"
#include "os/fd/fd_identity.h"
#include "os/fd/pidfd.h"
#include "os/net/activation.h"
#include "os/net/bound_sockets.h"
#include "os/process/process_id.h"
#include "os/process/process_lock.h"
#include "os/process/threads.h"
#include "os/service/daemon.h"
#include "os/signals/signals.h"
#include "os/signals/wakeups.h"
#include "os/upgrade/unwanted_pool.h"

namespace prefork::os {

namespace {

constexpr off_t size_max = off_t{64} << 20;

// Kept to the end of the process: the kernel frees it.
struct HandedOver {
    base::Array<unsigned char> bytes;
    UpgradeReader reader;
    base::Array<HandedPool> pools;
    sigset_t mask;
    uint32_t pool_count = 0;
    // Written under the lock of the process: pools of several threads may wait for the first time.
    std::atomic<uint32_t> unclaimed_count{0}; // of the processes from the next one on
    uint32_t next = 0;
    base::Array<bool> popped;                  // of the processes
    std::atomic<bool> is_mask_held{false};     // by the main thread
    std::atomic<bool> is_mask_restored{false}; // in one thread at least
    std::atomic<bool> is_open{false};          // for claims
    ProcessId process = 0;
};

HandedOver *handed = nullptr;

// There is something, but it could not be read, or adopted: a negative errno.
int failure = 0;
ProcessId failed_process = 0;
BorrowedFd unread; // what could not be read; -1: none

HandedOver *own_handed() {
    return handed != nullptr && is_this_process(handed->process) ? handed : nullptr;
}

void close_on_exec(int descriptor) { (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC); }

void own(int descriptor) {
    if (descriptor >= 0) {
        note_descriptor(descriptor);
    }
}

// Returns 1, 0 if it is no such file, or a negative errno.
int read_bytes(int file, base::Array<unsigned char> *ret_bytes) {
    struct stat status {};
    if (fstat(file, &status) < 0) {
        return errno == EBADF ? 0 : -errno;
    }
    if (!S_ISREG(status.st_mode) || status.st_size <= 0 || status.st_size > size_max) {
        return 0;
    }
    if (!ret_bytes->allocate(static_cast<size_t>(status.st_size))) {
        return -ENOMEM;
    }
    for (size_t done = 0; done < ret_bytes->size();) {
        const ssize_t count =
            pread(file, &(*ret_bytes)[done], ret_bytes->size() - done, static_cast<off_t>(done));
        if (count == 0) {
            return 0;
        }
        if (count < 0 && errno != EINTR) {
            return -errno;
        }
        done += count > 0 ? static_cast<size_t>(count) : 0;
    }
    return 1;
}

void adopt_sockets(UpgradeReader *reader) {
    for (uint32_t index = 0; index < reader->facts().set_count; index++) {
        UpgradeSetView view{};
        int descriptors[bound_sockets_max];
        if (!reader->next_set(&view)) {
            return;
        }
        for (uint32_t socket = 0; socket < view.set.count; socket++) {
            descriptors[socket] = view.descriptor(socket);
        }
        const SocketKey key{view.name, view.set.port, view.set.family, view.set.flags};
        if (int r = note_handed_on(key, std::span(descriptors).first(view.set.count)); r < 0) {
            failure = r; // nobody else can bind them as long as they are open here
        }
    }
}

void adopt_facts(HandedOver *all) {
    const UpgradeFacts &facts = all->reader.facts();
    constexpr int last_signal = 64;
    sigemptyset(&all->mask);
    for (int signal = 1; signal <= last_signal; signal++) {
        if ((facts.mask >> (signal - 1) & 1) != 0) {
            sigaddset(&all->mask, signal);
        }
    }
    all->is_mask_held = true;
    if (facts.is_daemon != 0) {
        own(facts.pid_file);
        if (int r = adopt_daemon(facts.pid_file); r < 0) {
            failure = r;
        }
    }
    if (facts.passed_count > 0) {
        set_passed_descriptors(facts.passed_count);
    }
    all->reader.begin();
    adopt_sockets(&all->reader);
}

void adopt_pools(HandedOver *all) {
    const uint32_t count = all->reader.facts().pool_count;
    uint32_t index = all->reader.facts().own_descriptors;
    for (; index < all->reader.header().descriptor_count; index++) {
        own(all->reader.descriptor(index));
    }
    if (!all->reader.has_pools()) {
        return;
    }
    while (all->pool_count < count && all->reader.next_pool(&all->pools[all->pool_count].view)) {
        all->pool_count += 1;
    }
}

// A program that was executed in between has forked, and this is its child: what the supervisor
// keeps open must not stay open here.
void let_go_of_inherited(Bytes bytes) {
    UpgradeHeader header{};
    UpgradeCursor cursor(bytes);
    UpgradeReader reader;
    if (!cursor.read(&header) || !reader.open(bytes, header.pid)) {
        return;
    }
    for (uint32_t index = 0; index < header.process_count; index++) {
        if (is_pidfd(reader.process(index).pidfd)) {
            close(reader.process(index).pidfd);
        }
    }
    for (uint32_t index = 0; index < header.descriptor_count; index++) {
        if (is_pipe(reader.descriptor(index))) {
            close(reader.descriptor(index));
        }
    }
}

// The same, and 0 also if it is another process's.
int read_file(int file, HandedOver *all) {
    if (int r = read_bytes(file, &all->bytes); r <= 0) {
        return r;
    }
    const Bytes bytes(&all->bytes[0], all->bytes.size());
    if (!all->reader.open(bytes, own_pid())) {
        let_go_of_inherited(bytes);
        close(file);
        return 0;
    }
    const bool has_pools = all->reader.has_pools();
    return all->popped.allocate(all->reader.header().process_count) &&
                   (!has_pools || all->pools.allocate(all->reader.facts().pool_count))
               ? 1
               : -ENOMEM;
}

void adopt_file(int file) {
    failed_process = own_process_id();
    auto *all = base::make<HandedOver>();
    failure = all == nullptr ? -ENOMEM : read_file(file, all);
    if (failure <= 0) {
        if (failure < 0 && unread.borrow(file)) {
            close_on_exec(file);
        }
        base::destroy(all);
        return;
    }
    failure = 0;
    close(file);
    const UpgradeHeader &header = all->reader.header();
    for (uint32_t index = 0; index < header.process_count; index++) {
        const int pidfd = all->reader.process(index).pidfd;
        close_on_exec(pidfd);
        own(pidfd);
    }
    for (uint32_t index = 0; index < header.descriptor_count; index++) {
        close_on_exec(all->reader.descriptor(index));
    }
    all->process = failed_process;
    all->is_open = true;
    handed = all;
    adopt_facts(all);
    adopt_pools(all); // which the reader has come to
}

// After what identity.cc finds out when the library is loaded.
constexpr int second_priority = 102;

[[gnu::constructor(second_priority)]] void find_handed_over() {
    const char *text = secure_getenv(upgrade_variable);
    int32_t file = -1;
    if (text != nullptr && base::parse_number(&text, STDERR_FILENO + 1, INT32_MAX, &file) &&
        *text == '\0') {
        adopt_file(file);
    }
    if (text != nullptr) {
        unsetenv(upgrade_variable);
    }
}

bool is_claimed(const HandedOver &all, int32_t pid) {
    for (uint32_t index = 0; index < all.pool_count; index++) {
        const HandedPool &pool = all.pools[index];
        for (uint32_t worker = 0; pool.is_claimed && worker < pool.view.pool.worker_count;
             worker++) {
            if (pool.view.worker(worker).pid == pid) {
                return true;
            }
        }
        for (uint32_t spare = 0; pool.is_claimed && spare < pool.view.pool.spare_count; spare++) {
            if (pool.view.spare(spare).pid == pid) {
                return true;
            }
        }
    }
    return false;
}

// Where the layout is not known, which descriptor is whose is not known either.
void close_descriptors(const HandedOver &all) {
    for (uint32_t index = 0; index < all.pool_count; index++) {
        if (!all.pools[index].is_claimed) {
            close_unwanted_pool(all.pools[index].view);
        }
    }
    const UpgradeHeader &header = all.reader.header();
    uint32_t index = all.reader.facts().own_descriptors;
    for (; !all.reader.has_pools() && index < header.descriptor_count; index++) {
        close_handed_over(all.reader.descriptor(index));
    }
}

void count_unclaimed(HandedOver *all) {
    uint32_t count = 0;
    for (uint32_t index = 0; index < all->reader.header().process_count; index++) {
        const bool is_left =
            !all->popped[index] && !is_claimed(*all, all->reader.process(index).pid);
        count += is_left ? 1U : 0U;
    }
    all->next = 0;
    all->unclaimed_count = count;
}

// Once, under the lock.
void end_claims(HandedOver *all) {
    if (!all->is_open) {
        return;
    }
    all->is_open = false;
    close_handed_on();
    close_descriptors(*all);
    count_unclaimed(all);
}

// A program that ends without a pool that waits leaves no files. Their names are in what could not
// be read when it began.
[[gnu::destructor]] void end_open_claims() {
    if (unread.get() >= 0 && unread.is_still_open() && is_this_process(failed_process)) {
        adopt_file(unread.get());
    }
    if (HandedOver *all = own_handed(); all != nullptr && all->is_open) {
        const ProcessLock lock;
        end_claims(all);
    }
}

} // namespace

int handed_over_error() { return is_this_process(failed_process) ? failure : 0; }

HandedPool *claim_handed_pool(const char *name) {
    const ProcessLock lock;
    HandedOver *all = own_handed();
    for (uint32_t index = 0; all != nullptr && all->is_open && index < all->pool_count; index++) {
        HandedPool &pool = all->pools[index];
        if (!pool.is_claimed && strcmp(pool.view.pool.name, name) == 0) {
            pool.is_claimed = true;
            return &pool;
        }
    }
    return nullptr;
}

void note_adopted(HandedPool *pool) {
    const ProcessLock lock;
    pool->is_adopted = true;
}

void end_claim(HandedPool *pool) {
    if (pool == nullptr || pool->is_adopted) {
        return;
    }
    {
        const ProcessLock lock;
        pool->is_claimed = false;
        if (handed->is_open) {
            return;
        }
        // The time for claims has ended meanwhile.
        close_unwanted_pool(pool->view);
        count_unclaimed(handed);
    }
    wake_all(); // a pool that waits already ends the workers
}

const sigset_t *held_mask() {
    const HandedOver *all = own_handed();
    const bool is_held = all != nullptr && all->is_mask_held &&
                         (!all->is_mask_restored || is_main_thread() || blocks_all_signals());
    return is_held ? &all->mask : nullptr;
}

void restore_held_mask() {
    if (held_mask() != nullptr) {
        if (is_main_thread()) {
            handed->is_mask_held = false;
        }
        handed->is_mask_restored = true;
        pthread_sigmask(SIG_SETMASK, &handed->mask, nullptr);
    }
}

bool has_unclaimed() {
    return handed != nullptr && (handed->is_open || handed->unclaimed_count > 0) &&
           is_this_process(handed->process);
}

bool has_unclaimed_pools() {
    const ProcessLock lock;
    const HandedOver *all = own_handed();
    if (all == nullptr) {
        return false;
    }
    for (uint32_t index = 0; index < all->pool_count; index++) {
        const HandedPool &pool = all->pools[index];
        if (!pool.is_adopted && (all->is_open || pool.is_claimed)) {
            return true;
        }
    }
    return all->is_open ? !all->reader.has_pools() && all->reader.header().process_count > 0
                        : all->unclaimed_count > 0;
}

uint32_t unclaimed_count() {
    const ProcessLock lock;
    end_claims(handed);
    return handed->unclaimed_count;
}

bool pop_unclaimed(UpgradeProcess *ret_process) {
    const ProcessLock lock;
    end_claims(handed);
    if (handed->unclaimed_count == 0) {
        return false;
    }
    bool is_left = false;
    while (!is_left) {
        *ret_process = handed->reader.process(handed->next);
        is_left = !handed->popped[handed->next] && !is_claimed(*handed, ret_process->pid);
        handed->next += 1;
    }
    handed->popped[handed->next - 1] = true;
    handed->unclaimed_count -= 1;
    return true;
}

} // namespace prefork::os
