// The threads of this process.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::os {

// Whether this process has more than one thread that runs its code, as the kernel sees it at this
// moment, or may have: true where the kernel cannot be asked, unless libc knows that there never
// was another one. The kernel's own threads for io_uring hold no lock of the process and do not
// count.
bool has_threads();

// The same, but without those that have been joined and are about to leave.
bool has_lasting_threads();

bool is_main_thread();

// Lets other threads and processes run first.
void yield_cpu();

} // namespace prefork::os
