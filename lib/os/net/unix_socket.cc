// A socket with a path: the file of one that nobody listens on is replaced, nothing else is.
//
// The new socket is bound to the path itself and not renamed into its place, because the name that
// it is bound to is the one that getsockname() and the tools of the system show for ever. So the
// stale file has to go first. It is moved aside, looked at where nobody else can have put something
// in its place, and only then removed.
//
// Between bind and listen a socket looks stale to others. A lock on a file beside the path keeps
// those who bind by this library apart; the file is there no longer than that takes.
//
// SPDX-License-Identifier: MIT
#include "os/net/sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/fd/descriptor.h"
#include "os/net/socket_file.h"

namespace prefork::os {

namespace {

int listen_at(int descriptor, const sockaddr_un &address, int backlog) {
    SocketFile file(address);
    if (int r = file.open(); r < 0) {
        return r;
    }
    if (int r = file.lock(); r < 0) {
        return r;
    }
    if (int r = file.bind_socket(descriptor); r < 0) {
        return r;
    }
    if (listen(descriptor, backlog) == 0) {
        return 0;
    }
    const int error = -errno;
    file.remove();
    return error;
}

} // namespace

int bind_unix_socket(const char *path, uint32_t mode, int backlog) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const size_t length = strlen(path);
    if (length >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, length);
    const SocketKey key{path, 0, AF_UNIX, 0};
    int descriptor = -1;
    if (int r = find_handed_on(key, {&descriptor, 1}); r != 0) {
        return r < 0 ? r : descriptor;
    }
    descriptor = above_stdio(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (descriptor < 0) {
        return descriptor;
    }
    // The kernel creates the file with the mode of the socket, so that it never has more
    // permissions than it should.
    int result = fchmod(descriptor, mode) == 0 ? 0 : -errno;
    if (result == 0) {
        result = note_bound_sockets(key, {&descriptor, 1});
    }
    if (result == 0) {
        result = listen_at(descriptor, address, backlog);
    }
    if (result == 0) {
        return descriptor;
    }
    close(descriptor);
    return result;
}

} // namespace prefork::os
