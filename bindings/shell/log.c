/*
 * log.c - events as lines of text or JSON on stderr
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LEVEL_ERROR = 3, LEVEL_WARNING = 4 };

static bool is_json;

void log_open(bool json) { is_json = json; }

static const char *level_name(int level) {
    static const char *const names[] = {"emergency", "alert",  "critical",    "error",
                                        "warning",   "notice", "information", "debug"};

    return level >= 0 && level <= 7 ? names[level] : "notice";
}

static void write_time(FILE *out) {
    struct timespec now = {0, 0};
    struct tm parts;
    char text[32];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    (void)fprintf(out, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static void write_string(FILE *out, const char *text) {
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            (void)fprintf(out, "\\%c", byte);
        } else if (byte < ' ' || byte > '~') {
            (void)fprintf(out, "\\u%04x", byte); /* messages are ASCII */
        } else {
            (void)fputc(byte, out);
        }
    }
    (void)fputc('"', out);
}

/* The supervisor waits for no reader of a FIFO; its workers write as they would without us. */
int log_to_file(const char *path) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);

    if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
        dup2(fd, STDERR_FILENO) < 0) {
        const int error = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return -error;
    }
    (void)close(fd);
    return 0;
}

/* One write for each line: lines of workers do not get into it. The supervisor does not wait for a
 * reader: a pipe that is ready takes a line of up to PIPE_BUF bytes at once. */
static bool write_line(const char *line, size_t length) {
    struct pollfd output = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&output, 1, 0) == 1 && (output.revents & POLLOUT) != 0 &&
           write(STDERR_FILENO, line, length < PIPE_BUF ? length : PIPE_BUF) >= 0;
}

static FILE *begin(int level, char **ret_line, size_t *ret_length) {
    FILE *out = open_memstream(ret_line, ret_length);

    if (out == NULL) {
        return NULL;
    }
    if (is_json) {
        (void)fputs("{\"time\":\"", out);
        write_time(out);
        (void)fprintf(out, "\",\"level\":\"%s\"", level_name(level));
    } else {
        write_time(out);
        (void)fprintf(out, " prefork[%d] %s: ", (int)getpid(), level_name(level));
    }
    return out;
}

static void write_details(FILE *out, const pf_event *event) {
    const char *type = pf_event_type_name(pf_event_type(event));

    (void)fprintf(out, ",\"event\":\"%s\"", type == NULL ? "unknown" : type);
    if (pf_event_task_id(event) >= 0) {
        (void)fprintf(out, ",\"worker\":%d", pf_event_task_id(event));
    }
    if (pf_event_pid(event) > 0) {
        (void)fprintf(out, ",\"pid\":%" PRId32, pf_event_pid(event));
    }
    if (pf_event_type(event) == PF_EVENT_EXITED) {
        if (pf_event_exit_code(event) >= 0) {
            (void)fprintf(out, ",\"exit_code\":%d", pf_event_exit_code(event));
        }
        if (pf_event_signal(event) > 0) {
            (void)fprintf(out, ",\"signal\":%d", pf_event_signal(event));
        }
        (void)fprintf(out,
                      ",\"will_restart\":%s,\"uptime_ms\":%" PRIu64 ",\"max_rss_kib\":%" PRIu64,
                      pf_event_will_restart(event) ? "true" : "false", pf_event_uptime_ms(event),
                      pf_event_max_rss_kib(event));
    }
    if (pf_event_error(event) != 0) {
        (void)fprintf(out, ",\"error\":%d", pf_event_error(event));
    }
    (void)fprintf(out, ",\"restarts\":%d", pf_event_restarts(event));
}

static void finish(FILE *out, const char *message, const pf_event *event, char **line,
                   const size_t *length) {
    static unsigned long lost;
    char text[80];

    if (is_json) {
        if (event != NULL) {
            write_details(out, event);
        }
        (void)fputs(",\"message\":", out);
        write_string(out, message);
        (void)fputc('}', out);
    } else {
        (void)fputs(message, out);
    }
    (void)fputc('\n', out);
    if (fclose(out) == 0 && !write_line(*line, *length)) {
        lost++;
    } else if (lost > 0) {
        (void)snprintf(text, sizeof(text), "%lu lines before this one were lost", lost);
        lost = 0;
        log_line(LEVEL_WARNING, "%s", text);
    }
    free(*line);
}

void log_event(const pf_event *event) {
    char *line = NULL;
    size_t length = 0;
    FILE *out = begin(pf_event_level(event), &line, &length);

    if (out != NULL) {
        finish(out, pf_event_message(event), event, &line, &length);
    }
}

void log_line(int level, const char *format, ...) {
    char message[512];
    char *line = NULL;
    size_t length = 0;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    FILE *out = begin(level, &line, &length);
    if (out != NULL) {
        finish(out, message, NULL, &line, &length);
    }
}

void log_failure(const char *what, int error, int status) {
    log_line(LEVEL_ERROR, "%s: %s", what, pf_strerror(error));
    exit(status);
}
