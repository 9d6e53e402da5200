// SPDX-License-Identifier: MIT
#include "os/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "os/random.h"

namespace prefork::os {

namespace {

constexpr int attempts_max = 16;
constexpr char lock_suffix[] = ".bind-lock";

using LockName = char[sizeof(sockaddr_un::sun_path) + sizeof(lock_suffix)];

// The last part of the path. One that ends with a slash is the directory itself.
const char *name_of(const sockaddr_un &address) {
    const char *slash = strrchr(address.sun_path, '/');
    const char *name = slash == nullptr ? address.sun_path : slash + 1;
    return *name == '\0' ? "." : name;
}

const char *lock_name_of(const sockaddr_un &address, LockName &ret_name) {
    base::Text(ret_name, sizeof(ret_name)).add(name_of(address)).add(lock_suffix);
    return ret_name;
}

int place_of(const Descriptor &directory) {
    return directory.get() < 0 ? AT_FDCWD : directory.get();
}

// A name of chance in the same directory, as long as there is room for it.
sockaddr_un beside(const sockaddr_un &address) {
    constexpr size_t length_max = 8;
    sockaddr_un other = address;
    char *name = strrchr(other.sun_path, '/');
    name = name == nullptr ? other.sun_path : name + 1;
    uint64_t chance = random_seed();
    size_t length = 0;
    while (length < length_max && name + length < other.sun_path + sizeof(other.sun_path) - 1) {
        name[length++] = static_cast<char>('a' + chance % 16);
        chance /= 16;
    }
    name[length] = '\0';
    return other;
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

// By a second name: that a name is taken is found out in one step, as by a rename.
int move_by_link(int directory, const char *from, const char *to) {
    if (linkat(directory, from, directory, to, 0) == 0) {
        return unlinkat(directory, from, 0) == 0 ? 0 : -errno;
    }
    return -errno;
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

SocketFile::~SocketFile() {
    if (lock_.get() >= 0) {
        LockName name;
        unlinkat(place_of(directory_), lock_name_of(address_, name), 0);
    }
}

int SocketFile::open() {
    const char *slash = strrchr(address_.sun_path, '/');
    if (slash != nullptr) {
        char path[sizeof(address_.sun_path)];
        const auto length = static_cast<size_t>(slash - address_.sun_path);
        memcpy(path, address_.sun_path, length == 0 ? 1 : length);
        path[length == 0 ? 1 : length] = '\0';
        if (int r = directory_.take(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)); r < 0) {
            return r;
        }
    }
    // Before anything is made in the directory, so that it tells what is wrong with the path.
    const int found = find(address_);
    return found < 0 ? found : 0;
}

// Returns 1 if there is a socket that nobody listens on, 0 if there is nothing, -EADDRINUSE if
// somebody listens, -EEXIST for another kind of file, or what keeps us from knowing.
int SocketFile::find(const sockaddr_un &address) const {
    struct stat status {};
    if (fstatat(place_of(directory_), name_of(address), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return -EEXIST;
    }
    Descriptor probe;
    if (int r = probe.take(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); r < 0) {
        return r;
    }
    const void *generic = &address;
    if (connect(probe.get(), static_cast<const sockaddr *>(generic), sizeof(address)) == 0) {
        return -EADDRINUSE;
    }
    switch (errno) {
    case ECONNREFUSED:
        return 1;
    case ENOENT:
        return 0;
    case EACCES:
        return -errno;
    default: // among them EAGAIN, its queue is full, and EPROTOTYPE, it is not for connections
        return -EADDRINUSE;
    }
}

// Returns 0 if the path may be free now, or why it is not.
int SocketFile::remove_stale() const {
    const int directory = place_of(directory_);
    const char *name = name_of(address_);
    const sockaddr_un aside = beside(address_);
    const int moved = move_file(directory, name, name_of(aside), move_to_reserved_name);
    if (moved < 0) {
        return moved == -ENOENT || moved == -EEXIST ? 0 : moved;
    }
    // What has been moved may be what another process has put there since we looked.
    const int found = find(aside);
    if (found == 1) {
        return unlinkat(directory, name_of(aside), 0) == 0 ? 0 : -errno;
    }
    // If there is something else by now, nothing more can be done.
    (void)move_file(directory, name_of(aside), name, move_by_link);
    return found;
}

int SocketFile::lock() {
    LockName name;
    lock_name_of(address_, name);
    const int directory = place_of(directory_);
    for (int attempt = 0; attempt < attempts_max; attempt++) {
        Descriptor file;
        const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        int r = file.take(openat(directory, name, flags | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR));
        const bool is_ours = r == 0;
        if (r == -EEXIST) {
            r = file.take(openat(directory, name, flags));
        }
        if (r == -ENOENT && attempt + 1 < attempts_max) {
            continue; // removed in between, or the directory is gone
        }
        if (r < 0) {
            return r;
        }
        struct stat named {};
        struct stat held {};
        if (flock(file.get(), LOCK_EX | LOCK_NB) != 0 || fstat(file.get(), &held) != 0) {
            const int error = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
            if (is_ours && error != -EADDRINUSE) {
                unlinkat(directory, name, 0);
            }
            return error;
        }
        // The one before us may have removed the file while we opened it.
        if (fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            named.st_ino == held.st_ino && named.st_dev == held.st_dev) {
            lock_.adopt(file.release());
            return 0;
        }
    }
    return -EADDRINUSE;
}

int SocketFile::bind_socket(int descriptor) const {
    for (int attempt = 0; attempt < attempts_max; attempt++) {
        int found = find(address_);
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
    const int directory = place_of(directory_);
    if (fstatat(directory, name_of(address_), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISSOCK(status.st_mode)) {
        unlinkat(directory, name_of(address_), 0);
    }
}

} // namespace prefork::os
