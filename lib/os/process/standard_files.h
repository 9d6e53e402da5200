// Which of the descriptors 0 to 2 are standard files, and not files of the program that have come
// by these numbers because the process was started without one.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>

namespace prefork::os {

// When the library is loaded: before the program opens anything, unless it loads the library by
// itself later.
void note_standard_files();

// Whether it was open when the library was loaded.
bool was_open_at_load(int descriptor);

// Whether it was open when the library was loaded, and is the same file now, or one that the host
// has put in its place. A file that is close-on-exec is none: it has the number by chance, because
// the host had closed it.
bool is_standard_file(int descriptor);
// The same for a result of fstat(2).
bool is_standard_file(int descriptor, const struct stat &status);

// Writes what stdio has in its buffers, so that no forked child writes it again.
void flush_stdio();

// Flushes standard output and error, each unless another thread holds it. For a process with other
// threads: one of them may hold a stream while it reads.
void flush_standard_output();

} // namespace prefork::os
