/*
 * shim.h - what Go cannot write itself
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PREFORK_GO_SHIM_H
#define PREFORK_GO_SHIM_H

#include <poll.h>
#include <prefork.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#if PF_VERSION_MAJOR == 0 && PF_VERSION_MINOR < 2
#error "these Go bindings need libprefork 0.2 or later, and the prefork.h found is older"
#endif

/* An event as one value, so that one call takes it. The message is the library's. */
struct event_fields {
    const char *message;
    int32_t pid;
    int type, level, task_id, exit_code, signal, core_dumped, will_restart, error, restarts,
        worker_count, reason;
    uint64_t delay_ms, uptime_ms, time_ns, user_us, system_us, max_rss_kib;
};

static inline int take_event(pf_pool *pool, struct event_fields *ret_fields) {
    const pf_event *event = NULL;
    int result = pf_pool_next_event(pool, &event);
    if (result == 1) {
        *ret_fields = (struct event_fields){
            .message = pf_event_message(event),
            .pid = pf_event_pid(event),
            .type = pf_event_type(event),
            .level = pf_event_level(event),
            .task_id = pf_event_task_id(event),
            .exit_code = pf_event_exit_code(event),
            .signal = pf_event_signal(event),
            .core_dumped = pf_event_core_dumped(event),
            .will_restart = pf_event_will_restart(event),
            .error = pf_event_error(event),
            .restarts = pf_event_restarts(event),
            .worker_count = pf_event_worker_count(event),
            .reason = pf_event_reason(event),
            .delay_ms = pf_event_delay_ms(event),
            .uptime_ms = pf_event_uptime_ms(event),
            .time_ns = pf_event_time_ns(event),
            .user_us = pf_event_user_us(event),
            .system_us = pf_event_system_us(event),
            .max_rss_kib = pf_event_max_rss_kib(event),
        };
    }
    return result;
}

static inline int is_readable(int descriptor) {
    struct pollfd wait = {.fd = descriptor, .events = POLLIN};
    return poll(&wait, 1, 0) == 1;
}

#endif
