/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "upgrades.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scene.h"

static const char pool_name[] = "upgraded";

static int wanted; /* workers that must have been started */
static int ends;   /* that must have been reported */

static int replaced(struct scene *s) { return s->started >= wanted && scene_all_ready(s); }

static int has_ended(struct scene *s) { return s->events[PF_EVENT_EXITED] >= ends; }

static int has_spare(struct scene *s) {
    return pf_pool_counter(s->pool, PF_COUNT_SPARES) >= 1 && scene_all_ready(s);
}

static int reloaded(struct scene *s) {
    return s->events[PF_EVENT_RELOADED] > 0 || s->events[PF_EVENT_RELOAD_FAILED] > 0;
}

/* A worker is killed and restarted. */
static int kill_one(void) {
    const int32_t pid = pf_pool_worker_pid(scene.pool, 0);
    ends = scene.events[PF_EVENT_EXITED] + 1;
    wanted = scene.started + 1;
    if (pid > 0) {
        kill(pid, SIGKILL);
    }
    return scene_until(&scene, "end", has_ended) && scene_until(&scene, "restart", replaced);
}

/* ---- Spares ----------------------------------------------------------------------------- */

static void use_spares(void) {
    if (scene_start() && scene_until(&scene, "spare", has_spare)) {
        wanted = scene.started + 1;
        if (TRY(pf_pool_replace_worker(scene.pool, 1)) &&
            scene_until(&scene, "replacement", replaced) &&
            scene_until(&scene, "second spare", has_spare) && kill_one() &&
            TRY(pf_pool_reload(scene.pool))) {
            scene_until(&scene, "reload", reloaded);
        }
    }
    scene_finish(&scene, pf_pool_stop);
}

void play_spares(void) {
    if (!scene_make_pool(scene_serve) || !TRY(pf_pool_set_spares(scene.pool, 1))) {
        pf_pool_free(scene.pool);
        return;
    }
    use_spares();
}

void play_spares_by_exec(void) {
    const char *const argv[] = {"scenarios", "executed", NULL};
    if (!scene_make_pool(scene_serve) || !TRY(pf_pool_set_name(scene.pool, "executed")) ||
        !TRY(pf_pool_add_fd(scene.pool, "directory", 3)) ||
        !TRY(pf_pool_set_ready_timeout(scene.pool, 1500)) ||
        !TRY(pf_pool_set_exec(scene.pool, NULL, argv, NULL)) ||
        !TRY(pf_pool_set_spares(scene.pool, 1))) {
        pf_pool_free(scene.pool);
        return;
    }
    use_spares();
}

void play_spares_by_host(void) {
    if (!scene_make_pool(scene_serve) || !TRY(pf_pool_set_host_fork(scene.pool, 1)) ||
        !TRY(pf_pool_set_spares(scene.pool, 1))) {
        pf_pool_free(scene.pool);
        return;
    }
    use_spares();
}

/* ---- The old program ---------------------------------------------------------------------- */

static int make_named_pool(const char *name) {
    return scene_make_pool(scene_serve) && TRY(pf_pool_set_name(scene.pool, name)) &&
           TRY(pf_pool_set_signals(scene.pool, PF_SIGNALS_STOP_ONLY));
}

static int bind_socket(void) {
    int fd = -1;
    return TRY(pf_bind_sockets("127.0.0.1", 0, AF_INET, 0, 0, &fd, 1)) ? fd : -1;
}

static int add_pids(const struct scene *s, char (*texts)[16], const char **arguments) {
    int count = 0;
    for (int i = 0; i <= s->started; i++) {
        const int32_t pid = i == s->started              ? s->spare
                            : s->processes[i].exits == 0 ? s->processes[i].pid
                                                         : 0;
        if (pid > 0) {
            snprintf(texts[count], sizeof(texts[count]), "%d", (int)pid);
            arguments[count] = texts[count];
            count++;
        }
    }
    return count;
}

/* The new program is told the processes of both pools. Where there is none, all is as it was. */
static void upgrade(const char *scenario, struct scene *other) {
    char texts[2 * scene_max_workers][16];
    const char *arguments[2 * scene_max_workers + 4];
    int result = -EAGAIN;
    for (int round = 0; result == -EAGAIN && round < 20; round++) {
        scene_dispatch(&scene, 0);
        if (other != NULL) {
            scene_dispatch(other, 0);
        }
        int count = 0;
        arguments[count++] = "scenarios";
        arguments[count++] = "upgraded";
        arguments[count++] = scenario;
        count += add_pids(&scene, texts, arguments + count);
        if (other != NULL) {
            count += add_pids(other, texts + scene_max_workers, arguments + count);
        }
        arguments[count] = NULL;
        fflush(stdout);
        result = pf_upgrade(NULL, arguments, NULL);
    }
    scene_failed(&scene, "pf_upgrade", result);
    const int error = scene.error;
    scene.error = 0;
    kill_one();
    scene.error = error;
}

void play_upgrade(void) {
    scene.lasting_blocks = 1; /* what was bound last */
    const int fd = bind_socket();
    if (fd >= 0 && make_named_pool(pool_name) && scene_start()) {
        upgrade("upgrade", NULL);
    }
    scene_finish(&scene, pf_pool_stop);
    close(fd);
}

void play_upgrade_of_two(void) {
    if (!make_named_pool("dropped") || !TRY(pf_pool_set_backend(scene.pool, PF_BACKEND_SIGCHLD)) ||
        !scene_start()) {
        scene_finish(&scene, pf_pool_stop);
        return;
    }
    struct scene other = scene;
    scene = (struct scene){.workers = 2};
    if (make_named_pool(pool_name) && TRY(pf_pool_set_backend(scene.pool, PF_BACKEND_SIGCHLD)) &&
        TRY(pf_pool_set_spares(scene.pool, 1)) && scene_start() &&
        scene_until(&scene, "spare", has_spare)) {
        upgrade("upgrade_two", &other);
    }
    scene_finish(&scene, pf_pool_stop);
    scene_finish(&other, pf_pool_stop);
}

static int make_foreign_pool(void) {
    const char *const argv[] = {"program", "foreign", NULL};
    return make_named_pool(pool_name) && TRY(pf_pool_set_ready_timeout(scene.pool, 1500)) &&
           TRY(pf_pool_set_heartbeat_timeout(scene.pool, 1000)) &&
           TRY(pf_pool_set_exec(scene.pool, NULL, argv, NULL)) &&
           TRY(pf_pool_set_foreign_workers(scene.pool, 1));
}

void play_upgrade_of_daemon(void) {
    if (!TRY(pf_daemonize("pid"))) {
        unlink("program");
        return;
    }
    scene_be_supervisor();
    if (make_foreign_pool() && scene_start()) {
        upgrade("upgrade_daemon", NULL);
    }
    scene_finish(&scene, pf_pool_stop);
    unlink("program");
}

/* ---- The new program -------------------------------------------------------------------- */

/* What fails once may be tried again. If the pool cannot start at all, the workers end with this
 * process. */
static int start_again(void) {
    for (int round = 0; round < 2; round++) {
        if (TRY(pf_pool_start(scene.pool))) {
            return 1;
        }
    }
    return 0;
}

static int play_rest(const char *scenario) {
    const int is_daemon = strcmp(scenario, "upgrade_daemon") == 0;
    if (is_daemon && !TRY(pf_daemonize("pid"))) {
        return 0;
    }
    const int fd = strcmp(scenario, "upgrade") == 0 ? bind_socket() : -1;
    if (strcmp(scenario, "upgrade") == 0 && fd < 0) {
        return 0;
    }
    if (!(is_daemon ? make_foreign_pool() : make_named_pool(pool_name)) ||
        (strcmp(scenario, "upgrade_two") == 0 && !TRY(pf_pool_set_spares(scene.pool, 1))) ||
        !start_again()) {
        return 0;
    }
    if (scene_until(&scene, "adoption", scene_all_ready)) {
        kill_one();
    }
    scene_finish(&scene, pf_pool_stop);
    close(fd);
    return 1;
}

int be_upgraded(char **arguments) {
    scene_begin_upgraded();
    for (char **pid = arguments + 1; *pid != NULL; pid++) {
        scene.processes[scene.started++].pid = (int32_t)strtol(*pid, NULL, 10);
    }
    scene.lasting_blocks = 10; /* what the old program has handed over is kept */
    const int is_whole = play_rest(arguments[0]);
    if (strcmp(arguments[0], "upgrade_daemon") == 0) {
        unlink("program");
    }
    if (is_whole) {
        scene_end();
    }
    return scene.error == 0 && scene.reported == 0 ? 0 : 1;
}
