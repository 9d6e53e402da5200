// What the workers of a pool are given: its name, and descriptors by name.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

#include "base/array.h"
#include "os/fd/borrowed_fd.h"

namespace prefork::os {

class WorkerResources {
  public:
    static constexpr uint32_t descriptors_max = 1024;
    static constexpr size_t pool_name_size = 64; // with its zero byte
    // Of all names with their zero bytes: half of what the kernel accepts as one variable.
    static constexpr size_t names_max = size_t{64} * 1024;

    // Takes a name that fits.
    void set_pool_name(const char *name);
    [[nodiscard]] const char *pool_name() const { return pool_name_; }

    // The descriptor stays the host's. A name is one that systemd's LISTEN_FDNAMES can hold.
    // Returns 0, -EINVAL, -EBADF, -EEXIST, -ENOSPC, -E2BIG or -ENOMEM.
    [[nodiscard]] int add(const char *name, int descriptor);

    // Returns the descriptor or -ENOENT.
    [[nodiscard]] int find(const char *name) const;

    [[nodiscard]] uint32_t count() const { return count_; }
    [[nodiscard]] const BorrowedFd &fd(uint32_t index) const { return entries_[index].fd; }
    [[nodiscard]] const char *name(uint32_t index) const { return &names_[entries_[index].name]; }
    [[nodiscard]] size_t names_length() const { return names_length_; } // zero bytes included

  private:
    struct Entry {
        BorrowedFd fd;
        uint32_t name; // index in names_
    };

    char pool_name_[pool_name_size] = "";
    base::Array<Entry> entries_;
    base::Array<char> names_;
    uint32_t count_ = 0;
    uint32_t names_length_ = 0;
};

} // namespace prefork::os
