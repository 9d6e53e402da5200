// The descriptors that the library opens: each has one owner, and workers are rid of all of them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

namespace prefork::os {

// Every descriptor of the library, over all pools, is noted in one table from its first moment to
// its last, so that a new worker can close exactly these.
void note_descriptor(int descriptor);
void forget_descriptor(int descriptor);
// All of them. For a child of the host that has closed them: files of its own have their numbers.
void forget_descriptors();

// What a worker keeps of the library's descriptors, each or -1.
struct KeptDescriptors {
    static constexpr size_t count = 3;

    int descriptors[count];
};

// In a new worker: closes all other noted descriptors. Async-signal-safe.
void close_noted_descriptors(const KeptDescriptors &kept);

// Moves what a system call returned, a descriptor or -1 with errno set, above the numbers of stdio.
// Returns the descriptor or a negative errno.
int above_stdio(int descriptor_or_error);

// Owns one descriptor, or none. Its owner is one thread at a time; others may read the number,
// which is -1 or that of the descriptor at some time.
class Descriptor {
  public:
    Descriptor() = default;
    ~Descriptor() { reset(); }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;

    // The result of a system call, close-on-exec, is moved above the numbers of stdio and noted.
    // Returns 0 or the negative errno.
    [[nodiscard]] int adopt(int descriptor_or_error);
    void reset();
    // A descriptor that is noted already.
    void attach(int descriptor) {
        reset();
        set(descriptor);
    }
    void disown() { set(-1); }
    // The host has closed it, and the number may mean something else by now.
    void lose();
    // Hands the descriptor, which stays noted, to a plain number.
    [[nodiscard]] int release() {
        const int released = get();
        set(-1);
        return released;
    }

    [[nodiscard]] int get() const { return descriptor_.load(std::memory_order_relaxed); }

  private:
    void set(int descriptor) { descriptor_.store(descriptor, std::memory_order_relaxed); }

    std::atomic<int> descriptor_{-1};
};

// Returns how many descriptors the process could open now, up to the size of scratch, which is used
// for it; or the negative errno if not even one.
int descriptors_available(int any_descriptor, std::span<int> scratch);

} // namespace prefork::os
