/*
 * monitor.h - the socket at which metrics, health and the table of workers can be read by HTTP
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PREFORK_SHELL_MONITOR_H
#define PREFORK_SHELL_MONITOR_H

#include <poll.h>
#include <stdbool.h>

#include "prefork.h"

enum { MONITOR_FDS_MAX = 17 };

struct monitor;

/* Exits as an error of use if that is no address to listen at, see address.h. */
void monitor_check(const char *address);

/* Listens at an address of this machine, see address.h. Returns NULL after a message if that
 * fails. */
struct monitor *monitor_open(const char *address, const pf_pool *pool, const char *name,
                             bool have_groups);
/* Closes all and removes the file of the socket. NULL is none. */
void monitor_close(struct monitor *monitor);

/* What to wait for: writes up to MONITOR_FDS_MAX and returns how many, and the time-out. */
int monitor_prepare(const struct monitor *monitor, struct pollfd *fds, int *ret_timeout_ms);
/* After the wait, with the same list. */
void monitor_handle(struct monitor *monitor, const struct pollfd *fds, int count);

#endif
