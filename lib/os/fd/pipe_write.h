// Writing where the reader may be gone, or the file may grow no further.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

namespace prefork::os {

// Holds back, in this thread, the signals by which a write can end the process, and takes away what
// came of this write. One that was pending before stays pending. Async-signal-safe.
class WriteSignalBlock {
  public:
    WriteSignalBlock();
    ~WriteSignalBlock();
    WriteSignalBlock(const WriteSignalBlock &) = delete;
    WriteSignalBlock &operator=(const WriteSignalBlock &) = delete;

    // 0, or why the signals cannot be held back: then nothing must be written.
    [[nodiscard]] int error() const { return error_; }
    // Takes what a system call that writes returned. Returns that or the negative errno.
    ssize_t result(ssize_t count);

  private:
    sigset_t before_;
    sigset_t unexpected_; // those that were not pending before
    int error_ = 0;
    bool failed_ = false;
};

// Writes once, and raises neither SIGPIPE nor SIGXFSZ in this process. Returns what was written or
// a negative errno. Async-signal-safe.
ssize_t write_without_sigpipe(int descriptor, const void *data, size_t size);

// The same for a pipe, and never waits for room, whatever another process that shares the end has
// set: -EAGAIN. Async-signal-safe.
ssize_t write_to_shared_pipe(int descriptor, const void *data, size_t size);

// Writes without waiting where the kernel can do that: for pipes since Linux 6.4. Returns what
// write(2) would; with the errors of is_refused() it cannot.
ssize_t write_no_wait(int descriptor, const void *data, size_t size);
bool is_refused(int error);

} // namespace prefork::os
