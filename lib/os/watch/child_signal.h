// Hearing of ended children by SIGCHLD, beside whatever handler the host has.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::os {

// How to find out whether other copies of the library, with handlers of their own, are in this
// process. Async-signal-safe.
void look_for_copies(bool (*function)());

// Installs a handler that wakes all pools and then does what the host's handler would do. Calls
// are counted. While statuses are kept, the kernel reaps no child: if the host has it reap its
// children, the handler reaps them instead, except workers.
void hold_child_handler(bool keeps_statuses);
void release_child_handler(bool keeps_statuses);

// Installs it again, with the host's new handler behind it, if the host has replaced it.
void check_child_handler();

// This thread is not within the handler. If a handler of the host has left it by a jump, the next
// signal does not count as one within it.
void forget_abandoned_visit();

// Whether the host ignores SIGCHLD, behind whatever handler.
bool host_ignores_children();

// Whether statuses are kept of children that the kernel would reap for the host.
bool keeps_for_host();

// In a new worker: the host's disposition.
void restore_child_handler();

} // namespace prefork::os
