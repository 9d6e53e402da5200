// A fixed number of values on the heap, allocated once.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdlib.h>
#include <type_traits>
#include <utility>

#include "base/invariant.h"

namespace prefork::base {

// Values are plain data; all of their bytes are 0 after allocate().
template <typename Value>
class Array {
    static_assert(std::is_trivially_copyable_v<Value> && std::is_trivially_destructible_v<Value>);

  public:
    Array() = default;
    Array(const Array &) = delete;
    Array &operator=(const Array &) = delete;
    ~Array() { free(values_); }

    // Returns false, and leaves the array as it was, if there is no memory.
    [[nodiscard]] bool allocate(size_t size) {
        // calloc leaves the pages of a large array untouched until they are used.
        void *values = calloc(size == 0 ? 1 : size, sizeof(Value));
        if (values == nullptr) {
            return false;
        }
        free(values_);
        values_ = static_cast<Value *>(values);
        size_ = size;
        return true;
    }

    // Makes room for more values, all of their bytes 0; never for fewer. Returns false, and leaves
    // the array as it was, if there is no memory.
    [[nodiscard]] bool grow(size_t size) {
        if (size <= size_) {
            return true;
        }
        Array larger;
        if (!larger.allocate(size)) {
            return false;
        }
        for (size_t index = 0; index < size_; index++) {
            larger.values_[index] = values_[index];
        }
        swap(larger);
        return true;
    }

    void swap(Array &other) {
        std::swap(values_, other.values_);
        std::swap(size_, other.size_);
    }

    void reset() {
        free(values_);
        values_ = nullptr;
        size_ = 0;
    }

    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] std::span<const Value> all() const { return {values_, size_}; }

    Value &operator[](size_t index) { return values_[checked(index)]; }
    const Value &operator[](size_t index) const { return values_[checked(index)]; }

  private:
    [[nodiscard]] size_t checked(size_t index) const {
        // The last resort of a release build is the first value: never memory of others.
        return holds(index < size_) ? index : 0;
    }

    Value *values_ = nullptr;
    size_t size_ = 0;
};

} // namespace prefork::base
