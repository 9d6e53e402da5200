/*
 * options.c - what the command line of prefork(1) says
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "options.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"

static const char help[] =
    "usage: prefork [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "       prefork status SOCKET, prefork top SOCKET    show the table of workers\n"
    "Runs copies of a program and restarts those that fail. Times S are in seconds.\n"
    "  -n, --workers N            how many; default: one for each processor\n"
    "  -l, --listen ADDRESS       PORT, HOST:PORT, [IPV6]:PORT or unix:PATH, given\n"
    "      --backlog N            to the program as LISTEN_FDS; may be repeated\n"
    "      --ready-timeout S      time in which a worker must send READY=1\n"
    "      --heartbeat-timeout S  and then WATCHDOG=1, again and again\n"
    "      --min-uptime S         time that a replacement must live; default 1\n"
    "      --stop-signal SIGNAL   default TERM; KILL after --stop-timeout S (10)\n"
    "      --restart WHEN         failure (default), always or never\n"
    "      --max-restarts N       in all; --restart-window N,S in any S seconds\n"
    "      --backoff S,S          first and longest delay of restarts; default 0.1,5\n"
    "      --boot-limit N         give up after N failed starts in a row; default 5\n"
    "      --lifetime S[,S]       replace workers of that age plus up to S more\n"
    "      --reload-order ORDER   start (default) or stop first; --width N at a time\n"
    "      --group MODE           kill (default), signals or none: process groups\n"
    "      --native               the program uses libprefork; --spares N of it wait\n"
    "      --daemon               run in the background; --pid-file PATH\n"
    "      --log-file PATH        --log-format text or json; --name NAME of the pool\n"
    "      --metrics ADDRESS      serve /metrics, /healthz and the table; --version\n"
    "Signals: TERM stops, HUP reloads, USR2 executes prefork anew, TTIN and TTOU add\n"
    "and remove a worker, USR1 and WINCH are passed on. More: man 1 prefork\n";

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
    OPT_SPARES,
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
    {"spares", required_argument, NULL, OPT_SPARES},
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

/* ---- Values with parts ----------------------------------------------------------------------- */

static void read_window(const char *text, struct options *options) {
    const char *rest = NULL;

    options->window_max = value_number(text, &rest, 1);
    if (rest == NULL) {
        usage_error("a number and a time with a comma between them are needed: %s", text);
    }
    options->window_ms = value_time(rest, NULL);
}

static void read_lifetime(const char *text, struct options *options) {
    const char *rest = NULL;

    options->lifetime_ms = value_time(text, &rest);
    options->lifetime_jitter_ms = rest == NULL ? 0 : value_time(rest, NULL);
}

/* ---- The line -------------------------------------------------------------------------------- */

static void set_choice(struct options *options, int option, const char *value) {
    static const char *const restarts[] = {"failure", "always", "never", NULL};
    static const char *const groups[] = {"none", "signals", "kill", NULL};
    static const char *const orders[] = {"start", "stop", NULL};
    static const char *const formats[] = {"text", "json", NULL};

    switch (option) {
    case OPT_RESTART:
        options->restart = value_choice(value, restarts);
        break;
    case OPT_GROUP:
        options->group = value_choice(value, groups);
        break;
    case OPT_ORDER:
        options->reload_order = value_choice(value, orders);
        break;
    default:
        options->json = value_choice(value, formats) == 1;
        break;
    }
}

static void set_time(struct options *options, int option, const char *value) {
    switch (option) {
    case OPT_READY:
        options->ready_ms = value_time(value, NULL);
        break;
    case OPT_HEARTBEAT:
        options->heartbeat_ms = value_time(value, NULL);
        break;
    case OPT_UPTIME:
        options->uptime_ms = value_time(value, NULL);
        break;
    case OPT_STOP_TIMEOUT:
        options->stop_ms = value_time(value, NULL);
        break;
    case OPT_WINDOW:
        read_window(value, options);
        break;
    case OPT_BACKOFF:
        value_pair(value, &options->backoff_first_ms, &options->backoff_max_ms);
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
        options->workers = value_number(value, NULL, 1);
        return true;
    case OPT_BACKLOG:
        options->backlog = value_number(value, NULL, 1);
        return true;
    case OPT_MAX_RESTARTS:
        options->max_restarts = value_number(value, NULL, 0);
        return true;
    case OPT_BOOT_LIMIT:
        options->boot_limit = value_number(value, NULL, 0);
        return true;
    case OPT_WIDTH:
        options->width = value_number(value, NULL, 1);
        return true;
    case OPT_SPARES:
        options->spares = value_number(value, NULL, 0);
        return true;
    case OPT_STOP_SIGNAL:
        options->stop_signal = value_signal(value);
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
    if (options->spares > 0 && !options->native) {
        usage_error("--spares needs --native: only a program that uses libprefork can wait");
    }
    options->program = (const char **)(argv + optind);
}
