// The callback of pf_fork_processes.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "runtime/event.h"

namespace prefork::api {

struct EventCallback {
    runtime::EventFunction function; // nullptr: the default
    void *user;
};
extern EventCallback event_callback;

} // namespace prefork::api
