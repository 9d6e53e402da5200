// Writing to standard error without waiting for whoever reads it.
//
// Its open file description is shared with other processes, so O_NONBLOCK is not ours to set. Each
// kind of file has a way of its own that does not block.
//
// SPDX-License-Identifier: MIT
#include <atomic>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/text.h"
#include "os/descriptor.h"
#include "os/pipe_write.h"
#include "os/report.h"
#include "os/standard_files.h"

namespace prefork::os {

namespace {

std::atomic<uint32_t> lost_messages;
std::atomic<bool> line_is_cut; // the last write took only the beginning of a message

// Nothing better is left. Somebody else may take the room in between.
ssize_t write_if_ready(WriteSignalBlock &block, const char *text, size_t length) {
    pollfd file{STDERR_FILENO, POLLOUT, 0};
    const int ready = poll(&file, 1, 0);
    if (ready <= 0 || (file.revents & POLLNVAL) != 0) {
        return -EAGAIN;
    }
    return block.result(write(STDERR_FILENO, text, length));
}

// Returns -EOPNOTSUPP where there is no such call for pipes: before Linux 6.4, and in filters.
ssize_t write_no_wait(WriteSignalBlock &block, const char *text, size_t length) {
#if defined(SYS_pwritev2) && defined(RWF_NOWAIT)
    constexpr long at_current_offset = -1;
    iovec part{const_cast<char *>(text), length};
    const ssize_t result = block.result(syscall(SYS_pwritev2, STDERR_FILENO, &part, 1L,
                                                at_current_offset, at_current_offset, RWF_NOWAIT));
    return result == -ENOSYS || result == -EPERM || result == -EINVAL ? -EOPNOTSUPP : result;
#else
    (void)block;
    (void)text;
    (void)length;
    return -EOPNOTSUPP;
#endif
}

// By a pipe of our own, from which it is moved in one piece. Returns -EOPNOTSUPP if there is none.
ssize_t splice_to_pipe(WriteSignalBlock &block, const char *text, size_t length) {
    // In packet mode a message stays apart from others.
    const int mode = fcntl(STDERR_FILENO, F_GETFL);
    int ends[2] = {-1, -1};
    if (mode < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK | (mode & O_DIRECT)) < 0) {
        return -EOPNOTSUPP;
    }
    ssize_t result = -EOPNOTSUPP;
    if (write(ends[1], text, length) == static_cast<ssize_t>(length)) {
        result = block.result(
            splice(ends[0], nullptr, STDERR_FILENO, nullptr, length, SPLICE_F_NONBLOCK));
    }
    close(ends[0]);
    close(ends[1]);
    return result == -ENOSYS || result == -EPERM || result == -EINVAL ? -EOPNOTSUPP : result;
}

ssize_t write_to_pipe(WriteSignalBlock &block, const char *text, size_t length) {
    ssize_t result = write_no_wait(block, text, length);
    if (result == -EOPNOTSUPP) {
        result = splice_to_pipe(block, text, length);
    }
    return result == -EOPNOTSUPP ? write_if_ready(block, text, length) : result;
}

// A terminal can be stopped, and have less room than it takes. It is opened anew for that.
ssize_t write_to_terminal(WriteSignalBlock &block, const char *text, size_t length) {
    const int terminal = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0) {
        return write_if_ready(block, text, length);
    }
    const ssize_t result = block.result(write(terminal, text, length));
    close(terminal);
    return result;
}

ssize_t write_at_once(const char *text, size_t length) {
    struct stat status {};
    if (!is_standard_file(STDERR_FILENO) || fstat(STDERR_FILENO, &status) != 0) {
        return -EBADF;
    }
    WriteSignalBlock block;
    if (block.error() != 0) {
        return block.error();
    }
    switch (status.st_mode & S_IFMT) {
    case S_IFSOCK:
        return block.result(send(STDERR_FILENO, text, length, MSG_DONTWAIT | MSG_NOSIGNAL));
    case S_IFIFO:
        return write_to_pipe(block, text, length);
    case S_IFCHR:
        return isatty(STDERR_FILENO) == 1 ? write_to_terminal(block, text, length)
                                          : write_if_ready(block, text, length);
    default:
        return write_if_ready(block, text, length);
    }
}

// Returns whether all of it is written.
bool write_message(const char *text, size_t length) {
    ssize_t written = 0;
    do {
        written = write_at_once(text, length);
    } while (written == -EINTR);
    if (written > 0) {
        line_is_cut.store(static_cast<size_t>(written) < length);
    }
    return written == static_cast<ssize_t>(length);
}

} // namespace

void write_to_stderr(const char *text, size_t length) {
    if (!was_open_at_load(STDERR_FILENO)) {
        return;
    }
    report_lost_messages();
    if (lost_messages.load() > 0 || !write_message(text, length)) {
        lost_messages.fetch_add(1);
    }
}

void report_lost_messages() {
    const uint32_t lost = lost_messages.exchange(0);
    if (lost == 0) {
        return;
    }
    char line[64];
    base::Text text(line, sizeof(line));
    text.add(line_is_cut.load() ? "\nprefork: " : "prefork: ").add(int64_t{lost});
    text.add(lost == 1 ? " message lost\n" : " messages lost\n");
    if (!write_message(line, text.length())) {
        lost_messages.fetch_add(lost);
    }
}

} // namespace prefork::os
