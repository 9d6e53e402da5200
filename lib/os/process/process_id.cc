// SPDX-License-Identifier: MIT
#include "os/process/process_id.h"

#include <atomic>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace prefork::os {

namespace {

struct Mark {
    std::atomic<ProcessId> id;
    std::atomic<int32_t> pid;
};

// On a page that each child finds zeroed, however it was made.
std::atomic<Mark *> own_mark{nullptr};

// The id that was given last in this process or those that it comes from: all of them differ.
std::atomic<ProcessId> last_id{0};

// Where the kernel wipes no page: a child has a copy. Then fork() wipes it, and a process that was
// made otherwise is known by its pid and the namespace of that.
Mark copied_mark{};
std::atomic<uint64_t> copied_namespace{0};

void wipe_copied_mark() { copied_mark.id.store(0); }

// 0: unknown.
uint64_t pid_namespace() {
    struct stat status {};
    return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

// 0 also where each look finds another number: gVisor numbers a file anew for each.
uint64_t lasting_pid_namespace() {
    const uint64_t found = pid_namespace();
    return pid_namespace() == found ? found : 0;
}

// Returns nullptr where there is no such page.
Mark *map_wiped_mark(size_t size) {
    constexpr int advice_unknown = -1; // refused by a kernel that knows its advices
    void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return nullptr;
    }
    if (madvise(memory, size, MADV_WIPEONFORK) < 0 || madvise(memory, size, advice_unknown) == 0) {
        munmap(memory, size);
        return nullptr;
    }
    return static_cast<Mark *>(memory); // all zero
}

// Of several threads at the same time one decides for all.
Mark *make_mark() {
    const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    Mark *wiped = map_wiped_mark(size);
    Mark *mark = wiped != nullptr ? wiped : &copied_mark;
    Mark *earlier = nullptr;
    if (own_mark.compare_exchange_strong(earlier, mark)) {
        if (wiped == nullptr) {
            (void)pthread_atfork(nullptr, nullptr, wipe_copied_mark);
        }
        return mark;
    }
    if (wiped != nullptr) {
        munmap(wiped, size);
    }
    return earlier;
}

bool is_in_noted_namespace() {
    const uint64_t noted = copied_namespace.load();
    const uint64_t current = noted == 0 ? 0 : pid_namespace();
    return current == 0 || current == noted; // what cannot be looked at says nothing
}

bool is_marked(const Mark *mark, ProcessId id) {
    return mark != nullptr && id != 0 && mark->id.load() == id && mark->pid.load() == getpid() &&
           (mark != &copied_mark || is_in_noted_namespace());
}

} // namespace

ProcessId own_process_id() {
    Mark *mark = own_mark.load();
    if (mark == nullptr) {
        mark = make_mark();
    }
    ProcessId id = mark->id.load();
    if (id != 0 && (mark != &copied_mark || is_marked(mark, id))) {
        return id;
    }
    if (mark == &copied_mark) {
        copied_namespace.store(lasting_pid_namespace());
    }
    mark->pid.store(getpid());
    const ProcessId next = last_id.load() + 1;
    if (!mark->id.compare_exchange_strong(id, next)) {
        return id; // another thread was first
    }
    last_id.store(next);
    return next;
}

int32_t own_pid() { return getpid(); }

bool is_this_process(ProcessId id) { return is_marked(own_mark.load(), id); }

bool has_memory_of(ProcessId id) {
    const Mark *mark = own_mark.load();
    return mark == &copied_mark ? is_marked(mark, id) : mark != nullptr && mark->id.load() == id;
}

} // namespace prefork::os
