// An event as the host sees it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "core/event.h"

// Named as in prefork.h, where it is opaque.
struct pf_event {
    static constexpr int message_max = 192;

    prefork::core::Event value;
    // Formatted when it is asked for: not every host wants it.
    mutable bool has_message;
    mutable char message[message_max];
};

namespace prefork::runtime {

using EventFunction = void (*)(const pf_event *event, void *user);

inline void set_event(const core::Event &value, pf_event *ret_event) {
    ret_event->value = value;
    ret_event->has_message = false;
}

const char *message_of(const pf_event &event);

// The default callback: warnings and worse to stderr.
void report_to_stderr(const pf_event *event, void *user);

// The same for a worker that a pool had to leave at its end; 0: it was sent SIGKILL.
void report_left(int32_t task_id, int32_t pid, int error);

} // namespace prefork::runtime
