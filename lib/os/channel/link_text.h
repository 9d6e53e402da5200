// The link of a worker by exec, as a text in its environment.
//
// SPDX-License-Identifier: MIT
//
// PID:PIDFD:LIVENESS:UP:DOWN:WORKER:LIFE:SIGNAL:INTERVAL:FLAGS:INODE:TOKEN, what a struct
// WorkerLink holds. -1 stands for a descriptor that there is none of, INTERVAL is in microseconds,
// FLAGS has 1 for a link that is awaited, 2 for one that announces the exit, and 4 for one whose
// DOWN is for the takeover of a slot alone. INODE is that of
// UP: a copy of the library that is loaded late may find another file there. It and TOKEN are
// hexadecimal.
#pragma once

#include "base/text.h"
#include "os/channel/worker_link.h"

namespace prefork::os {

void write_link(const WorkerLink &link, base::Text *text);

// Returns false, and leaves the link as it was, if the text is anything else.
bool read_link(const char *text, WorkerLink *ret_link);

} // namespace prefork::os
