/*
 * deny.c - play scenarios while a system call is denied, and print what came of each
 *
 * deny            reads lines "CALL ERROR SCENARIO", and prints each with ": RESULT"
 * deny calls      prints "CALL SCENARIO" for each call that the processes of a scenario make
 * deny known      prints the calls that it can deny
 *
 * A seccomp filter denies the call to the supervisor and to its workers. This process is none of
 * them. Other machines than x86-64 have other calls: there nothing is played.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "denial.h"
#include "error_name.h"
#include "filter.h"
#include "process.h"

#ifdef __x86_64__

#define LIMIT_MS (time_scale() * 20000U)
#define GRACE_MS (time_scale() * 1000U)

enum { SHARED_FILE = 100, NO_FILTER = 77, MAX_CALL = 1024, MAX_LINES = 4096 };

static const struct {
    const char *name;
    long number;
    bool denied;
} calls[] = {
#define DENIED(name) {#name, SYS_##name, true},
#define EXEMPT(name) {#name, SYS_##name, false},
#include "denied_calls.h"
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static struct denial *denial;
static int output[2]; /* what the processes write to standard error */
static int manager = -1;
static struct sockaddr_un manager_name = {.sun_family = AF_UNIX};
static bool made[MAX_CALL];

/* ---- The processes --------------------------------------------------------------------- */

static bool has_children(void) { return waitpid(-1, NULL, WNOHANG) >= 0; }

/* Kills what is left after a moment; returns whether there was any. */
static bool clear_children(void) {
    uint64_t limit = now_ms() + GRACE_MS;
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    while (has_children() && now_ms() < limit) {
        (void)usleep(300);
    }
    bool left = has_children();
    while (has_children()) {
        FILE *children = fopen(path, "re");
        int pid = 0;
        while (children != NULL && fscanf(children, "%d", &pid) == 1) {
            (void)kill(pid, SIGKILL);
        }
        if (children != NULL) {
            (void)fclose(children);
        }
        (void)usleep(300);
    }
    return left;
}

static void leave(int result) {
    if (result < 0) {
        denial->error = -result;
    }
    _exit(result < 0 ? 1 : 0);
}

static void be_supervisor(const struct denial_scenario *scenario, long number, int error) {
    (void)setsid();
    (void)dup2(output[1], STDERR_FILENO);
    (void)close(output[0]);
    (void)close(output[1]);
    (void)close(manager);
    if (error == 0) {
        denial->listener = filter_watch();
        while (!denial->listened) {
            /* no call */
        }
    } else if (!filter_forbid(number, error)) {
        _exit(NO_FILTER);
    }
    leave(scenario->play(denial));
}

/* Does what the scenario asks for. */
static void serve(pid_t supervisor) {
    char text[4096];
    pid_t victim = atomic_exchange(&denial->victim, 0);

    if (victim > 0) {
        (void)kill(victim, SIGKILL);
    }
    if (atomic_exchange(&denial->end_it, false)) {
        (void)kill(supervisor, SIGTERM);
    }
    while (read(output[0], text, sizeof(text)) > 0) {
    }
    while (recv(manager, text, sizeof(text), MSG_DONTWAIT) > 0) {
    }
}

/* ---- Watching -------------------------------------------------------------------------- */

static int fetch_listener(pid_t supervisor) {
    int pidfd = (int)syscall(SYS_pidfd_open, supervisor, 0);

    while (denial->listener == 0) {
        (void)usleep(100);
    }
    int listener =
        denial->listener < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, (int)denial->listener, 0);
    denial->listened = true;
    (void)close(pidfd);
    return listener;
}

/* Notes the calls that wait, and lets them go on. */
static void watch(int listener, int timeout_ms) {
    struct pollfd call = {.fd = listener, .events = POLLIN};

    while (poll(&call, 1, timeout_ms) > 0 && (call.revents & POLLIN) != 0) {
        struct seccomp_notif asked;
        memset(&asked, 0, sizeof(asked));
        /* Not ioctl(): musl's takes an int, in which these requests have no place. */
        if (syscall(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
            continue;
        }
        if (asked.data.nr >= 0 && asked.data.nr < MAX_CALL) {
            made[asked.data.nr] = true;
        }
        struct seccomp_notif_resp answer = {.id = asked.id,
                                            .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        (void)syscall(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
        timeout_ms = 0;
    }
}

/* ---- One scenario ---------------------------------------------------------------------- */

enum end { ENDED, HANGS, DIES, UNFILTERED };

/* Waits for the end of all processes, the daemon among them. */
static enum end wait_for_end(const struct denial_scenario *scenario, pid_t supervisor, int listener,
                             int *ret_signal) {
    uint64_t limit = now_ms() + LIMIT_MS;
    enum end end = ENDED;
    bool has_ended = false;

    *ret_signal = 0;
    while (now_ms() < limit) {
        int status = 0;
        serve(supervisor);
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == supervisor || (pid > 0 && pid == denial->daemon)) {
            bool expected =
                scenario->is_stopped && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
            if (expected) {
                denial->done = denial->restarted;
            } else if (WIFSIGNALED(status)) {
                *ret_signal = WTERMSIG(status);
                end = DIES;
            } else if (WEXITSTATUS(status) == NO_FILTER) {
                end = UNFILTERED;
            } else if (WEXITSTATUS(status) > denial->status) {
                denial->status = WEXITSTATUS(status); /* a daemon's, or that of its launch */
            }
            has_ended = !scenario->is_daemon || pid == denial->daemon;
        }
        has_ended = has_ended || (pid < 0 && errno == ECHILD);
        if (has_ended) {
            return end;
        }
        if (listener >= 0) {
            watch(listener, 1);
        } else if (pid <= 0) {
            (void)usleep(300);
        }
    }
    return HANGS;
}

static enum end play(const struct denial_scenario *scenario, long number, int error,
                     int *ret_signal, bool *ret_left) {
    char directory[sizeof(denial->directory)];

    memcpy(directory, denial->directory, sizeof(directory));
    memset(denial, 0, sizeof(*denial));
    memcpy(denial->directory, directory, sizeof(directory));
    denial_remove_files(denial);
    (void)fflush(stdout);
    pid_t supervisor = fork();
    if (supervisor < 0) {
        exit(1);
    }
    if (supervisor == 0) {
        be_supervisor(scenario, number, error);
    }
    int listener = error == 0 ? fetch_listener(supervisor) : -1;
    enum end end = wait_for_end(scenario, supervisor, listener, ret_signal);
    (void)close(listener);
    *ret_left = clear_children();
    return end;
}

static void print_result(const struct denial_scenario *scenario, enum end end, int number,
                         bool left) {
    const char *error = denial->error >= 4096 ? "an error of the library"
                        : denial->error != 0  ? error_name(denial->error)
                                              : "no error";

    if (end == HANGS) {
        puts("HANGS");
    } else if (end == DIES) {
        printf("DIES of signal %d\n", number);
    } else if (end == UNFILTERED) {
        puts("NO FILTER");
    } else if (left) {
        puts("LEAVES processes");
    } else if (denial->failures > 0) {
        puts("the workers fail");
    } else if (denial->failed_starts > 0) {
        printf("no worker starts: %s\n", error);
    } else if (scenario->is_daemon && denial->done && denial->status != 0) {
        puts("works, the launch fails");
    } else if (!denial->done && denial->error == 0) {
        printf("ends with status %d\n", denial->status);
    } else if (!denial->done && !denial->started) {
        printf("refused: %s\n", error);
    } else if (!denial->done) {
        printf("ends: %s\n", error);
    } else if (scenario->has_pool && !denial->restarted) {
        puts("NO RESTART");
    } else if (scenario->has_pool && !denial->reported) {
        puts("works, the exit status is lost");
    } else if (denial->upgrade_error != 0) {
        printf("works, the upgrade is refused: %s\n", error_name(denial->upgrade_error));
    } else if (denial->upgraded && denial->adopted < DENIAL_WORKERS) {
        puts("works, the upgrade adopts no worker");
    } else {
        puts("works");
    }
    (void)fflush(stdout);
}

static bool play_line(const char *call, const char *error, const char *name) {
    const struct denial_scenario *scenario = denial_scenario_named(name);
    int index = 0;
    int number = 0;
    bool left = false;

    while (index < CALLS && strcmp(calls[index].name, call) != 0) {
        index++;
    }
    if (scenario == NULL || index == CALLS) {
        return false;
    }
    enum end end = play(scenario, calls[index].number, strcmp(error, "EPERM") == 0 ? EPERM : ENOSYS,
                        &number, &left);
    printf("%s %s %s: ", call, error, name);
    print_result(scenario, end, number, left);
    return true;
}

/* All are read first: a child that exits would set the input back to where it had read. */
static int play_lines(void) {
    static struct { char call[32], error[16], name[32]; } lines[MAX_LINES];
    int count = 0;

    while (count < MAX_LINES && scanf("%31s %15s %31s%*[^\n]", lines[count].call,
                                      lines[count].error, lines[count].name) == 3) {
        count++;
    }
    for (int i = 0; i < count; i++) {
        if (!play_line(lines[i].call, lines[i].error, lines[i].name)) {
            return 1;
        }
    }
    return 0;
}

static int print_calls(void) {
    for (const struct denial_scenario *one = denial_scenarios; one->name != NULL; one++) {
        int number = 0;
        bool left = false;
        memset(made, 0, sizeof(made));
        if (play(one, 0, 0, &number, &left) != ENDED || denial->listener < 0) {
            return NO_FILTER;
        }
        for (int index = 0; index < CALLS; index++) {
            if (made[calls[index].number] && calls[index].denied) {
                printf("%s %s\n", calls[index].name, one->name);
            }
            made[calls[index].number] = false;
        }
        for (int other = 0; other < MAX_CALL; other++) {
            if (made[other]) {
                printf("number-%d %s\n", other, one->name);
            }
        }
    }
    return 0;
}

/* A file, so that the program of an upgrade has it as well. */
static bool share(int file) {
    denial = mmap(NULL, sizeof(*denial), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return denial != MAP_FAILED;
}

static bool prepare(void) {
    const struct rlimit none = {0, 0};
    int file = memfd_create("denial", 0);

    if (file < 0 || ftruncate(file, sizeof(*denial)) != 0 || !share(file) ||
        dup2(file, SHARED_FILE) != SHARED_FILE || close(file) != 0) {
        return false;
    }
    (void)snprintf(denial->directory, sizeof(denial->directory), "/tmp/deny-XXXXXX");
    if (mkdtemp(denial->directory) == NULL || pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0 ||
        setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) != 0) {
        return false;
    }
    (void)snprintf(manager_name.sun_path, sizeof(manager_name.sun_path), "%s/notify",
                   denial->directory);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return bind(manager, (struct sockaddr *)&manager_name, sizeof(manager_name)) == 0 &&
           setenv("NOTIFY_SOCKET", manager_name.sun_path, 1) == 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        return denial_worker();
    }
    if (argc > 1 && strcmp(argv[1], "foreign") == 0) {
        return denial_foreign_worker();
    }
    if (argc > 1 && strcmp(argv[1], "known") == 0) {
        for (int index = 0; index < CALLS; index++) {
            puts(calls[index].name);
        }
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "upgraded") == 0) {
        if (!share(SHARED_FILE)) {
            return 1;
        }
        leave(denial_upgraded(denial));
    }
    if (!prepare()) {
        return 1;
    }
    int result = argc > 1 ? print_calls() : play_lines();
    denial_remove_files(denial);
    (void)unlink(manager_name.sun_path);
    (void)rmdir(denial->directory);
    return result;
}

#else

int main(int argc, char **argv) {
    return argc > 1 && strcmp(argv[1], "worker") == 0 ? denial_worker() : 77;
}

#endif
