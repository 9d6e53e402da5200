// A bounded first-in-first-out queue, allocated once.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "base/array.h"
#include "base/invariant.h"

namespace prefork::base {

template <typename Value>
class Ring {
  public:
    [[nodiscard]] bool allocate(size_t capacity) { return values_.allocate(capacity); }

    // Makes room for more, never for less; what is in the ring stays. Returns false, and leaves the
    // ring as it was, if there is no memory.
    [[nodiscard]] bool grow(size_t capacity) {
        if (capacity <= values_.size()) {
            return true;
        }
        Array<Value> larger;
        if (!larger.allocate(capacity)) {
            return false;
        }
        for (size_t index = 0; index < size_; index++) {
            larger[index] = values_[wrapped(first_ + index)];
        }
        values_.swap(larger);
        first_ = 0;
        return true;
    }

    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] size_t room() const { return values_.size() - size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

    // Returns false if the ring is full, which its owner has ruled out by its capacity.
    bool push(const Value &value) {
        if (!holds(room() > 0)) {
            return false;
        }
        values_[wrapped(first_ + size_)] = value;
        size_ += 1;
        return true;
    }

    [[nodiscard]] const Value &front() const { return values_[first_]; }

    // The oldest value; the ring must not be empty.
    Value pop() {
        Value value = values_[first_];
        size_ -= 1;
        // An empty ring starts at its first place again, so that only memory in use is touched.
        first_ = size_ == 0 ? 0 : wrapped(first_ + 1);
        return value;
    }

    // The oldest value of which the predicate says so; nullptr: there is none.
    template <typename Predicate>
    [[nodiscard]] const Value *find_oldest(Predicate is_wanted) const {
        for (size_t index = 0; index < size_; index++) {
            const Value &value = values_[wrapped(first_ + index)];
            if (is_wanted(value)) {
                return &value;
            }
        }
        return nullptr;
    }

    // The newest value of which the predicate says so; nullptr: there is none.
    template <typename Predicate>
    [[nodiscard]] Value *find_newest(Predicate is_wanted) {
        for (size_t rest = size_; rest > 0; rest--) {
            Value &value = values_[wrapped(first_ + rest - 1)];
            if (is_wanted(value)) {
                return &value;
            }
        }
        return nullptr;
    }

    // Takes out all those of which the predicate says so; the others keep their order.
    template <typename Predicate>
    void remove_if(Predicate is_unwanted) {
        for (size_t rest = size_; rest > 0; rest--) {
            const Value value = pop();
            if (!is_unwanted(value)) {
                (void)push(value);
            }
        }
    }

  private:
    [[nodiscard]] size_t wrapped(size_t index) const {
        return index < values_.size() ? index : index - values_.size();
    }

    Array<Value> values_;
    size_t first_ = 0;
    size_t size_ = 0;
};

} // namespace prefork::base
