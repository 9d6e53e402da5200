/*
 * restart_log.c - log every event of a pool with its fields
 *
 * The first worker with task id 0 ends with status 3; its replacement,
 * and the other worker, end with status 0. The log goes to standard
 * error.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <prefork.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What a callback changes is seen by every worker that is forked
 * afterwards. */
struct log {
    FILE *stream;
    int restarts;
};

static void log_event(const pf_event *event, void *user) {
    struct log *log = user;

    log->restarts = pf_event_restarts(event);
    fprintf(log->stream, "<%d> type %d task %d pid %" PRId32 ": %s\n",
            pf_event_level(event), pf_event_type(event),
            pf_event_task_id(event), pf_event_pid(event),
            pf_event_message(event));
    if (pf_event_type(event) == PF_EVENT_EXITED) {
        fprintf(
            log->stream,
            "    status %d, signal %d, core %d, restarted %d, in all %d;"
            " lived %" PRIu64 " ms, user %" PRIu64 " us, system %" PRIu64
            " us, at most %" PRIu64 " KiB\n",
            pf_event_exit_code(event), pf_event_signal(event),
            pf_event_core_dumped(event), pf_event_will_restart(event),
            log->restarts, pf_event_uptime_ms(event),
            pf_event_user_us(event), pf_event_system_us(event),
            pf_event_max_rss_kib(event));
    } else if (pf_event_error(event) != 0) {
        fprintf(log->stream, "    error %d: %s, delay %" PRIu64 " ms\n",
                pf_event_error(event),
                pf_strerror(pf_event_error(event)),
                pf_event_delay_ms(event));
    }
}

int main(void) {
    struct log log = {stderr, 0};

    pf_set_event_callback(log_event, &log);
    int task_id = pf_fork_processes(2, 10);
    if (task_id < 0) {
        fprintf(stderr, "restart_log: %s\n", pf_strerror(task_id));
        return EXIT_FAILURE;
    }
    _exit(task_id == 0 && log.restarts == 0 ? 3 : 0);
}
