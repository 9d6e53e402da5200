/*
 * client.c - prefork status and prefork top
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "options.h"

enum { INTERVAL_MS = 2000, PATIENCE_S = 5, WORKERS_SHOWN = 65536, RETRIES = 5, RETRY_MS = 100 };

struct line {
    int task_id;
    char state[16];
    int pid;
    uint64_t uptime_ms;
    int restarts;
    uint64_t resident_kib;
    uint64_t cpu_ms;
};

struct table {
    int pid;
    int slots;
    int ready;
    int restarted;
    int reloads;
    int count;
    uint64_t time_ms;
    struct line *lines;
};

/* ---- Asking ---------------------------------------------------------------------------------- */

/* Returns the text of the answer, which the caller frees; NULL after a message, if it speaks. */
static char *ask(const char *path, bool speaks) {
    static const char request[] = "GET /workers HTTP/1.1\r\nHost: prefork\r\n\r\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    char part[4096];
    char *text = NULL;
    size_t length = 0;
    ssize_t count = -1;

    if (strlen(path) >= sizeof(address.sun_path)) {
        usage_error("the path of a socket is too long: %s", path);
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FILE *out = open_memstream(&text, &length);
    if (fd >= 0 && out != NULL &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 && /* connect */
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request)) {
        while ((count = recv(fd, part, sizeof(part), 0)) > 0) {
            (void)fwrite(part, 1, (size_t)count, out);
        }
    }
    if (count < 0 && speaks) {
        (void)fprintf(stderr, "prefork: %s: %s\n", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (out == NULL || fclose(out) != 0 || count < 0) {
        free(text);
        return NULL;
    }
    return text;
}

static bool parse(const char *text, struct table *table) {
    const char *line = strstr(text, "\npool ");

    if (line == NULL ||
        sscanf(line, "\npool %d %d %d %d %d", &table->pid, &table->slots, &table->ready,
               &table->restarted, &table->reloads) != 5 ||
        table->slots < 0 || table->slots > WORKERS_SHOWN) {
        (void)fputs("prefork: that is not a pool of this program\n", stderr);
        return false;
    }
    table->lines = calloc((size_t)table->slots + 1, sizeof(*table->lines));
    while (table->lines != NULL && table->count < table->slots &&
           (line = strstr(line + 1, "\nworker ")) != NULL) {
        struct line *next = &table->lines[table->count];
        if (sscanf(line, "\nworker %d %15s %d %" SCNu64 " %d %" SCNu64 " %" SCNu64, &next->task_id,
                   next->state, &next->pid, &next->uptime_ms, &next->restarts, &next->resident_kib,
                   &next->cpu_ms) != 7) {
            break;
        }
        table->count++;
    }
    return table->lines != NULL;
}

static bool look(const char *path, bool speaks, struct table *table) {
    struct timespec now = {0, 0};
    char *text = ask(path, speaks);

    *table = (struct table){.pid = 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    table->time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    /* The first line of the body follows an empty one. */
    bool is_good = text != NULL && parse(text, table);
    free(text);
    return is_good;
}

/* ---- Showing --------------------------------------------------------------------------------- */

static const char *duration(uint64_t milliseconds, char *text, size_t size) {
    const unsigned long long seconds = milliseconds / 1000;

    if (seconds < 60) {
        (void)snprintf(text, size, "%llu.%llus", seconds, milliseconds % 1000 / 100ULL);
    } else if (seconds < 3600) {
        (void)snprintf(text, size, "%llum%02llus", seconds / 60, seconds % 60);
    } else if (seconds < 86400) {
        (void)snprintf(text, size, "%lluh%02llum", seconds / 3600, seconds / 60 % 60);
    } else {
        (void)snprintf(text, size, "%llud%02lluh", seconds / 86400, seconds / 3600 % 24);
    }
    return text;
}

/* Since the last look if the worker is the same; else over its life. */
static double cpu_share(const struct line *line, const struct table *now,
                        const struct table *before) {
    for (int i = 0; before != NULL && i < before->count; i++) {
        const struct line *old = &before->lines[i];
        if (old->pid == line->pid && old->cpu_ms <= line->cpu_ms &&
            now->time_ms > before->time_ms) {
            return 100.0 * (double)(line->cpu_ms - old->cpu_ms) /
                   (double)(now->time_ms - before->time_ms);
        }
    }
    return line->uptime_ms == 0 ? 0 : 100.0 * (double)line->cpu_ms / (double)line->uptime_ms;
}

/* Of the workers, those that a terminal has room for; all, if the output is none. */
static int count_shown(const struct table *table, bool stays) {
    struct winsize size = {.ws_row = 0};
    const int lines_around = 4;

    if (!stays || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row <= lines_around ||
        table->count <= size.ws_row - lines_around) {
        return table->count;
    }
    return size.ws_row - lines_around;
}

static void show(const struct table *table, const struct table *before, bool stays) {
    const int count = count_shown(table, stays);

    (void)printf("supervisor %d: %d of %d workers are ready, %d restarts, %d reloads\n\n",
                 table->pid, table->ready, table->slots, table->restarted, table->reloads);
    (void)printf("%6s  %-9s %8s %9s %8s %11s %7s %9s\n", "WORKER", "STATE", "PID", "UPTIME",
                 "RESTARTS", "MEMORY", "CPU", "CPU TIME");
    for (int i = 0; i < count; i++) {
        const struct line *line = &table->lines[i];
        char uptime[32], cpu[32];
        if (line->pid == 0) {
            (void)printf("%6d  %-9s %8s %9s %8d %11s %7s %9s\n", line->task_id, line->state, "-",
                         "-", line->restarts, "-", "-", "-");
        } else {
            (void)printf("%6d  %-9s %8d %9s %8d %7.1f MiB %6.1f%% %9s\n", line->task_id,
                         line->state, line->pid, duration(line->uptime_ms, uptime, sizeof(uptime)),
                         line->restarts, (double)line->resident_kib / 1024,
                         cpu_share(line, table, before), duration(line->cpu_ms, cpu, sizeof(cpu)));
        }
    }
    if (count < table->count) {
        (void)printf("and %d more\n", table->count - count);
    }
    (void)fflush(stdout);
}

static volatile sig_atomic_t is_over;

static void finish(int number) {
    (void)number;
    is_over = 1;
}

/* An upgrade of the supervisor closes its socket for a moment. */
static bool look_again(const char *path, struct table *now) {
    bool is_good = look(path, false, now);

    for (int i = 0; i < RETRIES && !is_good && !is_over; i++) {
        (void)poll(NULL, 0, RETRY_MS);
        is_good = look(path, i == RETRIES - 1, now);
    }
    return is_good;
}

static bool stay(const char *path, struct table *now) {
    struct table before = {.count = 0};
    bool is_good = true;

    while (is_good && !is_over) {
        (void)printf("\033[H\033[J"); /* to the upper left corner, and clear all below */
        show(now, before.lines == NULL ? NULL : &before, true);
        const bool is_written = ferror(stdout) == 0;
        (void)poll(NULL, 0, is_written ? INTERVAL_MS : 0);
        free(before.lines);
        before = *now;
        now->lines = NULL;
        is_good = is_over || (is_written && look_again(path, now)); /* Ctrl-C ends writes, too */
    }
    free(before.lines);
    return is_good;
}

int client_show(const char *socket, bool stays) {
    const char *path = strncmp(socket, "unix:", 5) == 0 ? socket + 5 : socket;
    const struct sigaction action = {.sa_handler = finish};
    struct table now;

    if (stays) {
        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
    }
    bool is_good = look(path, true, &now);
    if (is_good && stays) {
        is_good = stay(path, &now);
    } else if (is_good) {
        show(&now, NULL, false);
        is_good = ferror(stdout) == 0;
    }
    free(now.lines);
    return is_good ? 0 : STATUS_FAILED;
}
