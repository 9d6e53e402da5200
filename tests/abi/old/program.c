/*
 * program.c - a program of the first release, which later libraries must serve as that one did
 *
 *   program PART [PATH]
 *
 * compatibility_test.sh builds it, as C and as C++, with a header and a stub of the library that
 * were stored at the release, and runs it with other libraries. It calls every function of that
 * header, and prints what follows from its promises: no texts, and no event that it does not know.
 *
 * SPDX-License-Identifier: MIT
 */
#include "program.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LAST_EVENT = PF_EVENT_SPARE_EXITED, LAST_REASON = PF_REASON_OUT_OF_MEMORY };

void print_number(int task_id, const char *what, long long number) {
    printf("%d %s %lld\n", task_id, what, number);
}

static int is_end(int type) { return type == PF_EVENT_EXITED; }

static const char *known_name(int type) {
    const char *name = pf_event_type_name(type);
    return name == NULL ? "none" : name;
}

void print_event(const pf_event *event, void *user) {
    static uint64_t last_ns;
    const int type = pf_event_type(event);
    const int task_id = pf_event_task_id(event);
    (void)user;
    if (type > LAST_EVENT) {
        (void)fprintf(stderr, "unknown event\n");
        return;
    }
    if (task_id == PF_TASK_SPARE) { /* how a spare ends depends on the moment */
        printf("%d %s %d\n", task_id, known_name(type), type);
        return;
    }
    const int reason = pf_event_reason(event);
    /* What it is for another slot depends on the moment. */
    const int counted = pf_event_will_restart(event) || task_id < 0 ? pf_event_restarts(event) : 0;
    printf("%d %s %d level %d pid %d exit %d signal %d core %d restarts %d, %d error %d", task_id,
           known_name(type), type, pf_event_level(event), pf_event_pid(event) > 0,
           pf_event_exit_code(event), pf_event_signal(event), pf_event_core_dumped(event),
           pf_event_will_restart(event), counted, pf_event_error(event));
    printf(" delay %d uptime %d later %d cpu %d rss %d count %d reason %d message %d\n",
           (int)pf_event_delay_ms(event), pf_event_uptime_ms(event) < 60000,
           pf_event_time_ns(event) >= last_ns,
           pf_event_user_us(event) + pf_event_system_us(event) < 60000000,
           (pf_event_max_rss_kib(event) > 0) == is_end(type), pf_event_worker_count(event),
           reason <= LAST_REASON ? reason : PF_REASON_NONE, strlen(pf_event_message(event)) > 0);
    last_ns = pf_event_time_ns(event);
}

static int print_some(pf_pool *pool, int type, int task_id) {
    const pf_event *event = NULL;
    while (pf_pool_next_event(pool, &event) == 1) {
        print_event(event, NULL);
        if (pf_event_type(event) == type && pf_event_task_id(event) == task_id) {
            return 1;
        }
    }
    return 0;
}

void print_pending(pf_pool *pool) { (void)print_some(pool, 0, 0); }

void print_until(pf_pool *pool, int type, int task_id) {
    struct pollfd wait = {pf_pool_fd(pool), POLLIN, 0};
    int result = 1;
    while (!print_some(pool, type, task_id) && result == 1) {
        (void)poll(&wait, 1, -1);
        result = pf_pool_dispatch(pool, 0);
    }
}

void print_to_end(pf_pool *pool) {
    int result = 1;
    while (result == 1) {
        result = pf_pool_dispatch(pool, -1);
        print_pending(pool);
    }
    print_number(-1, "result", result);
}

pf_pool *make_pool(const char *name, int workers) {
    pf_pool *pool = NULL;
    if (pf_pool_new(&pool) != 0 || pf_pool_set_name(pool, name) != 0 ||
        pf_pool_set_workers(pool, workers) != 0) {
        exit(3);
    }
    return pool;
}

static int play(const char *part, const char *program, const char *path) {
    struct {
        const char *name;
        int (*play)(void);
    } parts[] = {{"values", play_values},   {"settings", play_settings}, {"fork", play_fork},
                 {"once", play_once},       {"loop", play_loop},         {"host", play_host},
                 {"foreign", play_foreign}, {"upgraded", play_upgraded}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        if (strcmp(part, parts[i].name) == 0) {
            return parts[i].play();
        }
    }
    if (strcmp(part, "die") == 0) {
        return pf_die_of_signal(SIGTERM);
    }
    return strcmp(part, "exec") == 0      ? play_exec(path)
           : strcmp(part, "daemon") == 0  ? play_daemon(path)
           : strcmp(part, "upgrade") == 0 ? play_upgrade(program)
                                          : 2;
}

int main(int argc, char **argv) {
    alarm(60);
    return argc < 2 ? 2 : play(argv[1], argv[0], argc > 2 ? argv[2] : NULL);
}
