/*
 * common.c - random numbers, the board and the log
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "soak.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#if SANITIZED
/* Workers end by all kinds of signals. In namespaces the leak checker cannot trace. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0:"
           "detect_leaks=0";
}
#endif

const char *const pool_names[POOLS] = {"first", "second", "program"};

uint64_t dice_next(struct dice *dice) {
    uint64_t value = dice->state += 0x9e3779b97f4a7c15U; /* splitmix64 */

    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

int dice_below(struct dice *dice, int count) { return (int)(dice_next(dice) % (uint64_t)count); }

bool dice_hit(struct dice *dice, int one_in) { return dice_below(dice, one_in) == 0; }

struct board *board_map(int fd) {
    struct board *mapped = mmap(NULL, sizeof(*mapped), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return mapped == MAP_FAILED ? NULL : mapped;
}

void log_line(int fd, const char *format, ...) {
    char line[512];
    va_list arguments;

    int head = snprintf(line, sizeof(line), "%llu ", (unsigned long long)now_ms());
    va_start(arguments, format);
    int length = head + vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, arguments);
    va_end(arguments);
    length = length < (int)sizeof(line) - 1 ? length : (int)sizeof(line) - 2;
    line[length++] = '\n';
    if (write(fd, line, (size_t)length) != (ssize_t)length) {
        perror("soak: log");
    }
}
