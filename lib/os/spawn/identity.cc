// SPDX-License-Identifier: MIT
#include "os/spawn/identity.h"

#include <errno.h>
#include <initializer_list>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/heap_object.h"
#include "base/worker_array.h"
#include "os/fd/descriptor.h"
#include "os/net/activation.h"
#include "os/process/generation.h"
#include "os/process/process_id.h"
#include "os/process/standard_files.h"
#include "os/process/threads.h"
#include "os/service/daemon.h"
#include "os/spawn/adopt_fds.h"
#include "os/spawn/environment.h"
#include "os/spawn/inherited_fds.h"
#include "os/spawn/own_program.h"
#include "os/spawn/process_identity.h"
#include "os/spawn/supervisor_check.h"
#include "os/watch/child_signal.h"

namespace prefork::os {

namespace {

// All that a new worker writes in the library's own data, on one page: each page that it writes
// first has to be copied.
struct {
    ProcessIdentity identity; // if this copy of the library was the first one
    int32_t pid = 0;          // of the worker that has what follows
    const WorkerResources *resources = nullptr;
    WorkerLink link;
} self;

ProcessIdentity &identity() {
    ProcessIdentity *published = published_identity();
    return published == nullptr ? self.identity : *published;
}

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

// Takes over what this worker was given. Returns whether it is all there.
bool adopt_resources(WorkerIdentity *worker) {
    begin_generation();
    auto *resources = base::make<WorkerResources>();
    if (resources == nullptr ||
        (worker->descriptors != nullptr &&
         adopt_inherited_fds(worker->descriptors, resources) < 0) ||
        !adopt_link(&worker->link)) {
        base::destroy(resources);
        return false;
    }
    resources->set_pool_name(worker->pool);
    self.pid = own_pid();
    self.resources = resources;
    self.link = worker->link;
    if (worker->link.is_awaited) {
        keep_stdio_until_ready();
    }
    announce_exit_at_end();
    return true;
}

void note_worker(ProcessIdentity *process, int32_t task_id, const char *pool_name) {
    process->task_id = task_id;
    process->pid = self.pid;
    // By hand, as each function that lies elsewhere costs a new worker a fault of its page.
    // Its length was checked where it came from.
    char *character = process->pool_name;
    do {
        *character++ = *pool_name;
    } while (*pool_name++ != '\0');
}

// The copy of the library that all others use may be unloaded.
void note_own_worker(int32_t task_id, const char *pool_name) {
    note_worker(&self.identity, task_id, pool_name);
    if (ProcessIdentity *published = &identity(); published != &self.identity) {
        note_worker(published, task_id, pool_name);
    }
}

void note_identity_of(const ProcessIdentity &other) {
    note_worker(&self.identity, 0, other.pool_name);
    self.identity.task_id = other.task_id.load();
    self.identity.pid = other.pid.load();
    self.identity.executed_pid = other.executed_pid.load();
    self.identity.standing = other.standing.load();
}

void set_standing(Standing standing) {
    self.identity.standing = standing;
    identity().standing = standing;
}

// Whatever is wrong with its environment, this process was started as a worker: if it acted as a
// supervisor, it would make workers that do the same, without end.
void adopt_identity(const OwnEnvironment &environment) {
    WorkerIdentity worker;
    const WorkerLink &link = worker.link;
    set_standing(Standing::misplaced);
    if (!environment.parse(&worker) || !is_supervised_by(link.supervisor, link.pidfd) ||
        !arm_death_signal(link.death_signal, link.supervisor, link.pidfd) ||
        !adopt_resources(&worker)) {
        return;
    }
    if (worker.process_name != nullptr) {
        set_process_name(worker.process_name);
    }
    note_own_worker(worker.task_id, worker.pool);
    identity().executed_pid = self.pid;
    set_standing(Standing::unclaimed);
}

// Another copy of the library has found out what this process is.
void adopt_known_identity(const OwnEnvironment &environment) {
    WorkerIdentity worker;
    if (environment.parse(&worker)) {
        (void)adopt_resources(&worker); // without them the other copy alone can send messages
    }
}

void find_worker_identity() {
    const OwnEnvironment environment;
    if (environment.names_supervisor() && identity().executed_pid == own_pid()) {
        adopt_known_identity(environment);
    } else if (environment.names_supervisor() && !is_worker()) {
        adopt_identity(environment);
    }
    OwnEnvironment::remove();
}

// In a spare by exec.
void wait_for_slot(const char *pool_name) {
    const int32_t slot = await_takeover(&self.link, nullptr);
    if (slot < 0) {
        if (!has_threads()) {
            flush_stdio();
        }
        _exit(status_without_slot(slot));
    }
    note_own_worker(slot, pool_name);
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
    publish_identity(&self.identity);
    look_for_copies(has_other_copies);
    if (&identity() != &self.identity) {
        note_identity_of(identity());
    }
    find_worker_identity();
    note_own_program();
}

// When the library is unloaded: a static copy in a plug-in can be.
[[gnu::destructor]] void forget_identity() { withdraw_identity(&self.identity); }

} // namespace

void look_at_load() {}

int task_id() { return identity().task_id; }

bool is_worker() { return identity().task_id != -1; }

const char *worker_pool() {
    const ProcessIdentity &process = identity();
    return process.task_id == -1 ? nullptr : process.pool_name;
}

bool is_worker_of(const char *pool_name) {
    const char *own_name = worker_pool();
    return own_name != nullptr && strcmp(own_name, pool_name) == 0;
}

int worker_descriptor(const char *name) {
    const ProcessIdentity &process = identity();
    if (process.task_id == -1) {
        return -ECHILD;
    }
    // Those of an earlier worker are not this one's, if another copy of the library forked it.
    return self.resources == nullptr || self.pid != process.pid ? -ENOENT
                                                                : self.resources->find(name);
}

int may_supervise() {
    const ProcessIdentity &process = identity();
    switch (process.standing.load()) {
    case Standing::free:
        return 0;
    case Standing::unclaimed:
        // A child that the worker forked before it claimed its identity is not that worker.
        return process.pid == own_pid() ? -EALREADY : -ESRCH;
    case Standing::misplaced:
        return -ESRCH;
    }
    return -ESRCH;
}

int claim_identity(const char *pool_name, int *ret_task_id) {
    ProcessIdentity &process = identity();
    const int result = may_supervise();
    if (result != -EALREADY || strcmp(pool_name, process.pool_name) != 0) {
        return result;
    }
    Standing expected = Standing::unclaimed;
    if (!process.standing.compare_exchange_strong(expected, Standing::free)) {
        return 0; // another thread has just claimed it
    }
    if (process.task_id == base::task_spare) {
        wait_for_slot(process.pool_name);
    }
    *ret_task_id = process.task_id;
    return 1;
}

void become_worker_of(int32_t task_id, const WorkerLink &link, const WorkerResources *resources) {
    self.pid = own_pid();
    note_own_worker(task_id, resources == nullptr ? "" : resources->pool_name());
    self.resources = resources;
    self.link = link;
}

const WorkerLink *own_link() {
    return self.link.up >= 0 && self.pid == own_pid() ? &self.link : nullptr;
}

void announce_exit_at_end() {
#ifdef __GLIBC__
    if (self.link.announces_exit) {
        (void)on_exit(announce_own_exit, nullptr); // without memory the status may stay unknown
    }
#endif
}

void drop(WorkerResources *resources) {
    if (resources != self.resources) {
        base::destroy(resources);
    }
}

} // namespace prefork::os
