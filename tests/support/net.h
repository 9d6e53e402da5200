/*
 * net.h - sockets as the tests see them, and a network of their own
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_NET_H
#define TESTS_SUPPORT_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* The type that the C library has for an address, for a test that replaces one of its functions. */
#ifdef __GLIBC__
typedef __SOCKADDR_ARG socket_address;
typedef __CONST_SOCKADDR_ARG const_socket_address;
#else
typedef struct sockaddr *socket_address;
typedef const struct sockaddr *const_socket_address;
#endif

/* The family of a socket; its port. -1: it has none. */
int socket_family(int fd);
int socket_port(int fd);

/* The address of a socket as text, without the port. */
const char *socket_host(int fd);

/* An option of level SOL_SOCKET or another. -1: it cannot be read. */
int socket_option(int fd, int level, int option);

/* How many connections may wait at a listening TCP socket. */
int socket_backlog(int fd);

bool is_nonblocking(int fd);
bool is_close_on_exec(int fd);

/* Connect to the address of a listening socket, or to a path. Returns the connection or a
 * negative errno; it does not wait where a queue is full. */
int connect_to(int listener);
int connect_to_path(const char *path);

/* Bind without the library; flags: what follows. Returns the socket or a negative errno. */
enum { PLAIN_LISTEN = 1, PLAIN_REUSEPORT = 2 };
int plain_bind(const char *host, int port, int flags);
int plain_bind_path(const char *path, int type, int flags);

/* Wait until a descriptor is readable. Returns whether it came to that in PATIENCE_MS. */
bool becomes_readable(int fd);

/* Give this process a network of its own, with a loopback interface that works, and mounts
 * that others do not see. Returns false where this is not possible. */
bool enter_own_network(void);

/* Write to a file, of /proc mostly. Returns whether all of it was taken. */
bool write_file(const char *path, const char *text);

/* Become a user without privileges. Returns whether this is one now. */
bool drop_privileges(void);

/* Let socket() fail with EAFNOSUPPORT for that family, in this process from now on. */
bool forbid_family(int family);

#endif
