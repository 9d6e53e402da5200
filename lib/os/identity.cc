// SPDX-License-Identifier: MIT
#include "os/identity.h"

#include <atomic>
#include <errno.h>
#include <fcntl.h>
#include <initializer_list>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/heap_object.h"
#include "os/activation.h"
#include "os/daemon.h"
#include "os/descriptor.h"
#include "os/environment.h"
#include "os/handover.h"
#include "os/program.h"

namespace prefork::os {

namespace {

enum class Standing : uint8_t {
    free,     // may supervise
    untaken,  // a worker by exec that has not taken its identity yet
    misplaced // told to be a worker, but not by its parent
};

// All that a new worker writes in the library's own data, on one page: each page that it writes
// first has to be copied.
struct {
    int task_id = -1;
    uint32_t generation = 0;
    int32_t pid = 0; // of the worker, not of its children
    std::atomic<Standing> standing{Standing::free};
    const Belongings *belongings = nullptr;
    Post post;
} self;

// A page that a forked child finds zeroed, so that a worker's children know without a system call
// that they are none. Mapped at the first sign of life.
std::atomic<std::atomic<uint32_t> *> only_in_this_process{nullptr};

// What the supervisor has written into the environment.
struct Papers {
    const char *task_id;
    const char *supervisor;
    const char *pool;
    const char *descriptors;
    const char *process_name;
};

// Takes a variable out of the environment, so that no child of this process sees it. The text of
// the process's first environment stays where it is. A set-user-id program believes none of it.
const char *take_variable(const char *name) {
    const char *value = secure_getenv(name);
    unsetenv(name);
    return value;
}

bool is_parent(int32_t supervisor, int pidfd) {
    const pid_t parent = getppid();
    // A parent outside of this pid namespace is 0; then it is enough that it lives.
    pollfd alive{};
    alive.fd = pidfd;
    alive.events = POLLIN;
    return parent == supervisor || (parent == 0 && pidfd >= 0 && poll(&alive, 1, 0) == 0);
}

// What stands in PF_SUPERVISOR: the numbers first, then the name of the pool's socket.
struct Link {
    int32_t supervisor = -1;
    int32_t pidfd = -1;
    int32_t liveness = -1;
    int32_t memory = -1;
    int32_t worker = -1;
    int32_t death_signal = -1;
    SocketName name{};
};

int digit_of(char character) {
    const char *place = character == '\0' ? nullptr : strchr(hexadecimal_digits, character);
    return place == nullptr ? -1 : static_cast<int>(place - hexadecimal_digits);
}

bool read_name(const char *text, SocketName *ret_name) {
    ret_name->length = 0;
    while (*text != '\0') {
        const int high = digit_of(text[0]);
        const int low = digit_of(text[1]); // the zero byte has none
        if (high < 0 || low < 0 || ret_name->length == SocketName::length_max) {
            return false;
        }
        ret_name->bytes[ret_name->length++] = static_cast<char>(16 * high + low);
        text += 2;
    }
    return true;
}

bool read_link(const char *text, Link *ret_link) {
    int32_t *const numbers[] = {&ret_link->supervisor, &ret_link->pidfd,  &ret_link->liveness,
                                &ret_link->memory,     &ret_link->worker, &ret_link->death_signal};
    for (int32_t *number : numbers) {
        *number = read_number(&text);
        if (*text++ != ':') {
            return false;
        }
    }
    return ret_link->supervisor > 0 && read_name(text, &ret_link->name);
}

// Takes over what connects a worker with its supervisor. Returns 0 or a negative errno.
int take_post(const Link &link, Post *ret_post) {
    if (int r = attach_cell(link.memory, link.worker, ret_post); r < 0) {
        return r;
    }
    ret_post->supervisor = link.supervisor;
    ret_post->supervisor_name = link.name;
    ret_post->death_signal = link.death_signal > 0 ? link.death_signal : 0;
    ret_post->pidfd = link.pidfd;
    ret_post->liveness = link.liveness;
    for (const int descriptor : {link.pidfd, link.liveness}) {
        if (descriptor >= 0 && keep_from_children(descriptor)) {
            note_descriptor(descriptor); // nor for workers of its own
        }
    }
    return 0;
}

// Reads the papers. Papers that nobody of ours has written say nothing.
void take_papers(const Papers &papers) {
    constexpr int32_t task_id_max = 65'535;
    const char *text = papers.task_id;
    const int32_t task_id = read_number(&text);
    Link link;
    if (*text != '\0' || task_id < 0 || task_id > task_id_max ||
        !read_link(papers.supervisor, &link) || strlen(papers.pool) >= Belongings::pool_name_size) {
        return;
    }
    self.standing = Standing::misplaced;
    if (!is_parent(link.supervisor, link.pidfd)) {
        return;
    }
    begin_generation();
    auto *belongings = base::make<Belongings>();
    Post post;
    if (belongings == nullptr ||
        (papers.descriptors != nullptr && take_descriptors(papers.descriptors, belongings) < 0) ||
        take_post(link, &post) < 0) {
        base::destroy(belongings);
        return;
    }
    belongings->set_pool_name(papers.pool);
    if (papers.process_name != nullptr) {
        set_process_name(papers.process_name);
    }
    become_worker_of(static_cast<uint32_t>(task_id), post, belongings);
    if (post.cell->awaited.load() != 0) {
        keep_stdio_until_ready();
    }
    self.standing = Standing::untaken;
}

// Returns 0 or a negative errno. Of several threads at the same time one maps it for all.
int map_page_of_this_process(std::atomic<uint32_t> **ret_page) {
    const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    if (madvise(memory, size, MADV_WIPEONFORK) < 0) {
        const int error = -errno;
        munmap(memory, size);
        return error;
    }
    auto *page = static_cast<std::atomic<uint32_t> *>(memory);
    page->store(1, std::memory_order_relaxed);
    std::atomic<uint32_t> *earlier = nullptr;
    if (!only_in_this_process.compare_exchange_strong(earlier, page)) {
        munmap(memory, size);
        page = earlier;
    }
    *ret_page = page;
    return 0;
}

// When the library is loaded, which usually is before there are threads.
[[gnu::constructor]] void find_identity() {
    note_passed_descriptors();
    const Papers papers = {
        take_variable(variable_task_id),      take_variable(variable_supervisor),
        take_variable(variable_pool),         take_variable(variable_descriptors),
        take_variable(variable_process_name),
    };
    if (papers.task_id != nullptr && papers.supervisor != nullptr && papers.pool != nullptr) {
        take_papers(papers);
    }
    note_own_program();
}

} // namespace

int task_id() { return self.task_id; }

const char *worker_pool() {
    if (self.task_id < 0) {
        return nullptr;
    }
    return self.belongings == nullptr ? "" : self.belongings->pool_name();
}

int worker_descriptor(const char *name) {
    if (self.task_id < 0) {
        return -ECHILD;
    }
    return self.belongings == nullptr ? -ENOENT : self.belongings->find(name);
}

int may_supervise() {
    switch (self.standing.load()) {
    case Standing::free:
        return 0;
    case Standing::untaken:
        // A child that the worker forked before it took its identity is not that worker.
        return self.pid == getpid() ? -EALREADY : -ESRCH;
    case Standing::misplaced:
        return -ESRCH;
    }
    return -ESRCH;
}

int take_identity(const char *pool_name, int *ret_task_id) {
    const int result = may_supervise();
    if (result != -EALREADY || strcmp(pool_name, worker_pool()) != 0) {
        return result;
    }
    Standing expected = Standing::untaken;
    if (!self.standing.compare_exchange_strong(expected, Standing::free)) {
        return 0; // another thread has just taken it
    }
    *ret_task_id = self.task_id;
    return 1;
}

void become_worker_of(uint32_t task_id, const Post &post, const Belongings *belongings) {
    self.task_id = static_cast<int>(task_id);
    self.pid = getpid();
    self.belongings = belongings;
    self.post = post;
    // What a new process writes for the first time, the kernel copies for it, a page at a time.
    if (only_in_this_process.load(std::memory_order_relaxed) != nullptr) {
        only_in_this_process.store(nullptr, std::memory_order_relaxed);
    }
}

const Post *own_post() {
    return self.post.cell != nullptr && self.pid == getpid() ? &self.post : nullptr;
}

int beat() {
    std::atomic<uint32_t> *page = only_in_this_process.load(std::memory_order_acquire);
    if (page == nullptr) {
        if (own_post() == nullptr) {
            return -ECHILD;
        }
        if (int r = map_page_of_this_process(&page); r < 0) {
            return r;
        }
    }
    Cell *cell = self.post.cell;
    if (cell == nullptr || page == nullptr || page->load(std::memory_order_relaxed) == 0) {
        return -ECHILD;
    }
    cell->beats.fetch_add(1, std::memory_order_relaxed);
    return 0;
}

void drop(Belongings *belongings) {
    if (belongings != self.belongings) {
        base::destroy(belongings);
    }
}

uint32_t generation() { return self.generation; }

void begin_generation() { self.generation += 1; }

} // namespace prefork::os
