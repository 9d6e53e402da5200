// The callback of pf_set_event_callback, for pools without their own.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "runtime/event.h"

namespace prefork::api {

struct EventCallback {
    runtime::EventFunction function;
    void *user;
};

extern EventCallback event_callback;

} // namespace prefork::api
