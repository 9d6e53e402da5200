// Listening sockets, and what comes in by them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "os/net/bound_sockets.h"

namespace prefork::os {

// Whether it is that of IPv4, of IPv6, or AF_UNSPEC, which means both.
bool is_internet_family(int family);

// Binds a TCP socket to each address of a host and listens, or claims the sockets that the
// supervisor passed. Returns how many descriptors it has set, at least one; or a negative code, and
// nothing is bound.
[[nodiscard]] int bind_sockets(const SocketKey &key, int backlog, std::span<int> descriptors);

// The same with a path, which gets that mode. Returns the descriptor or a negative errno.
[[nodiscard]] int bind_unix_socket(const char *path, uint32_t mode, int backlog);

// Returns a connection, non-blocking and close-on-exec, or a negative errno.
int accept_connection(int descriptor);

} // namespace prefork::os
