// SPDX-License-Identifier: MIT
#include "os/net/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/process/random.h"

namespace prefork::os {

namespace {

constexpr int bind_attempts_max = 16;

// Gives it a name of chance in the same directory, as long as there is room for it.
const char *rename_by_chance(sockaddr_un *address) {
    constexpr size_t length_max = 8;
    char *slash = strrchr(address->sun_path, '/');
    char *name = slash == nullptr ? address->sun_path : slash + 1;
    const char *end = address->sun_path + sizeof(address->sun_path) - 1;
    uint64_t chance = random_seed();
    size_t length = 0;
    while (length < length_max && name + length < end) {
        name[length++] = static_cast<char>('a' + chance % 16);
        chance /= 16;
    }
    name[length] = '\0';
    return name;
}

// Sets ret_error to that of a connection, 0 for none. Returns a negative errno if it cannot be
// tried.
int probe(int type, const sockaddr_un &address, int *ret_error) {
    Descriptor socket;
    if (int r = socket.adopt(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); r < 0) {
        return r;
    }
    const void *generic = &address;
    const int result =
        connect(socket.get(), static_cast<const sockaddr *>(generic), sizeof(address));
    *ret_error = result == 0 ? 0 : errno;
    return 0;
}

// Where Linux names a socket of another type by EPROTOTYPE, other kernels refuse it as they refuse
// one without a listener. Returns 1 if nobody listens, or as find().
int ask_other_types(const sockaddr_un &address) {
    constexpr int types[] = {SOCK_SEQPACKET, SOCK_DGRAM};
    for (const int type : types) {
        int error = 0;
        if (int r = probe(type, address, &error); r < 0) {
            return r;
        }
        if (error == 0) {
            return -EADDRINUSE;
        }
    }
    return 1;
}

// Takes the place of a file of our own, which nobody else can have put there.
int move_to_reserved_name(int directory, const char *from, const char *to) {
    const int reserved =
        openat(directory, to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IWUSR);
    if (reserved < 0) {
        return -errno;
    }
    close(reserved);
    if (renameat(directory, from, directory, to) == 0) {
        return 0;
    }
    const int error = -errno;
    unlinkat(directory, to, 0);
    return error;
}

// By a second name: that a name is taken is found out in one step, as by a rename. The file system
// may have no such names, and the kernel may protect the files of other users from them.
int move_by_link(int directory, const char *from, const char *to) {
    if (linkat(directory, from, directory, to, 0) == 0) {
        return unlinkat(directory, from, 0) == 0 ? 0 : -errno;
    }
    return errno == EEXIST ? -errno : move_to_reserved_name(directory, from, to);
}

// Never takes the place of another file. The kernel or the file system may not know the call that
// promises this, or a filter forbid it.
int move_file(int directory, const char *from, const char *to,
              int (*move_otherwise)(int directory, const char *from, const char *to)) {
    if (syscall(SYS_renameat2, directory, from, directory, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno == ENOENT || errno == EEXIST) {
        return -errno;
    }
    return move_otherwise(directory, from, to);
}

} // namespace

int SocketFile::open() {
    if (int r = place_.open(address_.sun_path); r < 0) {
        return r;
    }
    // Before anything is made in the directory, so that its error describes what is wrong with the
    // path.
    const int found = find(address_, place_.name());
    return found < 0 ? found : 0;
}

// Returns 1 if there is a socket that nobody listens on, 0 if there is nothing, -EADDRINUSE if
// somebody listens, -EEXIST for another kind of file, or what keeps us from knowing.
int SocketFile::find(const sockaddr_un &address, const char *name) const {
    struct stat status {};
    if (int r = place_.look(name, &status); r < 0) {
        return r == -ENOENT ? 0 : r;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return -EEXIST;
    }
    int error = 0;
    if (int r = probe(SOCK_STREAM, address, &error); r < 0) {
        return r;
    }
    switch (error) {
    case ECONNREFUSED:
        return ask_other_types(address);
    case ENOENT:
        return 0;
    case EACCES:
        return -EACCES;
    default: // among them EAGAIN, its queue is full, and EPROTOTYPE, it is not for connections
        return -EADDRINUSE;
    }
}

// Returns 0 if the path may be free now, or why it is not.
int SocketFile::remove_stale() const {
    const int directory = place_.directory();
    sockaddr_un aside = address_;
    const char *name = rename_by_chance(&aside);
    const int moved = move_file(directory, place_.name(), name, move_to_reserved_name);
    if (moved < 0) {
        return moved == -ENOENT || moved == -EEXIST ? 0 : moved;
    }
    // What has been moved may be what another process has put there since we looked.
    const int found = find(aside, name);
    if (found == 1) {
        return unlinkat(directory, name, 0) == 0 ? 0 : -errno;
    }
    // If there is something else by now, nothing more can be done.
    (void)move_file(directory, name, place_.name(), move_by_link);
    return found;
}

int SocketFile::lock() {
    const int result = lock_.acquire(place_, ".bind-lock");
    return result == -EWOULDBLOCK ? -EADDRINUSE : result;
}

int SocketFile::bind_socket(int descriptor) const {
    for (int attempt = 0; attempt < bind_attempts_max; attempt++) {
        int found = find(address_, place_.name());
        if (found == 1) {
            found = remove_stale();
        }
        if (found < 0) {
            return found;
        }
        const int bound = bind_with_own_mode(descriptor, address_);
        if (bound != -EADDRINUSE) {
            return bound;
        }
    }
    return -EADDRINUSE;
}

void SocketFile::remove() const {
    struct stat status {};
    if (place_.look(place_.name(), &status) == 0 && S_ISSOCK(status.st_mode)) {
        place_.remove(place_.name());
    }
}

} // namespace prefork::os
