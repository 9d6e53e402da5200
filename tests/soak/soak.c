/*
 * soak.c - three pools in the chaos, observed from outside: soak SECONDS SEED [FAULT]
 *
 * The rest of this program is in namespaces of process ids and mounts of its own, so that all its
 * processes are seen, and all end with it.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "driver.h"
#include "round.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77, FIRST_USER = 40000, USERS = 20000, END_S = 120 * SLOW };

static struct place place;
static volatile sig_atomic_t stopped;

static const char *const plants[PLANTS] = {[PLANT_LOST_END] = "lost-end",
                                           [PLANT_TWO_ENDS] = "two-ends",
                                           [PLANT_WRONG_STATUS] = "wrong-status",
                                           [PLANT_EARLY_END] = "early-end",
                                           [PLANT_DESCRIPTOR] = "descriptor",
                                           [PLANT_MEMORY] = "memory",
                                           [PLANT_CHILD] = "child",
                                           [PLANT_WORKER] = "worker",
                                           [PLANT_COUNTER] = "counter",
                                           [PLANT_EMPTY_SLOT] = "empty-slot",
                                           [PLANT_FILE] = "file",
                                           [PLANT_REAPER] = "reaper",
                                           [PLANT_LEFT] = "left",
                                           [PLANT_OUTLIVES] = "outlives",
                                           [PLANT_CRASH] = "crash"};

static void note_stop(int signal_number) { stopped = signal_number; }

/* The number of a fault; -1: there is none of that name. */
static int find_plant(const char *name) {
    for (int plant = PLANT_NONE + 1; plant < PLANTS; plant++) {
        if (strcmp(name, plants[plant]) == 0) {
            return plant;
        }
    }
    return -1;
}

static bool write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    (void)close(fd); /* it was written */
    return written;
}

static bool enter_namespaces(void) {
    char map[64];

    if (unshare(CLONE_NEWPID | CLONE_NEWNS) == 0) {
        return true;
    }
    (void)snprintf(map, sizeof(map), "0 %d 1", (int)getuid());
    return unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) == 0 &&
           write_text("/proc/self/uid_map", map);
}

static bool copy(const char *from, const char *to) {
    char buffer[65536];
    ssize_t length = 0;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    bool fine = in >= 0 && out >= 0;

    while (fine && (length = read(in, buffer, sizeof(buffer))) > 0) {
        fine = write(out, buffer, (size_t)length) == length;
    }
    (void)close(in); /* nothing was written */
    return close(out) == 0 && fine && length == 0;
}

/* A directory with copies of the program and the library, which another user may execute. */
static bool make_place(void) {
    char name[400];
    Dl_info info;

    place.user = geteuid() == 0 ? FIRST_USER + (int)getpid() % USERS : 0;
    (void)snprintf(place.directory, sizeof(place.directory), "/tmp/prefork-soak-XXXXXX");
    if (mkdtemp(place.directory) == NULL || chmod(place.directory, 0755) != 0 ||
        dladdr((void *)(intptr_t)pf_version, &info) == 0) {
        return false;
    }
    (void)snprintf(name, sizeof(name), "%s/soak", place.directory);
    bool copied = copy("/proc/self/exe", name);
    (void)snprintf(name, sizeof(name), "%s/libprefork.so.%d", place.directory, PF_VERSION_MAJOR);
    copied = copied && copy(info.dli_fname, name);
    (void)snprintf(name, sizeof(name), "%s/work", place.directory);
    return copied && mkdir(name, 0755) == 0 &&
           (place.user == 0 || chown(name, (uid_t)place.user, (gid_t)place.user) == 0);
}

static void remove_place(void) {
    static const char *const names[] = {"soak", "log", "work/file", "work"};
    char name[400];

    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
        (void)snprintf(name, sizeof(name), "%s/%s", place.directory, names[at]);
        (void)remove(name); /* what is left makes rmdir() fail */
    }
    (void)snprintf(name, sizeof(name), "%s/libprefork.so.%d", place.directory, PF_VERSION_MAJOR);
    (void)remove(name); /* the same */
    if (rmdir(place.directory) != 0) {
        perror(place.directory);
    }
}

static void print_totals(void) {
    printf("%llu rounds, %llu phases, %llu pools, %llu acts, %llu signals\n", totals.rounds,
           totals.phases, totals.pools, totals.acts, totals.signals);
    printf("%llu starts, %llu ends (%llu statuses compared, %llu not seen), %llu restarts\n",
           totals.events[PF_EVENT_STARTED], totals.events[PF_EVENT_EXITED], totals.statuses,
           totals.unseen, totals.restarts);
    printf("%llu reloads (%llu done), %llu failed replacements, %llu unresponsive, %llu killed\n",
           totals.events[PF_EVENT_RELOADING], totals.events[PF_EVENT_RELOADED],
           totals.events[PF_EVENT_RELOAD_FAILED], totals.events[PF_EVENT_UNRESPONSIVE],
           totals.events[PF_EVENT_KILLED]);
    printf("%llu failed starts, %llu resizes, %llu other children, %llu workers stolen\n",
           totals.events[PF_EVENT_START_FAILED], totals.events[PF_EVENT_RESIZED], totals.foreign,
           totals.stolen);
    printf("%llu limits of memory, %llu workers killed by them\n", totals.presses,
           totals.killed_for_memory);
    printf("ends by signal:");
    for (int number = 1; number <= 64; number++) {
        if (totals.signalled[number] != 0) {
            printf(" %d:%llu", number, totals.signalled[number]);
        }
    }
    printf("\n");
}

/* Process 1 of the namespace. */
static int be_first(unsigned seconds, uint64_t seed, int plant) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail */
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", 0, NULL) != 0) {
        perror("skipped: /proc of a pid namespace");
        return EXIT_SKIPPED;
    }
    if (plant != PLANT_NONE) {
        rounds_run_planted(&place, seconds, seed, plant);
    } else {
        rounds_run(&place, seconds, seed);
    }
    print_totals();
    return check_report();
}

/* Waits for process 1, but not for ever. */
static int wait_for_first(pid_t first, unsigned seconds) {
    uint64_t deadline = now_ms() + 1000U * (uint64_t)(seconds * 2 + END_S);
    int status = 0;
    pid_t pid = 0;

    while ((pid = waitpid(first, &status, WNOHANG)) == 0 && now_ms() < deadline && !stopped) {
        pause_ms(20);
    }
    if (pid == 0) {
        printf("FAILED: it does not end\n0 passed, 1 failed\n");
        (void)kill(first, SIGKILL); /* and with it all others */
        (void)waitpid(first, &status, 0);
        return 1;
    }
    if (!WIFEXITED(status)) {
        printf("FAILED: process 1 was killed by signal %d\n0 passed, 1 failed\n", WTERMSIG(status));
        return 1;
    }
    return WEXITSTATUS(status);
}

int main(int argc, char **argv) {
    struct cgroup group;

    if (argc == 2 && strcmp(argv[1], "supervise") == 0) {
        return supervisor_main();
    }
    if (argc == 3 && strcmp(argv[1], "worker") == 0) {
        return worker_main(atoi(argv[2]));
    }
    int plant = argc == 4 ? find_plant(argv[3]) : PLANT_NONE;
    if (argc < 3 || argc > 4 || plant < 0) {
        (void)fprintf(stderr, "usage: soak SECONDS SEED [FAULT]\n");
        return 2;
    }
    (void)signal(SIGINT, note_stop);
    (void)signal(SIGTERM, note_stop);
    (void)signal(SIGHUP, note_stop);
    unsigned seconds = (unsigned)strtoul(argv[1], NULL, 10);
    uint64_t seed = strtoull(argv[2], NULL, 10);
    printf("soak: SECONDS=%u SEED=%llu\n", seconds, (unsigned long long)seed);
    (void)fflush(stdout); /* it is for people */
    place.memory = cgroup_make(&group, "memory") ? &group : NULL;
    if (place.memory == NULL) {
        check_skipped("no cgroup for memory");
    }
    if (!make_place()) {
        perror("soak: directory");
        return 1;
    }
    int result = EXIT_SKIPPED;
    if (!enter_namespaces()) {
        perror("skipped: namespaces");
    } else {
        pid_t first = fork();
        if (first == 0) {
            int status = be_first(seconds, seed, plant);
            (void)fflush(NULL); /* it is for people */
            _exit(status);
        }
        result = wait_for_first(first, seconds);
    }
    remove_place();
    if (place.memory != NULL && !cgroup_remove(&group)) {
        result = result == 0 ? 1 : result;
    }
    return result;
}
