// SPDX-License-Identifier: MIT
#include "os/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "base/text.h"

namespace prefork::os {

namespace {

constexpr int32_t first_pid = 2; // after PID 1

// The pid that was given last in this process's own namespace, whosever /proc it is; 0: unknown.
// Pids are given in order, so all others are smaller.
int32_t newest_pid() {
    Descriptor file;
    char text[128];
    if (file.take(::open("/proc/loadavg", O_RDONLY | O_CLOEXEC)) < 0) {
        return 0;
    }
    const ssize_t length = read(file.get(), text, sizeof(text) - 1);
    text[length > 0 ? length : 0] = '\0';
    const char *last_field = strrchr(text, ' ');
    return last_field == nullptr ? 0 : static_cast<int32_t>(strtol(last_field, nullptr, 10));
}

} // namespace

OrphanReaper::~OrphanReaper() {
    free(of_host_.values);
    free(seen_.values);
    free(now_.values);
}

void OrphanReaper::open() {
    char own_pid[16];
    char in_proc[16] = "";
    base::Text(own_pid, sizeof(own_pid)).add(int64_t{getpid()});
    (void)!readlink("/proc/self", in_proc, sizeof(in_proc) - 1);
    has_own_proc_ = strcmp(own_pid, in_proc) == 0;
    is_informed_ = has_own_proc_ ? of_host_.read_children() : of_host_.probe_children(first_pid);
    before_host_code();
}

void OrphanReaper::before_host_code() {
    if (has_own_proc_) {
        (void)seen_.read_children();
    } else {
        newest_ = newest_pid();
    }
}

void OrphanReaper::after_host_code(const Watch &workers) {
    if (!has_own_proc_) {
        add_new_to_host(workers);
        return;
    }
    if (!now_.read_children()) {
        return;
    }
    // The host's are those that were and still are, and those that are new.
    uint32_t kept = 0;
    for (uint32_t index = 0; index < now_.count; index++) {
        const int32_t pid = now_.values[index];
        if (of_host_.has(pid) || (!seen_.has(pid) && !workers.knows(pid))) {
            now_.values[kept++] = pid;
        }
    }
    now_.count = kept;
    of_host_.swap(now_);
}

void OrphanReaper::add_new_to_host(const Watch &workers) {
    if (!now_.probe_children(newest_ + 1)) {
        return;
    }
    for (uint32_t index = 0; index < now_.count; index++) {
        const int32_t pid = now_.values[index];
        if (!of_host_.has(pid) && !workers.knows(pid) && !of_host_.add(pid)) {
            break;
        }
    }
    of_host_.sort();
}

void OrphanReaper::reap(const Watch &workers) {
    while (is_informed_) {
        siginfo_t info{};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) {
            return;
        }
        if (of_host_.has(info.si_pid) || workers.knows(info.si_pid)) {
            // It stays, and the kernel would show it again and again.
            reap_hidden(workers);
            return;
        }
        waitpid(info.si_pid, nullptr, WNOHANG);
    }
}

void OrphanReaper::reap_hidden(const Watch &workers) {
    const bool known = has_own_proc_ ? now_.read_children() : now_.probe_children(first_pid);
    if (!known) {
        return;
    }
    for (uint32_t index = 0; index < now_.count; index++) {
        const int32_t pid = now_.values[index];
        if (!of_host_.has(pid) && !workers.knows(pid)) {
            waitpid(pid, nullptr, WNOHANG);
        }
    }
}

bool OrphanReaper::Pids::add(int32_t pid) {
    if (count == capacity) {
        const uint32_t larger = capacity == 0 ? 64 : 2 * capacity;
        void *memory = realloc(values, larger * sizeof(int32_t));
        if (memory == nullptr) {
            return false;
        }
        values = static_cast<int32_t *>(memory);
        capacity = larger;
    }
    values[count++] = pid;
    return true;
}

bool OrphanReaper::Pids::has(int32_t pid) const {
    uint32_t first = 0;
    uint32_t last = count;
    while (first < last) {
        const uint32_t middle = first + (last - first) / 2;
        if (values[middle] == pid) {
            return true;
        }
        if (values[middle] < pid) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return false;
}

// The children of this thread, which in the process without other threads are all.
bool OrphanReaper::Pids::read_children() {
    count = 0;
    char path[64];
    base::Text(path, sizeof(path))
        .add("/proc/self/task/")
        .add(int64_t{syscall(SYS_gettid)})
        .add("/children");
    Descriptor file;
    if (file.take(::open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        return false; // a kernel without the file
    }
    char buffer[4096];
    int32_t pid = 0;
    for (;;) {
        const ssize_t length = read(file.get(), buffer, sizeof(buffer));
        if (length < 0 && errno == EINTR) {
            continue;
        }
        if (length <= 0) {
            break;
        }
        for (ssize_t index = 0; index < length; index++) {
            if (buffer[index] >= '0' && buffer[index] <= '9') {
                pid = pid * 10 + (buffer[index] - '0');
            } else if (pid > 0) {
                if (!add(pid)) {
                    return false;
                }
                pid = 0;
            }
        }
    }
    sort();
    return true;
}

// A new namespace has often no /proc of its own. Its pids are few, and each can be asked for.
bool OrphanReaper::Pids::probe_children(int32_t first) {
    count = 0;
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
void OrphanReaper::Pids::sort() {
    for (uint32_t index = 1; index < count; index++) {
        const int32_t pid = values[index];
        uint32_t place = index;
        while (place > 0 && values[place - 1] > pid) {
            values[place] = values[place - 1];
            place -= 1;
        }
        values[place] = pid;
    }
}

void OrphanReaper::Pids::swap(Pids &other) {
    std::swap(values, other.values);
    std::swap(count, other.count);
    std::swap(capacity, other.capacity);
}

} // namespace prefork::os
