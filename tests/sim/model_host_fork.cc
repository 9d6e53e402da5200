// Workers that the host forks: what it is asked for, and what its answers must lead to.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>

#include "model.h"
#include "violation.h"

namespace sim {

// ---- Requests -------------------------------------------------------------------------------

// All that may be started are asked for at once.
void Model::request_forks() {
    while (startable() > 0) {
        if (queue_.empty()) {
            request_spare();
            continue;
        }
        const Waiting first = queue_.front();
        queue_.erase(queue_.begin());
        request(first);
    }
}

void Model::request(const Waiting &waiting) {
    Slot &slot = table_[waiting.slot];
    require(waiting.slot < slots_, "start", "in a slot that was given up");
    require(!slot.asked && slot.result_until == never, "asked-once", "it is asked for already");
    require(slot.present < 0 || slot.second < 0, "one-worker", "a third process in a slot");
    require(slot.present < 0 || slot.pending == Pending::replacement, "one-worker",
            "a second process in a slot that is not being replaced");
    slot.underway = true;
    slot.asked = true;
    underway_ += 1;
    core::Event event =
        event_of(EventType::fork_wanted, Level::information, static_cast<int>(waiting.slot));
    event.reason = slot.why;
    tell(event);
    events_.back().key = waiting.key;
}

// Of several slots that became due together any may be asked for first.
void Model::swap_tied_request(const core::Event &event) {
    Told &first = events_[first_event_];
    if (first.event.type != EventType::fork_wanted || first.event.task_id == event.task_id) {
        return;
    }
    for (size_t index = first_event_; index < events_.size(); index++) {
        if (events_[index].key == first.key && events_[index].event.task_id == event.task_id) {
            std::swap(events_[index].event.task_id, first.event.task_id);
            std::swap(events_[index].event.reason, first.event.reason);
            return;
        }
    }
    for (Waiting &waiting : queue_) {
        if (waiting.key == first.key && static_cast<int>(waiting.slot) == event.task_id) {
            Slot &taken = table_[static_cast<size_t>(first.event.task_id)];
            std::swap(taken.underway, table_[waiting.slot].underway);
            std::swap(taken.asked, table_[waiting.slot].asked);
            waiting.slot = static_cast<uint32_t>(first.event.task_id);
            first.event.task_id = event.task_id;
            first.event.reason = table_[static_cast<size_t>(event.task_id)].why;
            return;
        }
    }
}

// The host has heard of it, and has 10 s from now on.
void Model::pop_request(uint32_t number) {
    if (number == spare_slot) {
        pop_spare_request();
        return;
    }
    Slot &slot = table_[number];
    require(slot.asked, "request", "of a slot for which nothing is wanted");
    slot.asked = false;
    slot.result_until = world.clock + 10 * second;
    deadline_known_ = false;
}

void Model::pop_told() {
    first_event_ += 1;
    if (first_event_ == events_.size()) {
        events_.clear();
        first_event_ = 0;
    }
    if (resize_untold_) {
        tell_resized();
    }
}

// There was no pipe for the child: the host does not hear of it.
void Model::request_failed(int32_t task_id, int32_t error) {
    settle();
    require(has_events(), "request", "nobody is wanted");
    core::Event event;
    event.task_id = task_id;
    swap_tied_request(event);
    const core::Event &wanted = events_[first_event_].event;
    require(wanted.type == EventType::fork_wanted && wanted.task_id == task_id, "request",
            "not the one whose turn it is");
    pop_told();
    pop_request(static_cast<uint32_t>(task_id));
    start_failed(static_cast<uint32_t>(task_id), error);
}

// The host has not heard of it, and never will.
void Model::withdraw_request(uint32_t number) {
    Slot &slot = table_[number];
    const auto is_it = [number](const Told &told) {
        return told.event.type == EventType::fork_wanted &&
               told.event.task_id == static_cast<int32_t>(number);
    };
    const auto first = events_.begin() + static_cast<ptrdiff_t>(first_event_);
    events_.erase(std::find_if(first, events_.end(), is_it));
    slot.asked = false;
    slot.underway = false;
    underway_ -= 1;
}

// ---- Answers --------------------------------------------------------------------------------

uint32_t Model::pending_fork(uint32_t choice) const {
    const auto count = static_cast<uint32_t>(table_.size());
    if (choice % 4 == 1 && spare_start_.result_until != never) {
        return spare_slot;
    }
    for (uint32_t offset = 0; choice % 8 != 0 && offset < count; offset++) {
        const uint32_t slot = (choice / 8 + offset) % count;
        if (table_[slot].result_until != never) {
            return slot;
        }
    }
    return choice / 8 % count;
}

// Before the call: says what it must return, unless the child cannot be watched.
int Model::answer(uint32_t number, int32_t pid, bool is_child, bool is_known) {
    settle();
    if (pid > 0 && !is_child) {
        return -ECHILD;
    }
    if (pid > 0 && is_known) {
        return -EALREADY;
    }
    if (result_until_of(number) == never) {
        unwanted_ = pid > 0 ? pid : 0;
        return -ESRCH;
    }
    if (pid < 0) {
        start_failed(number, pid);
    }
    return 0;
}

} // namespace sim
