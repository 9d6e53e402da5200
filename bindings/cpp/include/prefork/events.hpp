/// @file prefork/events.hpp
/// The events of a pool as an input range, and in C++20 a view.
///
/// SPDX-License-Identifier: MIT
#ifndef PREFORK_EVENTS_HPP
#define PREFORK_EVENTS_HPP

#include <prefork.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iterator>
#include <optional>
#include <utility>

#include <prefork/error.hpp>
#include <prefork/event.hpp>

#if __cplusplus >= 202002L && defined(__has_include)
#if __has_include(<ranges>)
#include <ranges>
#endif
#endif

namespace prefork {
namespace detail {

/// What pf_pool_set_event_callback(3) gets. It stays at its place when the pool is moved.
class Callback {
  public:
    Callback(pf_pool *pool, std::function<void(const Event &)> function)
        : pool_(pool), function_(std::move(function)) {}

    /// No exception leaves it: the first one stops the pool, and waits for rethrow().
    static void deliver(const pf_event *event, void *user) noexcept {
        auto *self = static_cast<Callback *>(user);
        if (self->thrown_) {
            return;
        }
        try {
            self->function_(Event(event));
        } catch (...) {
            self->thrown_ = std::current_exception();
            pf_pool_stop(self->pool_);
        }
        flush_streams();
    }

    void rethrow() {
        if (thrown_) {
            std::rethrow_exception(std::exchange(thrown_, nullptr));
        }
    }

  private:
    pf_pool *pool_;
    std::function<void(const Event &)> function_;
    std::exception_ptr thrown_;
};

/// The library does not free a pool in its own callback, which would come back to what is gone.
inline void free_pool(pf_pool *pool) noexcept {
    if (pf_pool_free(pool) != nullptr) {
        std::fputs("prefork: a pool is destroyed in its own callback\n", stderr);
        std::abort();
    }
}

} // namespace detail

/// The range of Pool::events() and Pool::pending(). It must not outlive the pool, and each event
/// comes once, whatever iterator gets it.
class Events {
  public:
    /// Gets the next event when it is incremented.
    class Iterator {
      public:
        /// @cond
        using iterator_category = std::input_iterator_tag;
        using value_type = Event;
        using difference_type = std::ptrdiff_t;
        using pointer = const Event *;
        using reference = const Event &;
        /// @endcond

        /// The end.
        Iterator() = default;

        /// @cond
        reference operator*() const { return *event_; }
        pointer operator->() const { return &*event_; }
        Iterator &operator++() {
            next();
            return *this;
        }
        Iterator operator++(int) {
            Iterator old = *this;
            next();
            return old;
        }
        friend bool operator==(const Iterator &left, const Iterator &right) noexcept {
            return left.event_.has_value() == right.event_.has_value();
        }
        friend bool operator!=(const Iterator &left, const Iterator &right) noexcept {
            return !(left == right);
        }
        /// @endcond

      private:
        friend class Events;

        Iterator(pf_pool *pool, detail::Callback *callback, bool waits, std::error_code *error)
            : pool_(pool), callback_(callback), waits_(waits), error_(error) {
            next();
        }

        void next() {
            event_.reset();
            for (;;) {
                const pf_event *event = nullptr;
                if (pf_pool_next_event(pool_, &event) > 0) {
                    event_.emplace(event);
                    return;
                }
                if (!waits_) {
                    return finish();
                }
                // What the pool ends with comes after its last event.
                detail::flush_streams();
                result_ = pf_pool_dispatch(pool_, -1);
                waits_ = result_ > 0;
                if (callback_ != nullptr) {
                    callback_->rethrow();
                }
            }
        }

        void finish() const {
            if (error_ != nullptr) {
                *error_ = error_of(result_);
            } else if (result_ < 0) {
                detail::fail(error_of(result_), "Pool::events");
            }
        }

        pf_pool *pool_ = nullptr;
        detail::Callback *callback_ = nullptr;
        bool waits_ = false;
        int result_ = 0;
        std::error_code *error_ = nullptr;
        std::optional<Event> event_;
    };

    /// Gets the first event, and waits for it if the range does.
    Iterator begin() const { return {pool_, callback_, waits_, error_}; }
    /// After the last event.
    Iterator end() const noexcept { return {}; }

  private:
    friend class Pool;

    Events(pf_pool *pool, detail::Callback *callback, bool waits, std::error_code *error)
        : pool_(pool), callback_(callback), waits_(waits), error_(error) {}

    pf_pool *pool_;
    detail::Callback *callback_;
    bool waits_;
    std::error_code *error_;
};

} // namespace prefork

#if defined(__cpp_lib_ranges)
template <>
inline constexpr bool std::ranges::enable_view<prefork::Events> = true;
#endif

#endif
