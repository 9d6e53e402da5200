// Hearing of ended children by SIGCHLD, beside whatever handler the host has.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

// Installs a handler that wakes all pools and then does what the host's handler would do. Calls
// are counted.
void hold_child_handler();
void release_child_handler();

// Installs it again, with the host's new handler behind it, if the host has replaced it.
void check_child_handler();

// Whether the host ignores SIGCHLD, behind whatever handler.
bool host_ignores_children();

// How many have come for which the host has no handler.
uint32_t child_signals();

// In a new worker: the host's disposition.
void restore_child_handler();

} // namespace prefork::os
