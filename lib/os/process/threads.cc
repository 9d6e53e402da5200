// SPDX-License-Identifier: MIT
#include "os/process/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "os/fd/descriptor.h"
#include "os/fd/directory_entry.h"

namespace prefork::os {

namespace {

enum class Count : uint8_t { one, several, unknown };

constexpr char tasks_path[] = "/proc/self/task";

// The threads of io_uring are made by the kernel, inside the process. Their flag cannot be set by
// a program, as a name can. One that has ended is listed until the kernel is done with it, which
// may be long after it was joined; the main thread until the end of the process.
bool is_no_thread_of_program(const char *thread) {
    constexpr unsigned long flag_exiting = 0x4;
    constexpr unsigned long flag_io_worker = 0x10;
    constexpr int fields_before_flags = 6;
    char path[64];
    char text[512];
    base::Text(path, sizeof(path)).add(tasks_path).add("/").add(thread).add("/stat");
    Descriptor file;
    if (int r = file.adopt(open(path, O_RDONLY | O_CLOEXEC)); r < 0) {
        return r == -ENOENT || r == -ESRCH; // it has ended
    }
    const ssize_t length = read(file.get(), text, sizeof(text) - 1);
    if (length < 0) {
        return errno == ESRCH;
    }
    text[length] = '\0';
    // The name before it, in parentheses, may hold anything.
    const char *field = strrchr(text, ')');
    for (int index = 0; field != nullptr && index <= fields_before_flags; index++) {
        field = strchr(field + 1, ' ');
    }
    const bool is_main = strtoul(thread, nullptr, 10) == static_cast<unsigned long>(getpid());
    const unsigned long flags = flag_io_worker | (is_main ? 0 : flag_exiting);
    return field != nullptr && (strtoul(field, nullptr, 10) & flags) != 0;
}

// Among those that the kernel lists, by name.
Count count_listed() {
    alignas(DirectoryEntry) char entries[1024];
    Descriptor directory;
    if (directory.adopt(open(tasks_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        return Count::unknown;
    }
    int count = 0;
    for (;;) {
        const long length = syscall(SYS_getdents64, directory.get(), entries, sizeof(entries));
        if (length <= 0) {
            return length == 0 && count == 1 ? Count::one : Count::unknown;
        }
        for (long position = 0; position < length;) {
            const auto *entry = reinterpret_cast<const DirectoryEntry *>(&entries[position]);
            const bool is_thread = entry->name[0] != '.' && !is_no_thread_of_program(entry->name);
            count += is_thread ? 1 : 0;
            if (count > 1) {
                return Count::several;
            }
            position += entry->length;
        }
    }
}

Count count_in_proc() {
    struct stat status {};
    struct statfs system {};
    // Whatever else is mounted there knows nothing of threads.
    if (stat(tasks_path, &status) < 0 || statfs(tasks_path, &system) < 0 ||
        system.f_type != PROC_SUPER_MAGIC) {
        return Count::unknown;
    }
    // The links of the directory are its two own and one a thread.
    return status.st_nlink == 3 ? Count::one : count_listed();
}

// Has no effect: threads cannot be separated. So the kernel refuses it where there are several,
// and agrees where there is one.
Count count_by_unshare() {
    if (unshare(CLONE_THREAD) == 0) {
        return Count::one;
    }
    return errno == EINVAL ? Count::several : Count::unknown;
}

} // namespace

bool has_threads() {
#if __has_include(<sys/single_threaded.h>)
    // Never true again once there was a thread, so false says nothing.
    if (__libc_single_threaded != 0) {
        return false;
    }
#endif
    Count count = count_in_proc();
    if (count == Count::unknown) {
        count = count_by_unshare();
    }
    return count != Count::one;
}

bool has_lasting_threads() {
    constexpr int looks = 50;
    constexpr timespec pause = {0, 100'000};
    // The kernel wakes a joiner a moment before the thread has left the process. That only matters
    // where the list cannot be read.
    for (int look = 0; has_threads(); look++) {
        if (look == looks) {
            return true;
        }
        nanosleep(&pause, nullptr);
    }
    return false;
}

bool is_main_thread() { return syscall(SYS_gettid) == getpid(); }

void yield_cpu() { sched_yield(); }

} // namespace prefork::os
