/*
 * process.h - processes, clocks and descriptors as the tests see them
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_PROCESS_H
#define TESTS_SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/*
 * By what the deadlines of tests are multiplied: the environment variable TEST_TIME_SCALE, or 1. An
 * emulated processor is many times slower than one of its own.
 */
unsigned time_scale(void);

/* How long a test waits for what must come. Only a failing test waits so long. */
#define PATIENCE_MS (time_scale() * (SANITIZED ? 40000U : 20000U))

uint64_t now_ns(void);
uint64_t now_ms(void);

/* Let others run. Signals may cut it short, so it is called in loops only. */
void pause_ms(unsigned milliseconds);

/* Until a signal ends this process. */
void wait_for_ever(void);

/* Whether there is such a process, a zombie included. */
bool process_exists(pid_t pid);

/* The letter of /proc/PID/stat, as R, S, T or Z; 0: there is no such process. */
char process_state(pid_t pid);

/* Wait for that state. Returns whether it came in PATIENCE_MS. */
bool process_reaches_state(pid_t pid, char state);

/* The mask of signals under one name in /proc/PID/status, as "ShdPnd" or "SigBlk". */
uint64_t process_signals(pid_t pid, const char *name);

/* Reap every child until there is none. Returns how many there were; -1: some do not end. */
int reap_all(void);

/* Reap what has ended. Returns how many children still live. */
int children_alive(void);

/* Kill and reap all children, and the children that come to this process by their death. */
void kill_all_children(void);

/* Whether the kernel tells the status of a process that somebody else has reaped. */
bool kernel_keeps_statuses(void);

/* A picture of the descriptors of this process: "NUMBER FLAGS TARGET" a line, in order. */
struct descriptors {
    char text[8192];
};
void descriptors_take(struct descriptors *picture);

/* Make an empty directory for this test and go there, for core dumps and files. */
void scratch_enter(char *path, size_t size);
void scratch_leave(const char *path);

#endif
