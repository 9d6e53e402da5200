/*
 * net.c - sockets as the tests see them, and a network of their own
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "process.h"

enum { NOBODY = 65534 };

union address {
    struct sockaddr generic;
    struct sockaddr_in version4;
    struct sockaddr_in6 version6;
    struct sockaddr_un path;
};

static socklen_t address_of(int fd, union address *address) {
    socklen_t length = sizeof(*address);

    memset(address, 0, sizeof(*address));
    return getsockname(fd, &address->generic, &length) == 0 ? length : 0;
}

int socket_family(int fd) {
    union address address;

    return address_of(fd, &address) == 0 ? -1 : address.generic.sa_family;
}

int socket_port(int fd) {
    union address address;

    return address_of(fd, &address) == 0 ? -1 : ntohs(address.version4.sin_port);
}

const char *socket_host(int fd) {
    static char text[INET6_ADDRSTRLEN];
    union address address;

    if (address_of(fd, &address) == 0) {
        return "";
    }
    const void *number = address.generic.sa_family == AF_INET
                             ? (const void *)&address.version4.sin_addr
                             : (const void *)&address.version6.sin6_addr;
    return inet_ntop(address.generic.sa_family, number, text, sizeof(text));
}

int socket_option(int fd, int level, int option) {
    int value = 0;
    socklen_t size = sizeof(value);

    return getsockopt(fd, level, option, &value, &size) == 0 ? value : -1;
}

int socket_backlog(int fd) {
    struct tcp_info information;
    socklen_t size = sizeof(information);

    memset(&information, 0, sizeof(information));
    int result = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &information, &size);
    return result == 0 ? (int)information.tcpi_sacked : -1;
}

bool is_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

bool is_close_on_exec(int fd) {
    int flags = fcntl(fd, F_GETFD);

    return flags >= 0 && (flags & FD_CLOEXEC) != 0;
}

/* Does something with a new socket that fails by errno. Returns the socket or the errno. */
typedef int (*address_fn)(int fd, const struct sockaddr *address, socklen_t length);

static int with_address(int fd, address_fn what, const union address *address, socklen_t length) {
    if (fd < 0) {
        return -errno;
    }
    if (what(fd, &address->generic, length) == 0) {
        return fd;
    }
    int error = -errno;
    (void)close(fd); /* nothing was written */
    return error;
}

static int connect_raw(int fd, const struct sockaddr *address, socklen_t length) {
    /* A test may have a connect() of its own, which this is not meant for. */
    return (int)syscall(SYS_connect, fd, address, length);
}

int connect_to(int listener) {
    union address address;
    socklen_t length = address_of(listener, &address);
    int fd = socket(address.generic.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return with_address(fd, connect_raw, &address, length);
}

static union address path_address(const char *path) {
    union address address;

    memset(&address, 0, sizeof(address));
    address.path.sun_family = AF_UNIX;
    strncpy(address.path.sun_path, path, sizeof(address.path.sun_path) - 1);
    return address;
}

int connect_to_path(const char *path) {
    union address address = path_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return with_address(fd, connect_raw, &address, sizeof(address.path));
}

static int listen_if(int fd, int flags) {
    if (fd >= 0 && (flags & PLAIN_LISTEN) != 0 && listen(fd, 1) != 0) {
        int error = -errno;
        (void)close(fd); /* nothing was written */
        return error;
    }
    return fd;
}

int plain_bind(const char *host, int port, int flags) {
    union address address;
    int on = 1;

    memset(&address, 0, sizeof(address));
    bool version6 = inet_pton(AF_INET6, host, &address.version6.sin6_addr) == 1;
    if (!version6 && inet_pton(AF_INET, host, &address.version4.sin_addr) != 1) {
        return -EINVAL;
    }
    address.generic.sa_family = version6 ? AF_INET6 : AF_INET;
    address.version4.sin_port = htons((uint16_t)port);
    int fd = socket(address.generic.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (flags & PLAIN_REUSEPORT) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)); /* bind would fail */
    }
    if (fd >= 0 && version6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)); /* the same */
    }
    return listen_if(with_address(fd, bind, &address,
                                  version6 ? sizeof(address.version6) : sizeof(address.version4)),
                     flags);
}

int plain_bind_path(const char *path, int type, int flags) {
    union address address = path_address(path);

    return listen_if(
        with_address(socket(AF_UNIX, type | SOCK_CLOEXEC, 0), bind, &address, sizeof(address.path)),
        flags);
}

bool becomes_readable(int fd) {
    struct pollfd one = {.fd = fd, .events = POLLIN};

    return poll(&one, 1, (int)PATIENCE_MS) == 1;
}

static bool loopback_up(void) {
    struct ifreq request;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memset(&request, 0, sizeof(request));
    (void)strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    if (fd >= 0) {
        (void)close(fd); /* nothing was written */
    }
    return up;
}

bool enter_own_network(void) {
    char map[32];
    uid_t user = getuid();

    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) != 0) {
            return false;
        }
        (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned)user);
        if (!write_file("/proc/self/uid_map", map)) {
            return false;
        }
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && loopback_up();
}

bool write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t length = strlen(text);

    if (fd < 0) {
        return false;
    }
    bool written = write(fd, text, length) == (ssize_t)length;
    return close(fd) == 0 && written;
}

bool drop_privileges(void) {
    if (getuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
                          setresuid(NOBODY, NOBODY, NOBODY) != 0)) {
        return false;
    }
    return geteuid() != 0;
}

bool forbid_family(int family) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)family, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};

    return prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}
