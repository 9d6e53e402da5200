/*
 * log.c - events as lines of text or JSON on stderr
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

/* One write for each line: lines of workers do not get into it. */
static void write_line(char *line, size_t length) {
    if (line != NULL && write(STDERR_FILENO, line, length) < 0) {
        /* There is nobody to tell. */
    }
    free(line);
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
    if (fclose(out) == 0) {
        write_line(*line, *length);
    }
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
    log_line(3, "%s: %s", what, pf_strerror(error));
    exit(status);
}
