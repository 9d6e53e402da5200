// What can happen to a pool.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "core/event.h"

namespace prefork::core {

struct Input {
    enum class Kind : uint8_t {
        // To the pool.
        start,              // begin with the workers of the settings
        stop,               // gracefully; because of `signal`, 0: the host's request; `quick`: soon
        kill,               // at once
        resize,             // to `count` slots, for which there is memory
        set_spares,         // to `count` of them, for which there is memory
        renew_spares,       // end them, and start others: their program is another one now
        tick,               // time has passed
        reload,             // replace all workers
        fail,               // with the negative `error`: the workers are killed
        finish,             // nobody waits for those that are left
        signal_unavailable, // `signal`, which was to control the pool, is the host's
        // To a slot.
        pass_on,           // `signal` to all workers, to those that are not ready once they are
        replace,           // the worker of slot `worker` by a new one
        stop_worker,       // that of slot `worker`, which stays empty until it is to be replaced
        request_delivered, // the host has popped the request to fork the worker of slot `worker`
        // To a worker.
        started,         // `pid` is running
        start_failed,    // with the negative `error`; `transient`: this may pass
        start_cancelled, // it was not tried, because another failed
        taken_over,      // the spare `spare` is the worker now
        not_taken_over,  // the spare cannot be it any more
        ready,           // it reports that it is ready
        retire,          // it requests its replacement
        heartbeat,       // a check's result: it has sent `count` heartbeats
        flood,           // it sends more messages than any correct worker
        hang,            // it reports by itself that it hangs
        exited,          // as `exit` says; it has been reaped
        signal_failed, // `signal` could not be sent: the negative `error`; `reported` as in Signal
    };

    Kind kind{};
    bool transient = false;
    bool quick = false;
    bool reported = false;
    bool out_of_memory = false; // exited: the kernel has killed for lack of it
    uint32_t worker = 0;
    uint32_t spare = 0;
    Instant since = 0; // started: when
    uint32_t count = 0;
    int32_t pid = 0;
    int32_t error = 0;
    int32_t signal = 0;
    Exit exit;
};

} // namespace prefork::core
