// Events that wait for the host, bounded without ever dropping one.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/ring.h"
#include "core/event.h"
#include "core/limits.h"

namespace prefork::core {

// A worker is started only after room for every event of its life has been reserved. So there is
// always room to report an end, and stopping a pool never waits for the host.
class EventQueue {
  public:
    [[nodiscard]] bool grow(uint32_t workers, uint32_t spares) {
        return events_.grow(size_t{workers} * events_per_life + size_t{spares} * events_per_spare +
                            events_of_pool + events_extra);
    }

    [[nodiscard]] bool has_room_for_life() const {
        return events_.room() >= reserved_ + events_per_life + events_of_pool;
    }

    void reserve_life() { reserved_ += events_per_life; }
    void release_life() { reserved_ -= events_per_life; }

    // A spare that takes a slot leaves it the room for the life of a worker.
    [[nodiscard]] bool has_room_for_spare() const {
        return events_.room() >= reserved_ + events_per_spare + events_of_pool;
    }
    void reserve_spare() { reserved_ += events_per_spare; }
    void release_spare() { reserved_ -= events_per_spare; }
    void release_start_of_spare() { reserved_ -= events_per_spare - events_per_life; }

    // Whether an optional event can be queued without using reserved room.
    [[nodiscard]] bool has_room_for_extra() const {
        return events_.room() > reserved_ + events_of_pool;
    }

    void push(const Event &event) { // room was reserved
        newest_ = event.time;
        (void)events_.push(event);
    }

    // The newest event for which the predicate holds; nullptr: none.
    template <typename Predicate>
    Event *find_newest(Predicate is_wanted) {
        return events_.find_newest(is_wanted);
    }

    // The time of the event that was pushed last.
    [[nodiscard]] Instant newest() const { return newest_; }

    [[nodiscard]] bool empty() const { return events_.empty(); }
    Event pop() { return events_.pop(); }

    template <typename Predicate>
    void remove_if(Predicate is_unwanted) {
        events_.remove_if(is_unwanted);
    }

  private:
    base::Ring<Event> events_;
    size_t reserved_ = 0;
    Instant newest_ = 0;
};

} // namespace prefork::core
