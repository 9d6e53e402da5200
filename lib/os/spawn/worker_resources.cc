// SPDX-License-Identifier: MIT
#include "os/spawn/worker_resources.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

namespace prefork::os {

namespace {

// systemd's rule.
bool is_name(const char *name) {
    constexpr size_t length_max = 255;
    size_t length = 0;
    for (; name[length] != '\0'; length++) {
        if (name[length] < ' ' || name[length] == ':' || name[length] == '\177') {
            return false;
        }
    }
    return length > 0 && length <= length_max;
}

} // namespace

void WorkerResources::set_pool_name(const char *name) {
    base::Text(pool_name_, sizeof(pool_name_)).add(name);
}

int WorkerResources::add(const char *name, int descriptor) {
    if (!is_name(name)) {
        return -EINVAL;
    }
    BorrowedFd fd;
    if (!fd.borrow(descriptor)) {
        return -EBADF;
    }
    if (find(name) >= 0) {
        return -EEXIST;
    }
    if (count_ == descriptors_max) {
        return -ENOSPC;
    }
    const size_t size = strlen(name) + 1;
    if (names_length_ + size > names_max) {
        return -E2BIG;
    }
    if (!entries_.grow(count_ + 1) || !names_.grow(names_length_ + size)) {
        return -ENOMEM;
    }
    memcpy(&names_[names_length_], name, size);
    entries_[count_] = Entry{fd, names_length_};
    count_ += 1;
    names_length_ += static_cast<uint32_t>(size);
    return 0;
}

int WorkerResources::find(const char *name) const {
    for (uint32_t index = 0; index < count_; index++) {
        if (strcmp(this->name(index), name) == 0) {
            return fd(index).get();
        }
    }
    return -ENOENT;
}

} // namespace prefork::os
