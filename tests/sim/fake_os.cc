// The functions of lib/os that the runtime calls, over the simulated world.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstdlib>

#include "model.h"
#include "os/process/clock.h"
#include "os/process/report.h"
#include "os/process/standard_files.h"
#include "os/process/threads.h"
#include "os/spawn/identity.h"
#include "violation.h"
#include "world.h"

using sim::model;
using sim::require;
using sim::touch;
using sim::violate;
using sim::world;

namespace prefork::os {

// ---- Time, text, what this process is -------------------------------------------------------

base::Instant now() { return world.clock; }

const char *error_text(int /*error*/) { return "an error"; }
void write_to_stderr(const char * /*text*/, size_t /*length*/) {
    violate("stderr", "something is written to stderr");
}

void flush_stdio() { world.unflushed = false; }
int task_id() { return world.task_id; }
bool is_worker() { return world.task_id != -1; }
void become_detached_child() { require(world.in_child, "descriptors", "closed by their owner"); }
[[noreturn]] void end_worker(int /*status*/, bool /*threads*/) {
    violate("worker", "there is no function of a worker that could have returned");
}

bool has_threads() {
    touch("a worker is about to be started");
    model.settle();
    return false;
}
bool has_lasting_threads() { return has_threads(); }

} // namespace prefork::os

// ---- Memory ---------------------------------------------------------------------------------
// The linker leads the library's calls here (--wrap).

extern "C" {

void *__real_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_calloc(size_t count, size_t size) {
    if (!world.reaping) {
        require(world.may_allocate, "allocation", "memory is taken after the start");
        if (world.allocations_left == 0) {
            world.allocation_failed = true;
            world.allocations_left = UINT32_MAX;
            return nullptr;
        }
        world.allocations_left -= world.allocations_left == UINT32_MAX ? 0 : 1;
        if (size == sizeof(prefork::core::Event)) {
            model.set_event_capacity(count);
        }
    }
    return __real_calloc(count, size);
}

void *__wrap_malloc(size_t size) {
    require(world.reaping, "allocation", "memory is taken by malloc");
    return __real_malloc(size);
}
}
