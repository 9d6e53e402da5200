// The entries c and c-spare: workers that the library supervises. They are made by fork, or with
// SPARES=n by exec: then n more have started ahead of need.
//
// SPDX-License-Identifier: MIT
#include "http.h"

#include <err.h>
#include <prefork.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void print_event(const pf_event *event, void *user) {
    (void)user;
    if (pf_event_level(event) <= 4) {
        fprintf(stderr, "%s\n", pf_event_message(event));
    }
}

static void check(int result, const char *what) {
    if (result < 0) {
        errx(EXIT_FAILURE, "%s: %s", what, pf_strerror(result));
    }
}

int main(void) {
    pf_pool *pool;
    int task, listener;
    const int spares = number_of("SPARES");
    check(pf_bind_sockets("127.0.0.1", number_of("PORT"), 0, 1024, 0, &listener, 1), "PORT");
    if (pf_worker_pool_name() != NULL) { // executed as a worker: its start-up comes here
        prepare_worker();
    } else {
        prepare_supervisor();
    }
    check(pf_pool_new(&pool), "pf_pool_new");
    check(pf_pool_set_workers(pool, number_of("WORKERS")), "pf_pool_set_workers");
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD), "pf_pool_set_signals");
    check(pf_pool_set_event_callback(pool, print_event, NULL, NULL), "pf_pool_set_event_callback");
    check(pf_pool_set_ready_timeout(pool, 10000), "pf_pool_set_ready_timeout");
    check(pf_pool_set_reap_orphans(pool, PF_REAP_ADOPTED), "pf_pool_set_reap_orphans");
    if (spares > 0) {
        check(pf_pool_set_exec(pool, NULL, NULL, NULL), "pf_pool_set_exec");
        check(pf_pool_set_spares(pool, spares), "pf_pool_set_spares");
    }
    check(pf_pool_run(pool, &task), "pf_pool_run");
    if (task < 0) {
        const int number = pf_pool_stop_signal(pool);
        pf_pool_free(pool);
        return number > 0 ? pf_die_of_signal(number) : EXIT_SUCCESS;
    }
    signal(SIGTERM, SIG_IGN); // the stop descriptor reports it
    if (spares == 0) {
        prepare_worker();
    }
    check(pf_worker_ready(), "pf_worker_ready");
    serve(listener, pf_worker_stop_fd(), pf_task_id());
    return EXIT_SUCCESS;
}
