/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "systems.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

static int done; /* workers that must have been started */

static int reloaded(struct scene *s) {
    return s->events[PF_EVENT_RELOADED] > 0 || s->events[PF_EVENT_RELOAD_FAILED] > 0;
}

static int aged(struct scene *s) { return s->started >= done; }

/* ---- Programs --------------------------------------------------------------------------- */

static int make_program_pool(const char *path) {
    const char *const argv[] = {"program", "executed", NULL};
    return scene_make_pool(scene_serve) && TRY(pf_pool_set_name(scene.pool, "executed")) &&
           TRY(pf_pool_add_fd(scene.pool, "directory", 3)) &&
           TRY(pf_pool_set_ready_timeout(scene.pool, 1500)) &&
           TRY(pf_pool_set_exec(scene.pool, path, argv, NULL));
}

void play_removed_program(void) {
    if (make_program_pool(NULL) && scene_start()) {
        unlink("program");
        TRY(pf_pool_reload(scene.pool));
        scene_until(&scene, "reload", reloaded);
    }
    scene_finish(&scene, pf_pool_stop);
    unlink("program");
}

void play_aging_program(void) {
    if (make_program_pool(NULL) && TRY(pf_pool_set_backend(scene.pool, PF_BACKEND_SIGCHLD)) &&
        TRY(pf_pool_set_reload_order(scene.pool, PF_RELOAD_STOP_FIRST)) &&
        TRY(pf_pool_set_lifetime(scene.pool, 150, 50)) && scene_start()) {
        done = 2 * scene.workers;
        scene_until(&scene, "age", aged);
    }
    scene_finish(&scene, pf_pool_stop);
    unlink("program");
}

void play_program_with_rights(void) {
    char path[4096];
    if (chmod("program", 04755) < 0 || realpath("program", path) == NULL) {
        scene_broken("the test's program: %s", strerror(errno));
    }
    if (make_program_pool(path)) {
        scene_start();
    }
    scene_finish(&scene, pf_pool_stop);
    unlink("program");
}

int be_foreign_program(void) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const char *text = "READY=1";
    if (path == NULL || fd < 0 || strlen(path) >= sizeof(name.sun_path)) {
        return 9;
    }
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    for (;;) {
        (void)sendto(fd, text, strlen(text), 0, (struct sockaddr *)&name, sizeof(name));
        text = "WATCHDOG=1";
        usleep(50000);
    }
}

void play_foreign_program(void) {
    const char *const argv[] = {"program", "foreign", NULL};
    if (scene_make_pool(scene_serve) && TRY(pf_pool_set_ready_timeout(scene.pool, 1500)) &&
        TRY(pf_pool_set_heartbeat_timeout(scene.pool, 1000)) &&
        TRY(pf_pool_set_exec(scene.pool, NULL, argv, NULL)) &&
        TRY(pf_pool_set_foreign_workers(scene.pool, 1)) && scene_start()) {
        TRY(pf_pool_reload(scene.pool));
        scene_until(&scene, "reload", reloaded);
    }
    scene_finish(&scene, pf_pool_stop);
    unlink("program");
}

/* ---- Orphans ---------------------------------------------------------------------------- */

/* The first worker of a slot ends, and leaves a process in its group and one that left it. */
static int leave_orphans(int task_id, void *user) {
    char name[32];
    snprintf(name, sizeof(name), "crashed-%d", task_id);
    const int file = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) {
        scene_serve(task_id, user);
    }
    close(file);
    if (fork() == 0) {
        alarm(3); /* where the library could not make a group, nobody kills it */
        scene_serve(task_id, user);
    }
    if (fork() == 0) {
        setpgid(0, 0);
        _exit(0);
    }
    usleep(20000);
    return 3;
}

static int crashed(struct scene *s) { return s->started >= 2 * s->workers && scene_all_ready(s); }

void play_orphans(void) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (scene_make_pool(leave_orphans) &&
        TRY(pf_pool_set_process_groups(scene.pool, PF_GROUP_KILL)) &&
        TRY(pf_pool_set_reap_orphans(scene.pool, PF_REAP_ALL)) && TRY(pf_pool_start(scene.pool))) {
        scene_until(&scene, "restart", crashed);
    }
    scene_finish(&scene, pf_pool_stop);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    /* The orphans are the program's where the library could not kill or reap them. */
    for (int i = 0; i < scene.started; i++) {
        if (waitpid(scene.processes[i].pid, NULL, WNOHANG) >= 0) {
            scene_broken("worker %d is left", (int)scene.processes[i].pid);
        }
        kill(-scene.processes[i].pid, SIGKILL);
    }
    while (waitpid(-1, NULL, 0) > 0) {
    }
}

/* ---- Pools ------------------------------------------------------------------------------ */

void play_two_pools(void) {
    if (!scene_make_pool(scene_serve) ||
        !TRY(pf_pool_set_backend(scene.pool, PF_BACKEND_SIGCHLD)) || !scene_start()) {
        scene_finish(&scene, pf_pool_stop);
        return;
    }
    const struct scene first = scene;
    scene = (struct scene){.workers = 3};
    if (scene_make_pool(scene_serve) && TRY(pf_pool_set_signals(scene.pool, PF_SIGNALS_STANDARD)) &&
        scene_start()) {
        TRY(pf_pool_replace_worker(scene.pool, 2));
    }
    scene_finish(&scene, pf_pool_kill);
    scene = first;
    scene_finish(&scene, pf_pool_stop);
}

/* ---- Threads ---------------------------------------------------------------------------- */

static void *wait_for_byte(void *end) {
    char byte;
    while (read(*(int *)end, &byte, 1) < 0 && errno == EINTR) {
    }
    return NULL;
}

void play_threads(void) {
    pthread_t thread;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0 || pthread_create(&thread, NULL, wait_for_byte, ends) != 0) {
        scene_broken("the test has no pipe or thread");
        return;
    }
    if (scene_make_pool(scene_serve)) {
        const int result = pf_pool_start(scene.pool);
        if (result >= 0) {
            scene_broken("a pool starts beside a thread");
        } else if (result != PF_ETHREADS) {
            scene_failed(&scene, "pf_pool_start", result);
        }
    }
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
    if (scene.pool != NULL && scene.error == 0) {
        scene_start();
    }
    scene_finish(&scene, pf_pool_stop);
}

/* ---- Terminals -------------------------------------------------------------------------- */

/* A terminal, which becomes that of the session; returns the master. */
static int open_terminal(int *ret_terminal) {
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) {
        scene_broken("the test has no terminal: %s", strerror(errno));
        return -1;
    }
    *ret_terminal = open(ptsname(master), O_RDWR | O_CLOEXEC);
    return master;
}

static int keep_stderr(int fd) {
    const int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(fd, STDERR_FILENO);
    return saved;
}

static void restore_stderr(int saved) {
    dup2(saved, STDERR_FILENO);
    close(saved);
}

void play_terminal_report(void) {
    int terminal = -1;
    const int master = open_terminal(&terminal);
    const int saved = keep_stderr(terminal);
    play_run();
    restore_stderr(saved);
    signal(SIGHUP, SIG_IGN);
    close(terminal);
    close(master);
}

/* The supervisor, in a process group of its own. */
static void be_job(int terminal) {
    setpgid(0, 0);
    scene_be_supervisor();
    if (scene_make_pool(scene_serve) && TRY(pf_pool_set_signals(scene.pool, PF_SIGNALS_STANDARD)) &&
        scene_start()) {
        const pid_t reader = fork();
        if (reader == 0) {
            char byte;
            signal(SIGTTIN, SIG_DFL);
            _exit(read(terminal, &byte, 1) < 0 ? 1 : 0);
        }
        /* Where the supervisor may not stop itself, nobody continues the reader. */
        for (int round = 0; waitpid(reader, NULL, WNOHANG) == 0; round++) {
            if (round == 100 || !TRY(pf_pool_dispatch(scene.pool, 20))) {
                kill(reader, SIGKILL);
                waitpid(reader, NULL, 0);
                break;
            }
        }
    }
    scene_finish(&scene, pf_pool_stop);
    scene_end();
    _exit(scene.error == 0 && scene.reported == 0 ? 0 : 1);
}

void play_terminal_stop(void) {
    int terminal = -1;
    const int master = open_terminal(&terminal);
    signal(SIGTTOU, SIG_IGN);
    const pid_t job = fork();
    if (job == 0) {
        signal(SIGTTOU, SIG_DFL);
        close(master);
        be_job(terminal);
    }
    setpgid(job, job);
    int status = 0;
    while (waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status)) {
        tcsetpgrp(terminal, job); /* as the command fg of a shell */
        kill(-job, SIGCONT);
        (void)!write(master, "\n", 1);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
        scene_broken("the job ended with %x", (unsigned)status);
    }
    tcsetpgrp(terminal, getpgrp());
    signal(SIGTTOU, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    close(terminal);
    close(master);
    scene.error = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
}

/* ---- Reports ---------------------------------------------------------------------------- */

static void report_to_pipe(int has_reader) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        scene_broken("the test has no pipe");
        return;
    }
    const int saved = keep_stderr(ends[1]);
    close(ends[1]);
    if (!has_reader) {
        close(ends[0]);
    }
    play_run();
    restore_stderr(saved);
    if (has_reader) {
        close(ends[0]);
    }
}

void play_pipe_report(void) { report_to_pipe(1); }
void play_closed_report(void) { report_to_pipe(0); }
