/*
 * options.c - what the command line of prefork(1) says
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: prefork [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "       prefork status SOCKET     a table of the workers\n"
    "       prefork top SOCKET        the same, renewed every 2 s\n"
    "\n"
    "Runs copies of a program, and keeps them running.\n"
    "\n"
    "  -n, --workers N           how many; default: as many as processors\n"
    "  -l, --listen ADDRESS      PORT, HOST:PORT, [IPV6]:PORT or unix:PATH, passed as\n"
    "                            LISTEN_FDS; may be repeated;      --backlog N\n"
    "      --ready-timeout S     a worker must send READY=1 within S seconds\n"
    "      --heartbeat-timeout S and WATCHDOG=1 at least every S seconds\n"
    "      --min-uptime S        how long a replacement must live; default 1\n"
    "      --stop-signal SIGNAL  default TERM;   --stop-timeout S  then KILL; default 10\n"
    "      --restart WHEN        failure (default), always, never\n"
    "      --max-restarts N      in all; default: no limit\n"
    "      --restart-window N,S  at most N restarts in S seconds\n"
    "      --backoff S,S         first and longest delay of a restart; default 0.1,5\n"
    "      --boot-limit N        give up after N failed starts in a row; default 5\n"
    "      --lifetime S[,JITTER] replace each worker after S seconds and up to JITTER more\n"
    "      --reload-order ORDER  start (default) or stop the old worker first;  --width N\n"
    "      --group MODE          kill (default), signals, none: the workers' own children\n"
    "      --native              the program uses libprefork\n"
    "      --name NAME           of the pool\n"
    "      --daemon              go to the background when all workers are ready\n"
    "      --pid-file PATH       of the daemon;    --log-file PATH\n"
    "      --log-format FORMAT   text (default) or json\n"
    "      --metrics ADDRESS     serve /metrics, /healthz and the table there\n"
    "      --version, --help\n"
    "\n"
    "TERM stops, HUP replaces the workers one by one, TTIN and TTOU change their number,\n"
    "USR1 and WINCH go to the workers. Times are in seconds, such as 2.5.\n";

void usage_error(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    (void)fputs("prefork: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputs("\nTry 'prefork --help'.\n", stderr);
    va_end(arguments);
    exit(STATUS_USAGE);
}

enum {
    OPT_LISTEN = 'l',
    OPT_WORKERS = 'n',
    OPT_HELP = 'h',
    OPT_BACKLOG = 256,
    OPT_READY,
    OPT_HEARTBEAT,
    OPT_UPTIME,
    OPT_STOP_SIGNAL,
    OPT_STOP_TIMEOUT,
    OPT_RESTART,
    OPT_MAX_RESTARTS,
    OPT_WINDOW,
    OPT_BACKOFF,
    OPT_BOOT_LIMIT,
    OPT_LIFETIME,
    OPT_ORDER,
    OPT_WIDTH,
    OPT_GROUP,
    OPT_NATIVE,
    OPT_NAME,
    OPT_DAEMON,
    OPT_PID_FILE,
    OPT_LOG_FILE,
    OPT_LOG_FORMAT,
    OPT_METRICS,
    OPT_VERSION
};

static const struct option long_options[] = {
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"backlog", required_argument, NULL, OPT_BACKLOG},
    {"ready-timeout", required_argument, NULL, OPT_READY},
    {"heartbeat-timeout", required_argument, NULL, OPT_HEARTBEAT},
    {"min-uptime", required_argument, NULL, OPT_UPTIME},
    {"stop-signal", required_argument, NULL, OPT_STOP_SIGNAL},
    {"stop-timeout", required_argument, NULL, OPT_STOP_TIMEOUT},
    {"restart", required_argument, NULL, OPT_RESTART},
    {"max-restarts", required_argument, NULL, OPT_MAX_RESTARTS},
    {"restart-window", required_argument, NULL, OPT_WINDOW},
    {"backoff", required_argument, NULL, OPT_BACKOFF},
    {"boot-limit", required_argument, NULL, OPT_BOOT_LIMIT},
    {"lifetime", required_argument, NULL, OPT_LIFETIME},
    {"reload-order", required_argument, NULL, OPT_ORDER},
    {"width", required_argument, NULL, OPT_WIDTH},
    {"group", required_argument, NULL, OPT_GROUP},
    {"native", no_argument, NULL, OPT_NATIVE},
    {"name", required_argument, NULL, OPT_NAME},
    {"daemon", no_argument, NULL, OPT_DAEMON},
    {"pid-file", required_argument, NULL, OPT_PID_FILE},
    {"log-file", required_argument, NULL, OPT_LOG_FILE},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"metrics", required_argument, NULL, OPT_METRICS},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

/* ---- Values ---------------------------------------------------------------------------------- */

static int read_number(const char *text, const char **ret_rest, int min) {
    char *rest = NULL;

    errno = 0;
    long number = strtol(text, &rest, 10);
    if (rest == text || errno != 0 || number < min || number > INT_MAX ||
        (*rest != '\0' && (ret_rest == NULL || *rest != ','))) {
        usage_error("not a number from %d on: %s", min, text);
    }
    if (ret_rest != NULL) {
        *ret_rest = *rest == ',' ? rest + 1 : NULL;
    }
    return (int)number;
}

/* Seconds, with a fraction, as milliseconds. */
static uint64_t read_time(const char *text, const char **ret_rest) {
    const double days_100 = 8640000;
    char *rest = NULL;
    double seconds = strtod(text, &rest);

    if (rest == text || !(seconds >= 0 && seconds <= days_100) ||
        (*rest != '\0' && (ret_rest == NULL || *rest != ','))) {
        usage_error("not a time in seconds: %s", text);
    }
    if (ret_rest != NULL) {
        *ret_rest = *rest == ',' ? rest + 1 : NULL;
    }
    double milliseconds = seconds * 1000;
    return milliseconds > 0 && milliseconds < 1 ? 1 : (uint64_t)(milliseconds + 0.5);
}

static int read_choice(const char *text, const char *const *choices) {
    for (int i = 0; choices[i] != NULL; i++) {
        if (strcmp(text, choices[i]) == 0) {
            return i;
        }
    }
    usage_error("not one of the choices: %s", text);
}

static const struct {
    const char *name;
    int number;
} signals[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ABRT", SIGABRT}, {"KILL", SIGKILL},
    {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"WINCH", SIGWINCH},
};

/* A name, with SIG or without, or a number; 0: none. */
static int read_signal(const char *text) {
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (strcmp(name, signals[i].name) == 0) {
            return signals[i].number;
        }
    }
    if (*text < '0' || *text > '9') {
        usage_error("not a signal: %s", text);
    }
    return read_number(text, NULL, 0);
}

static void read_pair(const char *text, uint64_t *ret_first, uint64_t *ret_second) {
    const char *rest = NULL;

    *ret_first = read_time(text, &rest);
    if (rest == NULL) {
        usage_error("two times with a comma between them are needed: %s", text);
    }
    *ret_second = read_time(rest, NULL);
}

static void read_window(const char *text, struct options *options) {
    const char *rest = NULL;

    options->window_max = read_number(text, &rest, 1);
    if (rest == NULL) {
        usage_error("a number and a time with a comma between them are needed: %s", text);
    }
    options->window_ms = read_time(rest, NULL);
}

static void read_lifetime(const char *text, struct options *options) {
    const char *rest = NULL;

    options->lifetime_ms = read_time(text, &rest);
    options->lifetime_jitter_ms = rest == NULL ? 0 : read_time(rest, NULL);
}

/* ---- The line -------------------------------------------------------------------------------- */

static void set_choice(struct options *options, int option, const char *value) {
    static const char *const restarts[] = {"failure", "always", "never", NULL};
    static const char *const groups[] = {"none", "signals", "kill", NULL};
    static const char *const orders[] = {"start", "stop", NULL};
    static const char *const formats[] = {"text", "json", NULL};

    switch (option) {
    case OPT_RESTART:
        options->restart = read_choice(value, restarts);
        break;
    case OPT_GROUP:
        options->group = read_choice(value, groups);
        break;
    case OPT_ORDER:
        options->reload_order = read_choice(value, orders);
        break;
    default:
        options->json = read_choice(value, formats) == 1;
        break;
    }
}

static void set_time(struct options *options, int option, const char *value) {
    switch (option) {
    case OPT_READY:
        options->ready_ms = read_time(value, NULL);
        break;
    case OPT_HEARTBEAT:
        options->heartbeat_ms = read_time(value, NULL);
        break;
    case OPT_UPTIME:
        options->uptime_ms = read_time(value, NULL);
        break;
    case OPT_STOP_TIMEOUT:
        options->stop_ms = read_time(value, NULL);
        break;
    case OPT_WINDOW:
        read_window(value, options);
        break;
    case OPT_BACKOFF:
        read_pair(value, &options->backoff_first_ms, &options->backoff_max_ms);
        break;
    default:
        read_lifetime(value, options);
        break;
    }
}

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-_.";

static void set_text(struct options *options, int option, const char *value) {
    if (*value == '\0') {
        usage_error("an option has an empty value");
    }
    switch (option) {
    case OPT_LISTEN:
        if (options->listen_count == LISTEN_MAX) {
            usage_error("more than %d addresses", LISTEN_MAX);
        }
        options->listen[options->listen_count++] = value;
        break;
    case OPT_NAME:
        if (value[strspn(value, name_characters)] != '\0') {
            usage_error("a name has letters, digits, '-', '_' and '.': %s", value);
        }
        options->name = value;
        break;
    case OPT_PID_FILE:
        options->pid_file = value;
        break;
    case OPT_LOG_FILE:
        options->log_file = value;
        break;
    default:
        options->metrics = value;
        break;
    }
}

/* Returns false if the option is of another kind. */
static bool set_number(struct options *options, int option, const char *value) {
    switch (option) {
    case OPT_WORKERS:
        options->workers = read_number(value, NULL, 1);
        return true;
    case OPT_BACKLOG:
        options->backlog = read_number(value, NULL, 1);
        return true;
    case OPT_MAX_RESTARTS:
        options->max_restarts = read_number(value, NULL, 0);
        return true;
    case OPT_BOOT_LIMIT:
        options->boot_limit = read_number(value, NULL, 0);
        return true;
    case OPT_WIDTH:
        options->width = read_number(value, NULL, 1);
        return true;
    case OPT_STOP_SIGNAL:
        options->stop_signal = read_signal(value);
        return true;
    default:
        return false;
    }
}

static void set_option(struct options *options, int option, const char *value) {
    switch (option) {
    case OPT_NATIVE:
        options->native = true;
        break;
    case OPT_DAEMON:
        options->daemon = true;
        break;
    case OPT_HELP:
        (void)fputs(help, stdout);
        exit(fflush(stdout) == 0 ? 0 : STATUS_FAILED);
    case OPT_VERSION:
        (void)printf("prefork %s\n", pf_version());
        exit(fflush(stdout) == 0 ? 0 : STATUS_FAILED);
    case OPT_LISTEN:
    case OPT_NAME:
    case OPT_PID_FILE:
    case OPT_LOG_FILE:
    case OPT_METRICS:
        set_text(options, option, value);
        break;
    case OPT_RESTART:
    case OPT_GROUP:
    case OPT_ORDER:
    case OPT_LOG_FORMAT:
        set_choice(options, option, value);
        break;
    case '?':
        (void)fputs("Try 'prefork --help'.\n", stderr);
        exit(STATUS_USAGE);
    default:
        if (!set_number(options, option, value)) {
            set_time(options, option, value);
        }
    }
}

void options_read(struct options *options, int argc, char **argv) {
    int option = 0;

    *options = (struct options){
        .backlog = 128,
        .stop_signal = SIGTERM,
        .stop_ms = 10000,
        .uptime_ms = 1000,
        .backoff_first_ms = 100,
        .backoff_max_ms = 5000,
        .max_restarts = PF_UNLIMITED,
        .boot_limit = 5,
        .restart = PF_RESTART_ON_FAILURE,
        .group = PF_GROUP_KILL,
        .reload_order = PF_RELOAD_START_FIRST,
        .width = 1,
    };
    /* What follows the program is its own. */
    while ((option = getopt_long(argc, argv, "+n:l:h", long_options, NULL)) != -1) {
        set_option(options, option, optarg);
    }
    if (optind == argc) {
        usage_error("a program is missing");
    }
    if (options->pid_file != NULL && !options->daemon) {
        usage_error("--pid-file needs --daemon");
    }
    options->program = (const char **)(argv + optind);
}
