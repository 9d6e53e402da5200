// The file of a UNIX socket.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/un.h>

#include "os/fd/file_place.h"

namespace prefork::os {

class SocketFile {
  public:
    explicit SocketFile(const sockaddr_un &address) : address_(address) {}
    SocketFile(const SocketFile &) = delete;
    SocketFile &operator=(const SocketFile &) = delete;

    // Opens the directory. Returns 0, or a negative errno, among them -EADDRINUSE and -EEXIST:
    // there is a socket in use, or another file.
    [[nodiscard]] int open();

    // Comes by the right to bind, which one process has at a time. Returns 0, -EADDRINUSE if
    // another process is just binding, or another negative errno.
    [[nodiscard]] int lock();

    // Binds a socket, whose own mode becomes that of the file, and replaces a file that nobody
    // listens on.
    [[nodiscard]] int bind_socket(int descriptor) const;

    // Removes the socket that was bound.
    void remove() const;

  private:
    [[nodiscard]] int find(const sockaddr_un &address, const char *name) const;
    [[nodiscard]] int remove_stale() const;

    const sockaddr_un &address_;
    FilePlace place_;
    PathLock lock_;
};

// Binds a socket as if the umask of the process were 0, which it is not at any moment for other
// threads. Returns 0 or a negative errno.
[[nodiscard]] int bind_with_own_mode(int descriptor, const sockaddr_un &address);

} // namespace prefork::os
