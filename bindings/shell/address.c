/*
 * address.c - addresses of sockets: PORT, HOST:PORT, [IPV6]:PORT, unix:PATH
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "address.h"

#include <stdlib.h>
#include <string.h>

#include "options.h"

enum { PORT_MAX = 65535 };

static void set_host(struct address *address, const char *text, size_t length, const char *whole) {
    if (length >= sizeof(address->host)) {
        usage_error("too long: %s", whole);
    }
    memcpy(address->host, text, length);
    address->host[length] = '\0';
}

struct address address_read(const char *text) {
    struct address address = {.is_unix = strncmp(text, "unix:", 5) == 0};

    if (address.is_unix) {
        set_host(&address, text + 5, strlen(text + 5), text);
        if (address.host[0] == '\0') {
            usage_error("a path is missing: %s", text);
        }
        return address;
    }
    const char *colon = strrchr(text, ':');
    const char *port = colon == NULL ? text : colon + 1;
    const char *host = text;
    size_t length = colon == NULL ? 0 : (size_t)(colon - text);
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    } else if (memchr(host, ':', length) != NULL) {
        usage_error("an IPv6 address needs brackets: %s", text);
    }
    set_host(&address, host, length, text);
    char *rest = NULL;
    long number = strtol(port, &rest, 10);
    if (*port < '0' || *port > '9' || *rest != '\0' || number > PORT_MAX) {
        usage_error("not PORT, HOST:PORT, [IPV6]:PORT or unix:PATH: %s", text);
    }
    address.port = (int)number;
    return address;
}
