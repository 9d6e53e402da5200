// This program as it was started, noted when the library is loaded: later the host may have
// changed its title, and with it what /proc shows.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::os {

// Before other threads use the library.
void note_own_program();

// The absolute name that it was started with, whose links have not been followed; that of its file
// where this is not known, or where it runs with more rights than who started it. "": unknown.
const char *own_path();

// nullptr if they are not known.
char *const *own_arguments();

// The name that ps(1) shows, of the thread that loaded the library if that was the main one; "" if
// it is not known.
const char *own_process_name();
void set_process_name(const char *name);

} // namespace prefork::os
