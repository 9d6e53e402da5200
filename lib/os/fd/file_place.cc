// SPDX-License-Identifier: MIT
#include "os/fd/file_place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/text.h"

namespace prefork::os {

int FilePlace::open(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash == nullptr ? path : slash + 1;
    if (*path == '\0') {
        return -ENOENT;
    }
    if (strlen(name) > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    base::Text(name_, sizeof(name_)).add(*name == '\0' ? "." : name);
    if (slash == nullptr) {
        directory_.reset();
        return 0;
    }
    char parent[PATH_MAX];
    const size_t length = slash == path ? 1 : static_cast<size_t>(slash - path);
    if (length >= sizeof(parent)) {
        return -ENAMETOOLONG;
    }
    memcpy(parent, path, length);
    parent[length] = '\0';
    return directory_.adopt(::open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

int FilePlace::directory() const { return directory_.get() < 0 ? AT_FDCWD : directory_.get(); }

int FilePlace::look(const char *name, struct stat *ret_status) const {
    return fstatat(directory(), name, ret_status, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

void FilePlace::remove(const char *name) const { unlinkat(directory(), name, 0); }

PathLock::~PathLock() {
    if (file_.get() >= 0) {
        place_->remove(name_);
    }
}

int PathLock::acquire(const FilePlace &place, const char *suffix) {
    constexpr int attempts_max = 16;
    if (strlen(place.name()) + strlen(suffix) > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    base::Text(name_, sizeof(name_)).add(place.name()).add(suffix);
    place_ = &place;
    int result = -ENOENT;
    for (int attempt = 0; attempt < attempts_max && result == -ENOENT; attempt++) {
        result = try_once(place);
    }
    return result;
}

// Returns -ENOENT if the file was removed meanwhile by the one before, or the directory is gone.
int PathLock::try_once(const FilePlace &place) {
    constexpr int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    Descriptor file;
    int r =
        file.adopt(openat(place.directory(), name_, flags | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR));
    const bool is_ours = r == 0;
    if (r == -EEXIST) {
        r = file.adopt(openat(place.directory(), name_, flags));
    }
    if (r < 0) {
        return r;
    }
    struct stat named {};
    struct stat held {};
    if (flock(file.get(), LOCK_EX | LOCK_NB) != 0 || fstat(file.get(), &held) != 0) {
        const int error = -errno;
        if (is_ours && error != -EWOULDBLOCK) {
            place.remove(name_);
        }
        return error;
    }
    if (place.look(name_, &named) < 0 || named.st_ino != held.st_ino ||
        named.st_dev != held.st_dev) {
        return -ENOENT;
    }
    file_.attach(file.release());
    return 0;
}

} // namespace prefork::os
