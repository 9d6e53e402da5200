// A socket with a path: the file of one that nobody listens on is replaced, nothing else is.
//
// The new socket is bound to the path itself and not renamed into its place, because the name that
// it is bound to is the one that getsockname() and the tools of the system tell for ever. So the
// stale file has to go first. It is moved aside, looked at where nobody else can have put something
// in its place, and only then removed.
//
// Between bind and listen a socket looks stale to others. A lock on a file beside the path keeps
// those who bind by this library apart; the file is there no longer than that takes.
//
// SPDX-License-Identifier: MIT
#include "os/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "os/descriptor.h"
#include "os/random.h"

namespace prefork::os {

namespace {

constexpr int attempts_max = 16;

int open_socket() {
    return above_stdio(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

const sockaddr *generic(const sockaddr_un &address) {
    return static_cast<const sockaddr *>(static_cast<const void *>(&address));
}

// Returns 1 if there is a socket that nobody listens on, 0 if there is nothing, -EADDRINUSE if
// somebody listens, -EEXIST for another kind of file, or what keeps us from knowing.
int look_at(const sockaddr_un &address) {
    struct stat status {};
    if (lstat(address.sun_path, &status) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return -EEXIST;
    }
    const int probe = open_socket();
    if (probe < 0) {
        return probe;
    }
    const int error = connect(probe, generic(address), sizeof(address)) == 0 ? 0 : errno;
    close(probe);
    switch (error) {
    case ECONNREFUSED:
        return 1;
    case ENOENT:
        return 0;
    case EACCES:
        return -error;
    default: // among them EAGAIN, its queue is full, and EPROTOTYPE, it is not for connections
        return -EADDRINUSE;
    }
}

// Never takes the place of another file, where the file system can promise that.
int move_file(const char *from, const char *to) {
    int flags = RENAME_NOREPLACE;
    while (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags) != 0) {
        if (errno != EINVAL || flags == 0) {
            return -errno;
        }
        flags = 0;
    }
    return 0;
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

// Returns 0 if the path may be free now, or why it is not.
int remove_stale(const sockaddr_un &address) {
    const sockaddr_un aside = beside(address);
    const int moved = move_file(address.sun_path, aside.sun_path);
    if (moved < 0) {
        return moved == -ENOENT || moved == -EEXIST ? 0 : moved;
    }
    // What has been moved may be what another process has put there since we looked.
    const int found = look_at(aside);
    if (found == 1) {
        return unlink(aside.sun_path) == 0 ? 0 : -errno;
    }
    move_file(aside.sun_path, address.sun_path); // nothing more can be done if this fails
    return found;
}

// The right to bind to a path, which one process has at a time.
class PathLock {
  public:
    explicit PathLock(const sockaddr_un &address) {
        base::Text(name_, sizeof(name_)).add(address.sun_path).add(suffix);
    }
    PathLock(const PathLock &) = delete;
    PathLock &operator=(const PathLock &) = delete;
    ~PathLock() {
        if (descriptor_ >= 0) {
            unlink(name_);
            close(descriptor_);
        }
    }

    // Returns 0, -EADDRINUSE if another process is just binding, or another negative errno.
    int take() {
        for (int attempt = 0; attempt < attempts_max; attempt++) {
            const int descriptor = above_stdio(open(
                name_, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR));
            if (descriptor < 0) {
                return descriptor;
            }
            if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
                const int error = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
                close(descriptor);
                return error;
            }
            // The one before us may have removed the file while we opened it.
            struct stat named {};
            struct stat held {};
            if (lstat(name_, &named) == 0 && fstat(descriptor, &held) == 0 &&
                named.st_ino == held.st_ino) {
                descriptor_ = descriptor;
                return 0;
            }
            close(descriptor);
        }
        return -EADDRINUSE;
    }

  private:
    static constexpr char suffix[] = ".bind-lock";

    char name_[sizeof(sockaddr_un::sun_path) + sizeof(suffix)];
    int descriptor_ = -1;
};

int bind_to(int descriptor, const sockaddr_un &address) {
    for (int attempt = 0; attempt < attempts_max; attempt++) {
        int found = look_at(address);
        if (found == 1) {
            found = remove_stale(address);
        }
        if (found < 0) {
            return found;
        }
        if (bind(descriptor, generic(address), sizeof(address)) == 0) {
            return 0;
        }
        if (errno != EADDRINUSE) {
            return -errno;
        }
    }
    return -EADDRINUSE;
}

int listen_at(int descriptor, const sockaddr_un &address, uint32_t mode, int backlog) {
    // Before anything is made in the directory, so that it tells what is wrong with the path.
    if (int r = look_at(address); r < 0) {
        return r;
    }
    PathLock lock(address);
    if (int r = lock.take(); r < 0) {
        return r;
    }
    if (int r = bind_to(descriptor, address); r < 0) {
        return r;
    }
    // The umask may have taken bits of the mode away, never added any.
    if (chmod(address.sun_path, mode) == 0 && listen(descriptor, backlog) == 0) {
        return 0;
    }
    const int error = -errno;
    unlink(address.sun_path);
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
    descriptor = open_socket();
    if (descriptor < 0) {
        return descriptor;
    }
    // The kernel makes the file with the mode of the socket less the umask, so that it is at no
    // time open to more than it shall be, and the umask of the whole process is left alone.
    int result = fchmod(descriptor, mode) == 0 ? 0 : -errno;
    if (result == 0) {
        result = note_bound_sockets(key, {&descriptor, 1});
    }
    if (result == 0) {
        result = listen_at(descriptor, address, mode, backlog);
    }
    if (result == 0) {
        return descriptor;
    }
    close(descriptor);
    return result;
}

} // namespace prefork::os
