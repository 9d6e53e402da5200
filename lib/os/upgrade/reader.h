// Reads what the former program of a supervisor has written. It trusts nothing: whatever the bytes
// are, it stays within them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "os/upgrade/layout.h"

namespace prefork::os {

using Bytes = std::span<const unsigned char>;

// The bytes may have any alignment: everything is copied out.
class UpgradeCursor {
  public:
    explicit UpgradeCursor(Bytes bytes) : rest_(bytes) {}

    // Each returns false behind the end.
    template <typename Value>
    [[nodiscard]] bool read(Value *ret_value) {
        Bytes bytes;
        if (!skip(sizeof(Value), &bytes)) {
            return false;
        }
        copy(bytes, ret_value);
        return true;
    }
    // A size of 64 bits, as the counts in a file are of 32: their products do not wrap.
    [[nodiscard]] bool skip(uint64_t size, Bytes *ret_bytes) {
        if (size > rest_.size()) {
            return false;
        }
        *ret_bytes = rest_.first(static_cast<size_t>(size));
        rest_ = rest_.subspan(static_cast<size_t>(size));
        return true;
    }
    [[nodiscard]] size_t left() const { return rest_.size(); }

  private:
    static void copy(Bytes bytes, void *ret_value);

    Bytes rest_;
};

struct UpgradeSetView {
    UpgradeSet set;
    Bytes descriptors;
    const char *name;

    [[nodiscard]] int descriptor(uint32_t index) const;
};

struct UpgradePoolView {
    UpgradePool pool;
    Bytes workers;
    Bytes spares;
    Bytes policy;

    [[nodiscard]] UpgradeWorker worker(uint32_t index) const;
    [[nodiscard]] UpgradeProcess spare(uint32_t index) const;
};

class UpgradeReader {
  public:
    // Returns false if it is no such file, or not the process's. The bytes outlive this object.
    [[nodiscard]] bool open(Bytes bytes, int32_t pid);

    [[nodiscard]] const UpgradeHeader &header() const { return header_; }
    [[nodiscard]] UpgradeProcess process(uint32_t index) const;
    [[nodiscard]] int descriptor(uint32_t index) const;

    [[nodiscard]] const UpgradeFacts &facts() const { return facts_; }
    // Whether the pools are of this version and valid. Otherwise only the sets can be read.
    [[nodiscard]] bool has_pools() const { return has_pools_; }
    // To be called in this order, each as often as there are some.
    void begin() { cursor_ = first_set_; }
    [[nodiscard]] bool next_set(UpgradeSetView *ret_set);
    [[nodiscard]] bool next_pool(UpgradePoolView *ret_pool);

  private:
    [[nodiscard]] bool check_facts();
    [[nodiscard]] bool check_pools();

    UpgradeHeader header_{};
    UpgradeFacts facts_{};
    Bytes processes_;
    Bytes descriptors_;
    UpgradeCursor first_set_{Bytes()};
    UpgradeCursor cursor_{Bytes()};
    bool has_pools_ = false;
};

} // namespace prefork::os
