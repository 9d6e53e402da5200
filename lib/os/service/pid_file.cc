// The file that a reader finds under the name is complete and locked from its first moment: it is
// made under another name and renamed. A process that may only read it can lock it for reading, but
// never the new one. What was there before is looked at and not written to, for it may be a file of
// somebody else. A second locked file keeps those apart who do this at the same time.
//
// SPDX-License-Identifier: MIT
#include "os/service/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "os/fd/file_place.h"
#include "os/fd/pipe_write.h"
#include "os/process/random.h"

namespace prefork::os {

namespace {

constexpr int write_attempts_max = 16;
constexpr timespec pause = {0, 10'000'000};
constexpr int pauses_max = 100;
constexpr int open_flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

// Whether it is a file that this user has made for this purpose, as far as can be known.
int check(const struct stat &status) {
    if (S_ISLNK(status.st_mode)) {
        return -ELOOP;
    }
    if (S_ISDIR(status.st_mode)) {
        return -EISDIR;
    }
    if (!S_ISREG(status.st_mode) || status.st_nlink > 1) {
        return -EINVAL;
    }
    return status.st_uid == geteuid() ? 0 : -EPERM;
}

// Returns 1 if there is a file that may be taken over, 0 if there is none, or a negative errno.
int find(const FilePlace &place) {
    struct stat status {};
    int r = place.look(place.name(), &status);
    r = r == 0 ? check(status) : r;
    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

// Opens what find() has found. Returns 0, -ENOENT if it is not there any more, or a negative errno.
int open_found(const FilePlace &place, int mode, Descriptor *ret_file) {
    struct stat status {};
    if (int r = ret_file->adopt(openat(place.directory(), place.name(), mode | open_flags));
        r < 0) {
        return r;
    }
    if (fstat(ret_file->get(), &status) != 0) {
        return -errno;
    }
    return status.st_nlink == 0 ? -ENOENT : check(status);
}

// A lock for writing is that of a daemon. To have one for reading nobody needs more than the right
// to read the file. Returns 0 or -EEXIST.
int check_owner(const Descriptor &file) {
    struct flock whole {};
    whole.l_type = F_RDLCK;
    if (fcntl(file.get(), F_GETLK, &whole) < 0) {
        return -errno;
    }
    return whole.l_type == F_WRLCK ? -EEXIST : 0;
}

// Returns 0, -EAGAIN if another process has a lock of any kind, or another negative errno.
int lock_file(const Descriptor &file) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    if (fcntl(file.get(), F_SETLK, &whole) < 0) {
        return errno == EACCES ? -EAGAIN : -errno;
    }
    return 0;
}

int write_pid(const Descriptor &file) {
    char line[32];
    base::Text text(line, sizeof(line));
    text.add(int64_t{getpid()}).add("\n");
    const ssize_t written = write_without_sigpipe(file.get(), line, text.length());
    if (written < 0) {
        return static_cast<int>(written);
    }
    // A file system that is nearly full takes the beginning.
    if (written != static_cast<ssize_t>(text.length())) {
        return -ENOSPC;
    }
    return ftruncate(file.get(), written) == 0 ? 0 : -errno;
}

// Makes a file that is not there yet, locked and written. Returns 0 or a negative errno, and there
// is no file.
int make_file(const FilePlace &place, const char *name, Descriptor *ret_file) {
    constexpr mode_t mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH;
    int r = ret_file->adopt(
        openat(place.directory(), name, O_RDWR | O_CREAT | O_EXCL | open_flags, mode));
    if (r < 0) {
        return r;
    }
    r = lock_file(*ret_file);
    r = r == 0 ? write_pid(*ret_file) : r;
    if (r < 0) {
        place.remove(name);
    }
    return r;
}

int make_new(const FilePlace &place, Descriptor *ret_file) {
    char name[32];
    int r = -EAGAIN;
    for (int attempt = 0; attempt < write_attempts_max && (r == -EAGAIN || r == -EEXIST);
         attempt++) {
        base::Text(name, sizeof(name))
            .add(".pid-")
            .add(int64_t{static_cast<uint32_t>(random_seed())});
        r = make_file(place, name, ret_file);
    }
    if (r == 0 && renameat(place.directory(), name, place.directory(), place.name()) != 0) {
        r = -errno;
        place.remove(name);
    }
    return r == -EEXIST ? -EAGAIN : r;
}

// Where the directory may not be changed, but somebody has made a file there for us.
int write_in_place(const FilePlace &place, Descriptor *ret_file) {
    if (int r = open_found(place, O_RDWR, ret_file); r < 0) {
        return r;
    }
    for (int pauses = 0;; pauses++) {
        const int locked = lock_file(*ret_file);
        if (locked == 0) {
            return write_pid(*ret_file);
        }
        const int owned = locked == -EAGAIN ? check_owner(*ret_file) : locked;
        if (owned < 0 || pauses == pauses_max) {
            return owned < 0 ? owned : -EAGAIN;
        }
        nanosleep(&pause, nullptr);
    }
}

// The others are done in a moment.
int wait_for_turn(const FilePlace &place, PathLock *lock) {
    for (int pauses = 0;; pauses++) {
        const int r = lock->acquire(place, ".start-lock");
        if (r != -EWOULDBLOCK || pauses == pauses_max) {
            return r == -EWOULDBLOCK ? -EEXIST : r;
        }
        nanosleep(&pause, nullptr);
    }
}

int check_living(const FilePlace &place) {
    Descriptor file;
    const int r = open_found(place, O_RDONLY, &file);
    return r == 0 ? check_owner(file) : r == -ENOENT ? 0 : r;
}

int create_at(const FilePlace &place, Descriptor *ret_file) {
    // Before anything is made in the directory.
    int found = find(place);
    if (found < 0) {
        return found;
    }
    PathLock lock;
    int made = wait_for_turn(place, &lock);
    if (made == 0) {
        found = find(place);
        const int living = found == 1 ? check_living(place) : found;
        if (living < 0) {
            return living;
        }
        made = make_new(place, ret_file);
    }
    const bool refused = made == -EACCES || made == -EPERM || made == -EROFS || made == -EBUSY;
    return found == 1 && refused ? write_in_place(place, ret_file) : made;
}

} // namespace

int create_pid_file(const char *path, BorrowedFd *ret_file) {
    const size_t length = strlen(path);
    FilePlace place;
    if (int r = place.open(path); r < 0) {
        return r;
    }
    if (path[length - 1] == '/') {
        return -EISDIR;
    }
    Descriptor file;
    if (int r = create_at(place, &file); r < 0) {
        return r;
    }
    if (!ret_file->borrow(file.get())) {
        const int error = -errno;
        (void)!ftruncate(file.get(), 0); // it names nobody
        place.remove(place.name());
        return error;
    }
    (void)file.release();
    return 0;
}

void remove_pid_file(const BorrowedFd &file) {
    // The host may have closed the descriptor, and have another file under its number.
    if (!file.is_still_open()) {
        return;
    }
    char link[32];
    char path[PATH_MAX] = "";
    base::Text(link, sizeof(link)).add("/proc/self/fd/").add(int64_t{file.get()});
    (void)!readlink(link, path, sizeof(path) - 1);
    FilePlace place;
    struct stat named {};
    const bool found = place.open(path) == 0 && place.look(place.name(), &named) == 0 &&
                       file.identity() == FdIdentity{named.st_dev, named.st_ino};
    // Where it cannot be removed, for lack of rights or behind another root, it names nobody.
    if (!found || unlinkat(place.directory(), place.name(), 0) < 0) {
        (void)!ftruncate(file.get(), 0);
    }
}

} // namespace prefork::os
