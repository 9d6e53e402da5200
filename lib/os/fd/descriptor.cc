// SPDX-License-Identifier: MIT
#include "os/fd/descriptor.h"

#include <atomic>
#include <bit>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/process/generation.h"
#include "os/process/process_lock.h"

namespace prefork::os {

namespace {

constexpr uint32_t table_size = 1U << 20; // descriptors; Linux allows no more by default
constexpr uint32_t bits = 64;

// One bit a descriptor. Zero pages that are never touched take no memory. Pools of several threads
// share the words.
std::atomic<uint64_t> noted[table_size / bits];
std::atomic<uint32_t> words_in_use;
std::atomic<uint32_t> noted_generation;

// What this worker has kept. Not zero, so that it lies beside the other data that a worker writes.
KeptDescriptors own_kept = {{-1, -1, -1}};

bool in_table(int descriptor) {
    return descriptor >= 0 && static_cast<uint32_t>(descriptor) < table_size;
}

void close_range_of(uint32_t first, uint32_t last) {
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, last, 0) == 0) {
        return;
    }
#endif
    for (uint32_t descriptor = first; descriptor <= last; descriptor++) {
        close(static_cast<int>(descriptor));
    }
}

void close_run(uint32_t first, uint32_t last, const KeptDescriptors &kept) {
    while (first <= last) {
        uint32_t next_kept = last + 1;
        for (const int descriptor : kept.descriptors) {
            const auto number = static_cast<uint32_t>(descriptor);
            next_kept = number >= first && number < next_kept ? number : next_kept;
        }
        if (next_kept > first) {
            close_range_of(first, next_kept - 1);
        }
        first = next_kept + 1;
    }
}

void note_in_table(int descriptor) {
    if (!in_table(descriptor)) {
        return;
    }
    const auto number = static_cast<uint32_t>(descriptor);
    noted[number / bits].fetch_or(uint64_t{1} << (number % bits), std::memory_order_relaxed);
    uint32_t used = words_in_use.load(std::memory_order_relaxed);
    while (used <= number / bits && !words_in_use.compare_exchange_weak(
                                        used, number / bits + 1, std::memory_order_relaxed)) {
    }
}

// The notes that a worker inherited describe descriptors that it closed at its start. They are
// cleared when the worker opens a descriptor, because few workers do.
void forget_earlier_generation() {
    if (noted_generation.load(std::memory_order_acquire) == generation()) {
        return;
    }
    const ProcessLock lock; // several threads may be the first
    if (noted_generation.load(std::memory_order_relaxed) == generation()) {
        return;
    }
    forget_descriptors();
    // A worker has kept some, which are not for workers of its own.
    for (const int descriptor : own_kept.descriptors) {
        note_in_table(descriptor);
    }
    noted_generation.store(generation(), std::memory_order_release);
}

} // namespace

void note_descriptor(int descriptor) {
    forget_earlier_generation();
    note_in_table(descriptor);
}

void forget_descriptor(int descriptor) {
    if (in_table(descriptor)) {
        const auto number = static_cast<uint32_t>(descriptor);
        noted[number / bits].fetch_and(~(uint64_t{1} << (number % bits)),
                                       std::memory_order_relaxed);
    }
}

void forget_descriptors() {
    const uint32_t words = words_in_use.exchange(0, std::memory_order_relaxed);
    for (uint32_t word = 0; word < words; word++) {
        noted[word].store(0, std::memory_order_relaxed);
    }
}

void close_noted_descriptors(const KeptDescriptors &kept) {
    own_kept = kept;
    // Neighbours are closed by one call: the run may go over many words.
    uint32_t run_first = 0;
    uint32_t run_length = 0;
    const uint32_t words = words_in_use.load(std::memory_order_relaxed);
    for (uint32_t word = 0; word < words; word++) {
        uint64_t rest = noted[word].load(std::memory_order_relaxed);
        while (rest != 0) {
            const auto skipped = static_cast<uint32_t>(std::countr_zero(rest));
            const auto length = static_cast<uint32_t>(std::countr_one(rest >> skipped));
            const uint32_t first = word * bits + skipped;
            if (run_length > 0 && run_first + run_length == first) {
                run_length += length;
            } else {
                if (run_length > 0) {
                    close_run(run_first, run_first + run_length - 1, kept);
                }
                run_first = first;
                run_length = length;
            }
            // A shift by all 64 bits is undefined.
            rest = skipped + length == bits ? 0 : rest & (~uint64_t{0} << (skipped + length));
        }
    }
    if (run_length > 0) {
        close_run(run_first, run_first + run_length - 1, kept);
    }
}

int above_stdio(int descriptor_or_error) {
    if (descriptor_or_error < 0) {
        return -errno;
    }
    if (descriptor_or_error > STDERR_FILENO && in_table(descriptor_or_error)) {
        return descriptor_or_error;
    }
    const int moved = fcntl(descriptor_or_error, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int error = moved < 0 ? -errno : -EMFILE;
    close(descriptor_or_error);
    if (in_table(moved)) {
        return moved;
    }
    if (moved >= 0) {
        close(moved);
    }
    return error;
}

int Descriptor::adopt(int descriptor_or_error) {
    const int descriptor = above_stdio(descriptor_or_error);
    if (descriptor < 0) {
        return descriptor;
    }
    reset();
    set(descriptor);
    note_descriptor(descriptor);
    return 0;
}

void Descriptor::reset() {
    const int descriptor = release();
    if (descriptor >= 0) {
        forget_descriptor(descriptor);
        close(descriptor);
    }
}

void Descriptor::lose() { forget_descriptor(release()); }

int descriptors_available(int any_descriptor, std::span<int> scratch) {
    // The only way to know is to open them; all are closed again before anything is forked.
    size_t count = 0;
    int error = 0;
    while (count < scratch.size()) {
        const int descriptor = fcntl(any_descriptor, F_DUPFD_CLOEXEC, 0);
        if (!in_table(descriptor)) {
            error = descriptor < 0 ? -errno : -EMFILE;
            if (descriptor >= 0) {
                close(descriptor);
            }
            break;
        }
        scratch[count++] = descriptor;
    }
    for (size_t index = 0; index < count; index++) {
        close(scratch[index]);
    }
    return count > 0 ? static_cast<int>(count) : error;
}

} // namespace prefork::os
