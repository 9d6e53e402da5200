/*
 * The scenarios in which calls of the library fail: scenarios NAME, in a directory of its own.
 *
 * Each works with or without a failure, and writes "broken: ..." for a promise that does not hold.
 * It exits with 0 if all went as without a failure, with 1 if the library reported one.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "scene.h"
#include "sockets.h"
#include "systems.h"
#include "upgrades.h"

static int done; /* what a step has done so far */

/* ---- Workers ---------------------------------------------------------------------------- */

/* Whether this is the first worker of its slot. */
static int is_first(int task_id) {
    char name[32];
    snprintf(name, sizeof(name), "crashed-%d", task_id);
    const int file = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file >= 0) {
        close(file);
    }
    return file >= 0;
}

static int crash_once(int task_id, void *user) {
    if (is_first(task_id)) {
        return 3;
    }
    scene_serve(task_id, user);
}

static int report(int task_id, void *user) {
    (void)task_id;
    (void)user;
    if (pf_worker_ready() < 0) {
        return 9;
    }
    int retires = 0;
    for (int i = 0;; i++) {
        usleep(20000);
        pf_worker_heartbeat();
        if (i >= 3 && task_id == 0 && !retires) {
            retires = pf_worker_retire() == 0; /* else once more */
        }
    }
}

static int poll_stop_fd(int task_id, void *user) {
    (void)task_id;
    (void)user;
    const int fd = pf_worker_stop_fd();
    char byte;
    if (fd < 0) {
        return 9;
    }
    while (read(fd, &byte, 1) < 0) {
        usleep(5000);
    }
    return 0;
}

/* ---- Conditions ------------------------------------------------------------------------- */

static int all_crashed(struct scene *s) {
    return s->started >= 2 * s->workers && scene_all_ready(s);
}

static int reloaded(struct scene *s) {
    return s->events[PF_EVENT_RELOADED] > 0 || s->events[PF_EVENT_RELOAD_FAILED] > 0;
}

static int has_size(struct scene *s) { return pf_pool_alive_count(s->pool) == scene.workers; }

static int one_stopped(struct scene *s) {
    return pf_pool_worker_state(s->pool, 0) == PF_WORKER_EMPTY;
}

static int replaced(struct scene *s) {
    return s->started >= done && pf_pool_alive_count(s->pool) == s->workers && scene_all_ready(s);
}

/* ---- Scenarios -------------------------------------------------------------------------- */

static void play_start(void) {
    if (scene_make_pool(scene_serve)) {
        scene_start();
    }
    scene_finish(&scene, pf_pool_stop);
}

static void play_kill(void) {
    if (scene_make_pool(scene_serve) && scene_start()) {
        TRY(pf_pool_send_signal(scene.pool, -1, SIGCONT));
    }
    scene_finish(&scene, pf_pool_kill);
}

static void play_sigchld(void) {
    if (scene_make_pool(crash_once) && TRY(pf_pool_set_backend(scene.pool, PF_BACKEND_SIGCHLD)) &&
        TRY(pf_pool_start(scene.pool))) {
        scene_until(&scene, "restart", all_crashed);
    }
    scene_finish(&scene, pf_pool_stop);
}

static void play_crash(void) {
    if (scene_make_pool(crash_once) && TRY(pf_pool_set_backoff(scene.pool, 10, 20)) &&
        TRY(pf_pool_start(scene.pool))) {
        scene_until(&scene, "restart", all_crashed);
    }
    scene_finish(&scene, pf_pool_stop);
}

static void play_reload(void) {
    if (scene_make_pool(scene_serve) && TRY(pf_pool_set_signals(scene.pool, PF_SIGNALS_STANDARD)) &&
        scene_start()) {
        if (scene.events[PF_EVENT_SIGNAL_UNAVAILABLE] == 0) {
            raise(SIGHUP);
            scene_until(&scene, "reload", reloaded);
        }
    }
    scene_finish(&scene, pf_pool_stop);
}

static void play_resize(void) {
    if (scene_make_pool(scene_serve) && scene_start() && TRY(pf_pool_resize(scene.pool, 5))) {
        scene.workers = 5;
        if (scene_until(&scene, "more", has_size) && TRY(pf_pool_resize(scene.pool, 1))) {
            scene.workers = 1;
            scene_until(&scene, "fewer", has_size);
        }
    }
    scene_finish(&scene, pf_pool_stop);
}

static void play_replace(void) {
    if (scene_make_pool(scene_serve) && scene_start() && TRY(pf_pool_stop_worker(scene.pool, 0)) &&
        scene_until(&scene, "stop of one", one_stopped) &&
        TRY(pf_pool_replace_worker(scene.pool, 0)) &&
        scene_until(&scene, "again", scene_all_ready) &&
        TRY(pf_pool_replace_worker(scene.pool, 1))) {
        done = scene.started + 1;
        scene_until(&scene, "replacement", replaced);
    }
    scene_finish(&scene, pf_pool_stop);
}

static void play_signs(void) {
    if (scene_make_pool(report) && TRY(pf_pool_set_ready_timeout(scene.pool, 1000)) &&
        TRY(pf_pool_set_heartbeat_timeout(scene.pool, 1000)) && scene_start()) {
        done = scene.workers + 1;
        scene_until(&scene, "retirement", replaced);
    }
    scene_finish(&scene, pf_pool_stop);
}

static void play_stop_fd(void) {
    if (scene_make_pool(poll_stop_fd) && TRY(pf_pool_set_stop(scene.pool, 0, 1000))) {
        scene_start();
    }
    scene_finish(&scene, pf_pool_stop);
}

static void play_groups(void) {
    if (scene_make_pool(scene_serve) &&
        TRY(pf_pool_set_process_groups(scene.pool, PF_GROUP_SIGNALS)) &&
        TRY(pf_pool_set_reap_orphans(scene.pool, PF_REAP_ADOPTED))) {
        scene_start();
    }
    scene_finish(&scene, pf_pool_stop);
}

static void play_notify(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "notify"};
    const int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(manager, (struct sockaddr *)&name, sizeof(name)) < 0) {
        scene_broken("the test cannot bind: %s", strerror(errno));
    }
    if (scene_make_pool(scene_serve) && TRY(pf_pool_set_manager_notify(scene.pool, 1)) &&
        scene_start() && TRY(pf_pool_reload(scene.pool))) {
        scene_until(&scene, "reload", reloaded);
    }
    scene_finish(&scene, pf_pool_stop);
    char text[512];
    int messages = 0;
    while (recv(manager, text, sizeof(text), 0) > 0) {
        messages++;
    }
    const char *plan = getenv("INJECT_PLAN");
    const int is_cut_off = plan != NULL && strstr(plan, " 4294967295 ") != NULL;
    if (scene.error == 0 && scene.reported == 0 && messages < 3 && !is_cut_off) {
        scene_broken("%d messages for the manager, and nothing is reported", messages);
    }
    close(manager);
    unlink("notify");
}

static void play_host_fork(void) {
    if (scene_make_pool(scene_serve) && TRY(pf_pool_set_host_fork(scene.pool, 1))) {
        scene_start();
    }
    scene_finish(&scene, pf_pool_stop);
}

static void play_exec(void) {
    const char *const argv[] = {"scenarios", "executed", NULL};
    if (scene_make_pool(scene_serve) && TRY(pf_pool_set_name(scene.pool, "executed")) &&
        TRY(pf_pool_add_fd(scene.pool, "directory", 3)) &&
        TRY(pf_pool_set_ready_timeout(scene.pool, 1500)) &&
        TRY(pf_pool_set_exec(scene.pool, NULL, argv, NULL)) && scene_start()) {
        TRY(pf_pool_reload(scene.pool));
        scene_until(&scene, "reload", reloaded);
    }
    scene_finish(&scene, pf_pool_stop);
}

static int executed(void) {
    pf_pool *pool;
    int task_id;
    if (pf_pool_new(&pool) < 0 || pf_pool_set_name(pool, "executed") < 0 ||
        pf_pool_run(pool, &task_id) < 0 || task_id < 0) {
        return 9;
    }
    pf_pool_free(pool);
    if (pf_worker_fd("directory") < 0 || pf_worker_ready() < 0) {
        return 9;
    }
    scene_serve(task_id, NULL);
}

static void try_sockets(void) { play_sockets(&scene); }
static void try_raced_socket(void) { play_raced_socket(&scene); }
static void try_listen_fds(void) { play_listen_fds(&scene); }

/* A worker that cannot be forked is tried again for ever: then the program is told to end. */
static void count_failures(const pf_event *event, void *user) {
    scene_event(event, user);
    if (pf_event_type(event) == PF_EVENT_START_FAILED && scene.events[PF_EVENT_START_FAILED] == 3) {
        raise(SIGTERM);
    }
}

static void end_of_fork_processes(void) {
    if (pf_task_id() < 0) {
        scene_end();
    }
}

static void play_fork_processes(void) {
    pf_set_event_callback(count_failures, &scene);
    atexit(end_of_fork_processes);
    const int task_id = pf_fork_processes(2, 10);
    if (task_id >= 0) {
        _exit(is_first(task_id) ? 3 : 0);
    }
    scene_failed(&scene, "pf_fork_processes", task_id);
    exit(1);
}

/* One worker stops the program when both run. */
static void play_signaled(void) {
    atexit(end_of_fork_processes);
    const int task_id = pf_fork_processes(2, 10);
    if (task_id >= 0) {
        if (task_id == 1) {
            kill(getppid(), SIGTERM);
        }
        scene_serve(task_id, NULL);
    }
    scene_failed(&scene, "pf_fork_processes", task_id);
    exit(1);
}

static void play_daemon(void) {
    if (!TRY(pf_daemonize("pid"))) {
        if (access("pid", F_OK) == 0) {
            scene_broken("the pid file is left");
        }
        return;
    }
    scene_be_supervisor();
    if (scene_make_pool(scene_serve)) {
        scene_start();
    }
    scene_finish(&scene, pf_pool_stop);
}

static const struct {
    const char *name;
    void (*play)(void);
} scenarios[] = {
    {"start", play_start},
    {"kill", play_kill},
    {"crash", play_crash},
    {"sigchld", play_sigchld},
    {"reload", play_reload},
    {"resize", play_resize},
    {"replace", play_replace},
    {"signs", play_signs},
    {"stop_fd", play_stop_fd},
    {"groups", play_groups},
    {"notify", play_notify},
    {"host_fork", play_host_fork},
    {"exec", play_exec},
    {"sockets", try_sockets},
    {"listen_fds", try_listen_fds},
    {"fork_processes", play_fork_processes},
    {"daemon", play_daemon},
    {"run", play_run},
    {"signaled", play_signaled},
    {"wiped_by_fork", play_start},
    {"no_files", play_start},
    {"exec_removed", play_removed_program},
    {"exec_descriptor", play_exec},
    {"exec_vfork", play_exec},
    {"exec_no_proc", play_exec},
    {"exec_rights", play_program_with_rights},
    {"exec_aging", play_aging_program},
    {"foreign", play_foreign_program},
    {"orphans", play_orphans},
    {"two_pools", play_two_pools},
    {"threads", play_threads},
    {"threads_no_proc", play_threads},
    {"terminal_report", play_terminal_report},
    {"terminal_stop", play_terminal_stop},
    {"pipe_report", play_pipe_report},
    {"closed_report", play_closed_report},
    {"raced_socket", try_raced_socket},
    {"spares", play_spares},
    {"spares_exec", play_spares_by_exec},
    {"spares_host", play_spares_by_host},
    {"upgrade", play_upgrade},
    {"upgrade_two", play_upgrade_of_two},
    {"upgrade_daemon", play_upgrade_of_daemon},
};

int main(int argc, char **argv) {
    if (argc == 1) {
        for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
            puts(scenarios[i].name);
        }
        return 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(argv[1], "executed") == 0) {
        return executed();
    }
    if (strcmp(argv[1], "foreign") == 0 && getenv("NOTIFY_SOCKET") != NULL) {
        return be_foreign_program();
    }
    if (strcmp(argv[1], "upgraded") == 0 && argc > 2) {
        return be_upgraded(argv + 2);
    }
    scene_begin();
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(argv[1], scenarios[i].name) == 0) {
            scenarios[i].play();
            if (pf_task_id() >= 0) {
                _exit(0);
            }
            scene_end();
            return scene.error == 0 && scene.reported == 0 ? 0 : 1;
        }
    }
    return 2;
}
