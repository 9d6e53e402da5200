// Waiting for descriptors also where the system refuses poll.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <poll.h>

namespace prefork::os {

// As poll(2). Where that is refused it sleeps for a moment and returns 0, without the events, so
// that a caller that looks after each wait neither misses anything nor uses the processor.
int poll_or_sleep(pollfd *descriptors, nfds_t count, int timeout_ms);

} // namespace prefork::os
