/*
 * values.h - values of options: numbers, times, signals, choices
 *
 * Each function exits as an error of use if the text is no such value. Where ret_rest is not NULL,
 * a comma may end the value; *ret_rest is what follows it, or NULL.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PREFORK_SHELL_VALUES_H
#define PREFORK_SHELL_VALUES_H

#include <stdint.h>

int value_number(const char *text, const char **ret_rest, int min);
/* Seconds, with a fraction, as milliseconds. */
uint64_t value_time(const char *text, const char **ret_rest);
/* Two times with a comma between them. */
void value_pair(const char *text, uint64_t *ret_first, uint64_t *ret_second);
/* The index of the choice; NULL ends the list. */
int value_choice(const char *text, const char *const *choices);
/* A name, with SIG or without, or a number; 0: none. */
int value_signal(const char *text);

#endif
