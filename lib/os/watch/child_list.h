// The children of this process, as the kernel lists them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

// The pid that was given last in this process's own namespace, whosever /proc it is; 0: unknown.
// Pids are given in order, so all others are smaller.
int32_t newest_pid();

// Whether /proc shows the pid namespace of this process.
bool has_own_proc();

// The first of a namespace that can be a child: 1 is its init.
inline constexpr int32_t first_pid = 2;

// Process ids, sorted. Grows: what a host forks has no bound that the library could know.
class ChildList {
  public:
    ChildList() = default;
    ~ChildList();
    ChildList(const ChildList &) = delete;
    ChildList &operator=(const ChildList &) = delete;

    // Those of all threads, by /proc. Returns false if they cannot be known.
    bool read();
    // The same without a /proc of one's own: each pid from the first on is asked for.
    bool probe(int32_t first);

    [[nodiscard]] bool has(int32_t pid) const;
    [[nodiscard]] uint32_t count() const { return count_; }
    [[nodiscard]] int32_t operator[](uint32_t index) const { return pids_[index]; }

    bool add(int32_t pid); // at the end: sort() follows
    void sort();
    void keep(uint32_t index, uint32_t kept) { pids_[kept] = pids_[index]; }
    void truncate(uint32_t count) { count_ = count; }
    void swap(ChildList &other);

  private:
    bool read_thread(const char *thread);

    int32_t *pids_ = nullptr;
    uint32_t count_ = 0;
    uint32_t capacity_ = 0;
};

} // namespace prefork::os
