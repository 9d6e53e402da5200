// SPDX-License-Identifier: MIT
#include "os/net/sockets.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/codes.h"
#include "os/fd/descriptor.h"

namespace prefork::os {

namespace {

// How often port 0 is tried when another family has taken the port that the first one got.
constexpr int port_attempts_max = 100;

// Sockets that are closed again unless they are handed out.
class Sockets {
  public:
    explicit Sockets(std::span<int> descriptors) : descriptors_(descriptors) {}
    Sockets(const Sockets &) = delete;
    Sockets &operator=(const Sockets &) = delete;
    ~Sockets() { close_from(0); }

    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] bool full() const { return size_ == descriptors_.size(); }
    [[nodiscard]] std::span<const int> all() const { return descriptors_.first(size_); }
    void add(int descriptor) { descriptors_[size_++] = descriptor; }
    void hand_out() { size_ = 0; }

    void close_from(size_t index) {
        while (size_ > index) {
            close(descriptors_[--size_]);
        }
    }

  private:
    std::span<int> descriptors_;
    size_t size_ = 0;
};

int code_of_resolver(int error) {
    switch (error) {
    case EAI_SYSTEM:
        return errno != 0 ? -errno : base::code_resolve;
    case EAI_MEMORY:
        return -ENOMEM;
    default:
        return base::code_resolve;
    }
}

bool came_before(const addrinfo *list, const addrinfo *address) {
    for (; list != address; list = list->ai_next) {
        if (list->ai_addrlen == address->ai_addrlen &&
            memcmp(list->ai_addr, address->ai_addr, address->ai_addrlen) == 0) {
            return true;
        }
    }
    return false;
}

// An address of either family; the port has the same place in both.
union Address {
    sockaddr generic;
    sockaddr_in version4;
    sockaddr_in6 version6;
};

bool turn_on(int descriptor, int level, int option) {
    const int on = 1;
    return setsockopt(descriptor, level, option, &on, sizeof(on)) == 0;
}

bool set_options(int descriptor, int family, uint32_t flags) {
    // V6ONLY: the same whatever the system's default, and beside it version 4 can have the port.
    return turn_on(descriptor, SOL_SOCKET, SO_REUSEADDR) &&
           (flags == 0 || turn_on(descriptor, SOL_SOCKET, SO_REUSEPORT)) &&
           (family != AF_INET6 || turn_on(descriptor, IPPROTO_IPV6, IPV6_V6ONLY));
}

// Adds a socket. Port 0 becomes the one that the kernel has chosen.
int bind_address(const addrinfo &found, const SocketKey &key, in_port_t &port, Sockets &sockets) {
    const int descriptor =
        above_stdio(socket(found.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (descriptor < 0) {
        return descriptor;
    }
    if (sockets.full()) {
        close(descriptor);
        return -ENOBUFS;
    }
    sockets.add(descriptor);
    Address address{};
    memcpy(&address, found.ai_addr, found.ai_addrlen);
    address.version4.sin_port = port;
    socklen_t length = found.ai_addrlen;
    if (!set_options(descriptor, found.ai_family, key.flags) ||
        bind(descriptor, &address.generic, length) != 0) {
        return -errno;
    }
    if (port == 0) {
        if (getsockname(descriptor, &address.generic, &length) != 0) {
            return -errno; // else each address would get a port of its own
        }
        port = address.version4.sin_port;
    }
    return 0;
}

// Where IPv6 is switched off by half, localhost has an address there that cannot be bound. For
// other names this rather says that the name is not what it should be.
bool is_dead_localhost(const addrinfo &found, const SocketKey &key, int error) {
    return error == -EADDRNOTAVAIL && found.ai_family == AF_INET6 &&
           strcmp(key.name, "localhost") == 0;
}

// Version 4 comes first. Nothing listens before all are bound, so that a failure cuts nobody off.
int bind_list(const addrinfo *list, const SocketKey &key, int backlog, Sockets &sockets) {
    in_port_t port = htons(static_cast<uint16_t>(key.port));
    int passed_over = -EAFNOSUPPORT;
    for (const int family : {AF_INET, AF_INET6}) {
        for (const addrinfo *found = list; found != nullptr; found = found->ai_next) {
            if (found->ai_family != family || came_before(list, found)) {
                continue;
            }
            const size_t before = sockets.size();
            const int r = bind_address(*found, key, port, sockets);
            if (r == -EAFNOSUPPORT || is_dead_localhost(*found, key, r)) {
                passed_over = r;
                sockets.close_from(before);
            } else if (r < 0) {
                return r;
            }
        }
    }
    for (const int descriptor : sockets.all()) {
        if (listen(descriptor, backlog) != 0) {
            return -errno;
        }
    }
    return sockets.size() > 0 ? note_bound_sockets(key, sockets.all()) : passed_over;
}

} // namespace

bool is_internet_family(int family) {
    return family == AF_UNSPEC || family == AF_INET || family == AF_INET6;
}

int bind_sockets(const SocketKey &key, int backlog, std::span<int> descriptors) {
    if (int r = find_handed_on(key, descriptors); r != 0) {
        return r;
    }
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_family = key.family;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *list = nullptr;
    if (int r = getaddrinfo(key.name[0] == '\0' ? nullptr : key.name, "0", &hints, &list); r != 0) {
        return code_of_resolver(r);
    }
    int result = 0;
    for (int attempt = 0; attempt < port_attempts_max; attempt++) {
        Sockets sockets(descriptors);
        result = bind_list(list, key, backlog, sockets);
        if (result == 0) {
            result = static_cast<int>(sockets.size());
            sockets.hand_out();
        }
        // With the first socket alone the fault is not one of the port.
        if (result != -EADDRINUSE || key.port != 0 || sockets.size() < 2) {
            break;
        }
    }
    freeaddrinfo(list);
    return result;
}

int accept_connection(int descriptor) {
    constexpr int failures_max = 128;
    for (int failures = 1;; failures++) {
        const int connection = accept4(descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connection >= 0) {
            return connection;
        }
        switch (errno) {
        case EINTR:
        case ECONNABORTED:
        // What the network did to the connection, which is no longer in the queue; see accept(2).
        // EOPNOTSUPP, which that page names too, would be for ever: the socket does not listen.
        case ENETDOWN:
        case EPROTO:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case ENETUNREACH:
            if (failures < failures_max) {
                continue;
            }
            [[fallthrough]]; // who makes them fail must not keep the caller here
        default:
            return -errno;
        }
    }
}

} // namespace prefork::os
