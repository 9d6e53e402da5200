/*
 * client.h - prefork status and prefork top
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PREFORK_SHELL_CLIENT_H
#define PREFORK_SHELL_CLIENT_H

#include <stdbool.h>

/* Returns the exit status. The socket is the path that --metrics unix:PATH has; "unix:" may be
 * before it. */
int client_show(const char *socket, bool stays);

#endif
