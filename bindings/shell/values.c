/*
 * values.c - values of options: numbers, times, signals, choices
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "values.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

int value_number(const char *text, const char **ret_rest, int min) {
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

uint64_t value_time(const char *text, const char **ret_rest) {
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

int value_choice(const char *text, const char *const *choices) {
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

int value_signal(const char *text) {
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (strcmp(name, signals[i].name) == 0) {
            return signals[i].number;
        }
    }
    if (*text < '0' || *text > '9') {
        usage_error("not a signal: %s", text);
    }
    return value_number(text, NULL, 0);
}

void value_pair(const char *text, uint64_t *ret_first, uint64_t *ret_second) {
    const char *rest = NULL;

    *ret_first = value_time(text, &rest);
    if (rest == NULL) {
        usage_error("two times with a comma between them are needed: %s", text);
    }
    *ret_second = value_time(rest, NULL);
}
