/*
 * address.h - addresses of sockets: PORT, HOST:PORT, [IPV6]:PORT, unix:PATH
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PREFORK_SHELL_ADDRESS_H
#define PREFORK_SHELL_ADDRESS_H

#include <stdbool.h>

struct address {
    bool is_unix;
    char host[256]; /* or the path; "": all of this machine's */
    int port;
};

/* Exits as an error of use if the text is none. */
struct address address_read(const char *text);

#endif
