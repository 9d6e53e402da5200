// SPDX-License-Identifier: MIT
#include "os/identity.h"

#include <atomic>
#include <errno.h>
#include <initializer_list>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/heap_object.h"
#include "os/activation.h"
#include "os/channel/link_text.h"
#include "os/daemon.h"
#include "os/descriptor.h"
#include "os/environment.h"
#include "os/handover.h"
#include "os/program.h"
#include "os/spawn/inherited_fds.h"
#include "os/spawn/initial_environment.h"
#include "os/spawn/supervisor_check.h"
#include "os/standard_files.h"

namespace prefork::os {

namespace {

enum class Standing : uint8_t {
    free,     // may supervise
    untaken,  // a worker by exec that has not taken its identity yet
    misplaced // told to be a worker, but by what can not be believed
};

// All that a new worker writes in the library's own data, on one page: each page that it writes
// first has to be copied.
struct {
    int task_id = -1;
    uint32_t generation = 0;
    int32_t pid = 0; // of the worker, not of its children
    std::atomic<Standing> standing{Standing::free};
    const Belongings *belongings = nullptr;
    WorkerLink link;
} self;

// What the supervisor has written into the environment.
struct Papers {
    const char *task_id;
    const char *supervisor;
    const char *pool;
    const char *descriptors;
    const char *process_name;
};

constexpr const char *own_variables[] = {variable_task_id, variable_supervisor, variable_pool,
                                         variable_descriptors, variable_process_name};

// Takes over what connects a worker with its supervisor. Returns whether it is all there.
bool adopt_link(WorkerLink *link) {
    if (!check_link(link)) {
        return false;
    }
    for (const int descriptor : {link->pidfd, link->liveness, link->up, link->down}) {
        if (descriptor >= 0 && keep_from_children(descriptor)) {
            note_descriptor(descriptor); // nor for workers of its own
        }
    }
    return true;
}

// Reads the papers. Whatever is wrong with them, this process was told to be a worker: the one that
// took itself for a supervisor would make workers that do the same, without end.
void take_papers(const Papers &papers) {
    constexpr int32_t task_id_max = 65'535;
    self.standing = Standing::misplaced;
    const char *text = papers.task_id == nullptr ? "" : papers.task_id;
    const int32_t task_id = read_number(&text);
    WorkerLink link;
    if (*text != '\0' || task_id < 0 || task_id > task_id_max || papers.pool == nullptr ||
        strlen(papers.pool) >= Belongings::pool_name_size || !read_link(papers.supervisor, &link) ||
        !is_supervised_by(link.supervisor, link.pidfd) ||
        !arm_death_signal(link.death_signal, link.supervisor, link.pidfd)) {
        return;
    }
    begin_generation();
    auto *belongings = base::make<Belongings>();
    if (belongings == nullptr ||
        (papers.descriptors != nullptr && take_descriptors(papers.descriptors, belongings) < 0) ||
        !adopt_link(&link)) {
        base::destroy(belongings);
        return;
    }
    belongings->set_pool_name(papers.pool);
    if (papers.process_name != nullptr) {
        set_process_name(papers.process_name);
    }
    become_worker_of(static_cast<uint32_t>(task_id), link, belongings);
    if (link.is_awaited) {
        keep_stdio_until_ready();
    }
    announce_exit_at_end();
    self.standing = Standing::untaken;
}

// Another copy of the library in this process may have removed the variables already, or the host
// all of them: then those stand that the process was started with. They are not for its children.
void find_papers() {
    InitialEnvironment initial;
    const bool is_there = getenv(variable_supervisor) != nullptr;
    if (!is_there) {
        (void)initial.read(); // where it can not be read, nobody knows
    }
    const auto find = [&](const char *name) {
        return is_there ? getenv(name) : initial.find(name);
    };
    const Papers papers = {find(variable_task_id), find(variable_supervisor), find(variable_pool),
                           find(variable_descriptors), find(variable_process_name)};
    if (papers.supervisor != nullptr) {
        take_papers(papers);
    }
    for (const char *name : own_variables) {
        unsetenv(name);
    }
}

#ifdef __GLIBC__
// Of the worker, not of its children.
void announce_own_exit(int status, void * /*unused*/) {
    if (const WorkerLink *link = own_link(); link != nullptr) {
        announce_exit(*link, status);
    }
}
#endif

// When the library is loaded, which usually is before there are threads. In a program that it is
// linked into: before the constructors of that.
constexpr int first_priority = 101; // lower ones are the compiler's

[[gnu::constructor(first_priority)]] void find_identity() {
    note_standard_files();
    note_passed_descriptors();
    find_papers();
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

bool is_worker_of(const char *pool_name) {
    return self.task_id >= 0 && strcmp(worker_pool(), pool_name) == 0;
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

void become_worker_of(uint32_t task_id, const WorkerLink &link, const Belongings *belongings) {
    self.task_id = static_cast<int>(task_id);
    self.pid = getpid();
    self.belongings = belongings;
    self.link = link;
}

const WorkerLink *own_link() {
    return self.link.up >= 0 && self.pid == getpid() ? &self.link : nullptr;
}

const WorkerLink &inherited_link() { return self.link; }

void announce_exit_at_end() {
#ifdef __GLIBC__
    if (self.link.announces_exit) {
        (void)on_exit(announce_own_exit, nullptr); // without memory the status may stay unknown
    }
#endif
}

void drop(Belongings *belongings) {
    if (belongings != self.belongings) {
        base::destroy(belongings);
    }
}

uint32_t generation() { return self.generation; }

void begin_generation() { self.generation += 1; }

} // namespace prefork::os
