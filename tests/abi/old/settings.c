/*
 * settings.c - what functions return: all settings, and all calls that fail outside of workers
 *
 * SPDX-License-Identifier: MIT
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define PRINT(call) print_number(-1, #call, call)

int play_values(void) {
    const int codes[] = {PF_EGAVEUP, PF_ETHREADS, PF_ERESOLVE, PF_EFATAL, -EINVAL, 0, 1};
    int fds[1];
    for (unsigned i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        print_number(codes[i], "has a text", pf_strerror(codes[i])[0] != '\0');
    }
    for (int type = PF_EVENT_STARTING; type <= PF_EVENT_SPARE_EXITED; type++) {
        print_number(type, pf_event_type_name(type), type);
    }
    print_number(-1, "no name", pf_event_type_name(-1) == NULL);
    print_number(-1, "version", pf_version()[0] >= '0' && pf_version_number() >= 200);
    print_number(-1, "processors", pf_cpu_count() >= 1);
    PRINT(pf_task_id());
    PRINT(pf_worker_ready());
    PRINT(pf_worker_heartbeat());
    PRINT(pf_worker_retire());
    PRINT(pf_worker_stop_fd());
    PRINT(pf_worker_fd("none"));
    PRINT(pf_worker_fd(NULL));
    print_number(-1, "no pool", pf_worker_pool_name() == NULL);
    PRINT(pf_listen_fds(fds, 1));
    PRINT(pf_accept(0));
    PRINT(pf_bind_sockets("127.0.0.1", -1, 0, 0, 0, fds, 1));
    PRINT(pf_bind_unix_socket("", 0600, 0));
    PRINT(pf_die_of_signal(0));
    PRINT(pf_daemon_ready());
    PRINT(pf_pool_new(NULL));
    PRINT(pf_fork_processes(65537, 0));
    return 0;
}

static void count(void *user) { ++*(int *)user; }

static int do_nothing(int task_id, void *user) {
    (void)user;
    return task_id < 0;
}

/* Each setting with its constants, and with a value that is none. */
static void print_policies(pf_pool *pool) {
    PRINT(pf_pool_set_restart_policy(pool, PF_RESTART_ALWAYS));
    PRINT(pf_pool_set_restart_policy(pool, PF_RESTART_NEVER));
    PRINT(pf_pool_set_restart_policy(pool, PF_RESTART_ON_FAILURE));
    PRINT(pf_pool_set_restart_policy(pool, -1));
    PRINT(pf_pool_set_max_restarts(pool, PF_UNLIMITED));
    PRINT(pf_pool_set_restart_window(pool, 3, 1000));
    PRINT(pf_pool_set_restart_window(pool, 3, 0));
    PRINT(pf_pool_set_backoff(pool, 10, 1000));
    PRINT(pf_pool_set_backoff(pool, 10, 1));
    PRINT(pf_pool_set_boot_limit(pool, 3));
    PRINT(pf_pool_set_boot_limit(pool, -1));
    PRINT(pf_pool_set_limit_action(pool, PF_LIMIT_DEGRADE));
    PRINT(pf_pool_set_limit_action(pool, PF_LIMIT_STOP));
    PRINT(pf_pool_set_limit_action(pool, -1));
    PRINT(pf_pool_set_exit_action(pool, 1, PF_EXIT_RESTART));
    PRINT(pf_pool_set_exit_action(pool, 2, PF_EXIT_DONE));
    PRINT(pf_pool_set_exit_action(pool, 3, PF_EXIT_FATAL));
    PRINT(pf_pool_set_exit_action(pool, 255, PF_EXIT_DEFAULT));
    PRINT(pf_pool_set_exit_action(pool, 256, PF_EXIT_DEFAULT));
    PRINT(pf_pool_set_reload_order(pool, PF_RELOAD_STOP_FIRST));
    PRINT(pf_pool_set_reload_order(pool, PF_RELOAD_START_FIRST));
    PRINT(pf_pool_set_reload_order(pool, -1));
    PRINT(pf_pool_set_replace_width(pool, 2));
    PRINT(pf_pool_set_replace_width(pool, 0));
    PRINT(pf_pool_set_lifetime(pool, 60000, 1000));
    PRINT(pf_pool_set_lifetime(pool, 0, 1000));
    PRINT(pf_pool_set_min_uptime(pool, 500));
    PRINT(pf_pool_set_ready_timeout(pool, 1000));
    PRINT(pf_pool_set_heartbeat_timeout(pool, 1000));
    PRINT(pf_pool_set_spares(pool, 1));
    PRINT(pf_pool_set_spares(pool, -1));
}

static void print_ways(pf_pool *pool) {
    const char *const arguments[] = {"name", NULL};
    PRINT(pf_pool_set_stop(pool, SIGQUIT, 1000));
    PRINT(pf_pool_set_stop(pool, -1, 1000));
    PRINT(pf_pool_set_stop_fd(pool, 0));
    PRINT(pf_pool_set_stop_fd(pool, 2));
    PRINT(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));
    PRINT(pf_pool_set_signals(pool, PF_SIGNALS_STOP_ONLY));
    PRINT(pf_pool_set_signals(pool, PF_SIGNALS_NONE));
    PRINT(pf_pool_set_signals(pool, -1));
    PRINT(pf_pool_set_thread_policy(pool, PF_THREADS_ALLOW));
    PRINT(pf_pool_set_thread_policy(pool, PF_THREADS_REFUSE));
    PRINT(pf_pool_set_thread_policy(pool, -1));
    PRINT(pf_pool_set_process_groups(pool, PF_GROUP_SIGNALS));
    PRINT(pf_pool_set_process_groups(pool, PF_GROUP_KILL));
    PRINT(pf_pool_set_process_groups(pool, -1));
    PRINT(pf_pool_set_reap_orphans(pool, PF_REAP_ADOPTED));
    PRINT(pf_pool_set_reap_orphans(pool, PF_REAP_ALL));
    PRINT(pf_pool_set_reap_orphans(pool, -1));
    PRINT(pf_pool_set_parent_death_signal(pool, SIGKILL));
    PRINT(pf_pool_set_parent_death_signal(pool, -1));
    PRINT(pf_pool_set_manager_notify(pool, 1));
    PRINT(pf_pool_set_manager_notify(pool, 2));
    PRINT(pf_pool_set_backend(pool, PF_BACKEND_SIGCHLD));
    PRINT(pf_pool_set_backend(pool, PF_BACKEND_AUTO));
    PRINT(pf_pool_set_backend(pool, -1));
    print_number(-1, "pidfds",
                 pf_pool_set_backend(pool, PF_BACKEND_PIDFD) == 0 ||
                     pf_pool_set_backend(pool, PF_BACKEND_PIDFD) == -ENOTSUP);
    PRINT(pf_pool_set_exec(pool, "/bin/true", arguments, NULL));
    PRINT(pf_pool_set_exec(pool, "/bin/true", arguments + 1, NULL));
    PRINT(pf_pool_set_foreign_workers(pool, 2));
    PRINT(pf_pool_set_host_fork(pool, 2));
}

int play_settings(void) {
    int freed = 0;
    const int fd = open("/dev/null", O_RDONLY);
    pf_pool *pool = make_pool("settings", 2);
    PRINT(pf_pool_set_workers(pool, 65537));
    print_policies(pool);
    print_ways(pool);
    PRINT(pf_pool_set_event_callback(pool, print_event, &freed, count));
    PRINT(pf_pool_set_event_callback(pool, NULL, NULL, NULL));
    PRINT(pf_pool_set_worker_fn(pool, do_nothing, &freed, count));
    PRINT(pf_pool_add_fd(pool, "a", fd));
    PRINT(pf_pool_add_fd(pool, "a", fd));
    PRINT(pf_pool_add_fd(pool, "a:b", fd));
    PRINT(pf_pool_add_fd(pool, "b", -1));
    /* Nothing but settings works before the start. */
    PRINT(pf_pool_fd(pool));
    PRINT(pf_pool_stop(pool));
    PRINT(pf_pool_kill(pool));
    PRINT(pf_pool_wake(pool));
    PRINT(pf_pool_reload(pool));
    PRINT(pf_pool_handle_signal(pool, SIGTERM));
    PRINT(pf_pool_resize(pool, 3));
    PRINT(pf_pool_dispatch(pool, 0));
    PRINT(pf_pool_worker_count(pool));
    PRINT(pf_pool_fork_prepare(pool, 0));
    PRINT((int)pf_pool_counter(pool, PF_COUNT_STARTED));
    print_number(-1, "freed", pf_pool_free(pool) == NULL && pf_pool_free(NULL) == NULL);
    print_number(-1, "functions called", freed);
    return close(fd);
}
