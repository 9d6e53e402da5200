// SPDX-License-Identifier: MIT
#include "os/watch/child_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "base/number.h"
#include "base/text.h"
#include "os/fd/descriptor.h"
#include "os/fd/directory_entry.h"

namespace prefork::os {

namespace {

constexpr char own_threads[] = "/proc/self/task";
constexpr int32_t pid_max = 1 << 22; // of Linux; a larger number was not written by it

constexpr size_t name_offset = offsetof(DirectoryEntry, name);

ssize_t read_again(int descriptor, char *buffer, size_t size) {
    ssize_t length = 0;
    do {
        length = read(descriptor, buffer, size);
    } while (length < 0 && errno == EINTR);
    return length;
}

} // namespace

int32_t newest_pid() {
    Descriptor file;
    char text[128];
    if (file.adopt(::open("/proc/loadavg", O_RDONLY | O_CLOEXEC)) < 0) {
        return 0;
    }
    const ssize_t length = read_again(file.get(), text, sizeof(text) - 1);
    text[length > 0 ? length : 0] = '\0';
    const char *space = strrchr(text, ' ');
    const char *last_field = space == nullptr ? "" : space + 1;
    int32_t pid = 0;
    return base::parse_number(&last_field, 0, pid_max, &pid) ? pid : 0;
}

bool has_own_proc() {
    char own_pid[16];
    char in_proc[16] = "";
    base::Text(own_pid, sizeof(own_pid)).add(int64_t{getpid()});
    (void)!readlink("/proc/self", in_proc, sizeof(in_proc) - 1);
    return strcmp(own_pid, in_proc) == 0;
}

ChildList::~ChildList() { free(pids_); }

bool ChildList::add(int32_t pid) {
    if (count_ == capacity_) {
        const uint32_t larger = capacity_ == 0 ? 64 : 2 * capacity_;
        void *memory = realloc(pids_, larger * sizeof(int32_t));
        if (memory == nullptr) {
            return false;
        }
        pids_ = static_cast<int32_t *>(memory);
        capacity_ = larger;
    }
    pids_[count_++] = pid;
    return true;
}

bool ChildList::has(int32_t pid) const {
    uint32_t first = 0;
    uint32_t last = count_;
    while (first < last) {
        const uint32_t middle = first + (last - first) / 2;
        if (pids_[middle] == pid) {
            return true;
        }
        if (pids_[middle] < pid) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return false;
}

// The kernel keeps the children of each thread. One that ends meanwhile hands its own to another,
// which may have been read already: they are seen the next time.
bool ChildList::read() {
    count_ = 0;
    Descriptor directory;
    if (directory.adopt(::open(own_threads, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        return false;
    }
    alignas(DirectoryEntry) char buffer[2048];
    bool known = false;
    for (;;) {
        const long length = syscall(SYS_getdents64, directory.get(), &buffer[0], sizeof(buffer));
        if (length <= 0) {
            sort();
            return known && length == 0;
        }
        for (long position = 0; position < length;) {
            uint16_t entry_length = 0;
            const char *entry = &buffer[position];
            memcpy(&entry_length, entry + offsetof(DirectoryEntry, length), sizeof(entry_length));
            const char *name = entry + name_offset;
            position += entry_length;
            if (name[0] == '.') {
                continue;
            }
            if (read_thread(name)) {
                known = true;
            } else if (errno != ENOENT && errno != ESRCH) {
                return false;
            }
        }
    }
}

// Fails with errno; ENOENT for a thread that has ended, or a kernel without the file; EINVAL for
// what is no list of pids: another file system may be mounted there.
bool ChildList::read_thread(const char *thread) {
    char path[64];
    base::Text(path, sizeof(path)).add(own_threads).add("/").add(thread).add("/children");
    Descriptor file;
    if (const int r = file.adopt(::open(path, O_RDONLY | O_CLOEXEC)); r < 0) {
        errno = -r;
        return false;
    }
    char buffer[4096];
    int64_t pid = 0;
    for (;;) {
        const ssize_t length = read_again(file.get(), buffer, sizeof(buffer));
        if (length <= 0) {
            return length == 0;
        }
        for (ssize_t index = 0; index < length; index++) {
            if (buffer[index] >= '0' && buffer[index] <= '9') {
                pid = pid * 10 + (buffer[index] - '0');
                if (pid > INT32_MAX) {
                    errno = EINVAL;
                    return false;
                }
            } else if (pid > 0) {
                if (!add(static_cast<int32_t>(pid))) {
                    errno = ENOMEM;
                    return false;
                }
                pid = 0;
            }
        }
    }
}

// A new namespace has often no /proc of its own. Its pids are few, and each can be asked for.
bool ChildList::probe(int32_t first) {
    count_ = 0;
    const int32_t newest = newest_pid();
    for (int32_t pid = first; pid <= newest; pid++) {
        siginfo_t info{};
        if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            !add(pid)) {
            return false;
        }
    }
    return newest > 0;
}

// The kernel lists children in the order in which they were forked or adopted, nearly sorted.
void ChildList::sort() {
    for (uint32_t index = 1; index < count_; index++) {
        const int32_t pid = pids_[index];
        uint32_t position = index;
        while (position > 0 && pids_[position - 1] > pid) {
            pids_[position] = pids_[position - 1];
            position -= 1;
        }
        pids_[position] = pid;
    }
}

void ChildList::swap(ChildList &other) {
    std::swap(pids_, other.pids_);
    std::swap(count_, other.count_);
    std::swap(capacity_, other.capacity_);
}

} // namespace prefork::os
