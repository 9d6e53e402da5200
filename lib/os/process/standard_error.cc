// Writes to standard error without waiting for its reader.
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
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text.h"
#include "os/fd/descriptor.h"
#include "os/fd/pipe.h"
#include "os/fd/pipe_write.h"
#include "os/process/report.h"
#include "os/process/standard_files.h"

namespace prefork::os {

namespace {

std::atomic<uint32_t> lost_messages;
std::atomic<bool> line_is_cut; // the last write took only the beginning of a message

// The functions below return what write(2) would.

// Nothing better is left. Somebody else may take the room in between.
ssize_t write_if_ready(const char *text, size_t length) {
    pollfd file{STDERR_FILENO, POLLOUT, 0};
    if (poll(&file, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(STDERR_FILENO, text, length);
}

// By a pipe of our own, from which it is moved in one piece.
ssize_t splice_to_pipe(const char *text, size_t length) {
    // In packet mode a message stays apart from others.
    const int mode = fcntl(STDERR_FILENO, F_GETFL);
    int ends[2] = {-1, -1};
    if (mode < 0 || make_pipe(ends, O_NONBLOCK | (mode & O_DIRECT)) < 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    ssize_t count = -1;
    int error = EOPNOTSUPP;
    if (write(ends[1], text, length) == static_cast<ssize_t>(length)) {
        count = splice(ends[0], nullptr, STDERR_FILENO, nullptr, length, SPLICE_F_NONBLOCK);
        error = errno;
    }
    close(ends[0]);
    close(ends[1]);
    errno = error;
    return count;
}

ssize_t write_to_pipe(const char *text, size_t length) {
    ssize_t count = write_no_wait(STDERR_FILENO, text, length);
    if (count < 0 && is_refused(errno)) {
        count = splice_to_pipe(text, length);
        if (count < 0 && is_refused(errno)) {
            count = write_if_ready(text, length);
        }
    }
    return count;
}

// A terminal can be stopped, or have too little room. It is opened again, so that the write does
// not block.
ssize_t write_to_terminal(const char *text, size_t length) {
    const int terminal = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0) {
        return write_if_ready(text, length);
    }
    const ssize_t count = write(terminal, text, length);
    const int error = errno;
    close(terminal);
    errno = error;
    return count;
}

// No device raises a signal.
ssize_t write_to_device(dev_t device, const char *text, size_t length) {
    constexpr unsigned int memory = 1; // the major number of /dev/null and others that never wait
    if (major(device) == memory) {
        return write(STDERR_FILENO, text, length);
    }
    return isatty(STDERR_FILENO) == 1 ? write_to_terminal(text, length)
                                      : write_if_ready(text, length);
}

// Returns the number of bytes or a negative errno.
ssize_t write_at_once(const char *text, size_t length) {
    struct stat status {};
    if (fstat(STDERR_FILENO, &status) != 0 || !is_standard_file(STDERR_FILENO, status)) {
        return -EBADF;
    }
    if (S_ISCHR(status.st_mode)) {
        const ssize_t count = write_to_device(status.st_rdev, text, length);
        return count < 0 ? -errno : count;
    }
    if (S_ISSOCK(status.st_mode)) {
        const ssize_t count = send(STDERR_FILENO, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        return count < 0 ? -errno : count;
    }
    WriteSignalBlock block;
    if (block.error() != 0) {
        return block.error();
    }
    return block.result(S_ISFIFO(status.st_mode) ? write_to_pipe(text, length)
                                                 : write(STDERR_FILENO, text, length));
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
