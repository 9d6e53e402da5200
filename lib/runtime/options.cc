// SPDX-License-Identifier: MIT
#include "runtime/options.h"

#include "os/cpu/processors.h"
#include "os/process/random.h"

namespace prefork::runtime {

void complete(PoolOptions *options) {
    core::Settings &settings = options->settings;
    if (settings.workers == 0) {
        settings.workers = static_cast<uint32_t>(os::processor_count());
    }
    if (settings.seed == 0) {
        settings.seed = os::random_seed();
    }
    if (options->on_event == nullptr && !options->dispatched) {
        options->on_event = report_to_stderr;
    }
}

} // namespace prefork::runtime
