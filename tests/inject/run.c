/*
 * Run one scenario: run SECONDS PROGRAM ARGUMENTS...
 *
 * Adopts what the program leaves behind, and writes "broken: ..." for a program that does not end
 * in time, that a signal ends, or that leaves a process. Kills everything at its end.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { tick_ms = 2, grace_ms = 3000 };

static long long now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* Kills the children that this process has, adopted ones among them; returns their number. */
static int kill_children(int report) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *list = fopen(path, "re");
    int pid, count = 0;
    while (list != NULL && fscanf(list, "%d", &pid) == 1) {
        char name[64], command[256] = "";
        snprintf(name, sizeof(name), "/proc/%d/cmdline", pid);
        FILE *file = fopen(name, "re");
        if (file != NULL) {
            const size_t length = fread(command, 1, sizeof(command) - 1, file);
            for (size_t i = 0; i + 1 < length; i++) {
                command[i] = command[i] == 0 ? ' ' : command[i];
            }
            fclose(file);
        }
        if (report && command[0] != 0) {
            printf("broken: process %d is left: %s\n", pid, command);
        }
        kill(pid, SIGKILL);
        count++;
    }
    if (list != NULL) {
        fclose(list);
    }
    return count;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        return 2;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    long long deadline = now_ms() + atoi(argv[1]) * 1000LL;
    const char *preload = getenv("INJECT_PRELOAD");
    const pid_t main_pid = fork();
    if (main_pid == 0) {
        setsid();
        if (getenv("INJECT_LISTEN") != NULL) {
            char pid[16];
            snprintf(pid, sizeof(pid), "%d", (int)getpid());
            setenv("LISTEN_PID", pid, 1);
            setenv("LISTEN_FDS", "1", 1);
        }
        if (preload != NULL) {
            setenv("LD_PRELOAD", preload, 1);
        }
        execv(argv[2], argv + 2);
        _exit(127);
    }
    int ended = 0;
    for (;;) {
        int status;
        const pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == main_pid) {
            ended = 1;
            const char *wanted = getenv("INJECT_SIGNAL");
            const int expected = wanted == NULL ? 0 : atoi(wanted);
            if (WIFSIGNALED(status) && WTERMSIG(status) != expected) {
                printf("broken: the supervisor died of %s\n", strsignal(WTERMSIG(status)));
            } else if (WIFEXITED(status) && WEXITSTATUS(status) > 1 &&
                       (expected == 0 || WEXITSTATUS(status) != 128 + expected)) {
                printf("broken: the supervisor exited with %d\n", WEXITSTATUS(status));
            }
            if (getenv("INJECT_DAEMON") == NULL) {
                const char *scale = getenv("TEST_TIME_SCALE");
                deadline = now_ms() + grace_ms * (scale == NULL ? 1 : atoi(scale));
            }
        } else if (pid < 0 && errno == ECHILD) {
            break;
        } else if (pid <= 0) {
            if (now_ms() >= deadline) {
                if (!ended) {
                    printf("broken: did not end in %s s\n", argv[1]);
                }
                kill_children(ended);
                const long long last = now_ms() + 2000;
                while (now_ms() < last && waitpid(-1, NULL, WNOHANG) >= 0) {
                    kill_children(0);
                    usleep(tick_ms * 1000);
                }
                break;
            }
            usleep(tick_ms * 1000);
        }
    }
    return 0;
}
