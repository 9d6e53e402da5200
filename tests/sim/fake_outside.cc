// Which process is simulated, and nobody outside of it: no one launched it, and nobody reads
// standard error.
//
// SPDX-License-Identifier: MIT
#include "os/cpu/processors.h"
#include "os/process/process_id.h"
#include "os/process/random.h"
#include "os/process/report.h"
#include "os/process/threads.h"
#include "os/service/daemon.h"
#include "world.h"

namespace prefork::os {

ProcessId own_process_id() { return static_cast<ProcessId>(sim::world.own_pid); }
int32_t own_pid() { return sim::world.own_pid; }
bool is_this_process(ProcessId id) { return id == own_process_id(); }
bool has_memory_of(ProcessId id) { return is_this_process(id); }

bool is_main_thread() { return true; }
void yield_cpu() {}
int processor_count() { return 1; }
uint64_t random_seed() { return 0; }

void report_lost_messages() {}

bool await_pool() { return false; }
void awaited_pool_is_ready() {}
void awaited_pool_is_gone() {}
void await_no_more_pools() {}
void let_go_of_lost_files() {}

} // namespace prefork::os
