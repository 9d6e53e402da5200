/*
 * The scenarios of sockets, without a pool.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef INJECT_SOCKETS_H
#define INJECT_SOCKETS_H

#include "scene.h"

/* Binds, connects and accepts TCP; binds a UNIX socket twice. */
void play_sockets(struct scene *s);

/* Gets descriptors as from systemd: 3 is one. */
void play_listen_fds(struct scene *s);

/* Binds a path where another process listens, which is not seen at first. */
void play_raced_socket(struct scene *s);

#endif
