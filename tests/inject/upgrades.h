/*
 * Scenarios of spares, and of a supervisor whose program is replaced.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef INJECT_UPGRADES_H
#define INJECT_UPGRADES_H

/* A spare takes a slot in a replacement and in a restart; a reload replaces it. */
void play_spares(void);

/* The same, of a program that waits in pf_pool_run(), and of forks of the host. */
void play_spares_by_exec(void);
void play_spares_by_host(void);

/* The program is replaced. The new one adopts the workers, replaces one, and stops. */
void play_upgrade(void);

/* The same by SIGCHLD, with spares, and a pool that the new program does not have. */
void play_upgrade_of_two(void);

/* The same of a daemon with programs that do not use the library. */
void play_upgrade_of_daemon(void);

/* The new program: its arguments from the second one on. Returns the exit status. */
int be_upgraded(char **arguments);

#endif
