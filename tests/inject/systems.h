/*
 * Scenarios of what a host may be: started in an unusual way, with threads, on a terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef INJECT_SYSTEMS_H
#define INJECT_SYSTEMS_H

/* Workers by exec of ./program, which is removed while they run. */
void play_removed_program(void);

/* The same, of a program that is not removed, by SIGCHLD, with replacements by age. */
void play_aging_program(void);

/* The same, of a copy that gives more rights: the library compares those of the processes. */
void play_program_with_rights(void);

/* Workers by exec that report as services do, and a program that is one. */
void play_foreign_program(void);
int be_foreign_program(void);

/* A subreaper: workers lead groups, crash, and leave processes in the group and outside of it. */
void play_orphans(void);

/* Two pools at a time, of either backend; the first one ends last. */
void play_two_pools(void);

/* Threads come and go; one that stays prevents a start. */
void play_threads(void);

/* The process leads a session with a terminal, which stderr is; workers crash. */
void play_terminal_report(void);

/* A background job whose child reads from the terminal is stopped, and continued. */
void play_terminal_stop(void);

/* Workers crash, and stderr is a pipe: with a reader, without one. */
void play_pipe_report(void);
void play_closed_report(void);

#endif
