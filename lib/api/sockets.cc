// Sockets that workers share.
//
// SPDX-License-Identifier: MIT
#include "os/net/sockets.h"

#include <errno.h>

#include "base/codes.h"
#include "os/net/activation.h"
#include "os/spawn/identity.h"
#include "prefork.h"

namespace base = prefork::base;
namespace os = prefork::os;

static_assert(PF_ERESOLVE == base::code_resolve);

namespace {

constexpr int port_max = 65535;
constexpr int backlog_default = 128;
constexpr uint32_t mode_bits = 0777;

// The array for descriptors that the host has given.
bool is_place(const int *ret_fds, int max_fds) {
    return max_fds >= 0 && (ret_fds != nullptr || max_fds == 0);
}

int valid_backlog(int backlog) { return backlog > 0 ? backlog : backlog_default; }

} // namespace

int pf_bind_sockets(const char *host, int port, int family, int backlog, uint32_t flags,
                    int *ret_fds, int max_fds) {
    if (port < 0 || port > port_max || !os::is_internet_family(family) ||
        (flags & ~uint32_t{PF_BIND_REUSEPORT}) != 0 || !is_place(ret_fds, max_fds)) {
        return -EINVAL;
    }
    const os::SocketKey key{host == nullptr ? "" : host, port, family, flags};
    int descriptors[os::bound_sockets_max];
    const auto wanted = static_cast<size_t>(max_fds);
    const auto room = std::span(descriptors)
                          .first(wanted < std::size(descriptors) ? wanted : std::size(descriptors));
    const int count = os::bind_sockets(key, valid_backlog(backlog), room);
    for (int index = 0; index < count; index++) {
        ret_fds[index] = descriptors[index];
    }
    return count;
}

int pf_bind_unix_socket(const char *path, uint32_t mode, int backlog) {
    if (path == nullptr || path[0] == '\0' || (mode & ~mode_bits) != 0) {
        return -EINVAL;
    }
    return os::bind_unix_socket(path, mode, valid_backlog(backlog));
}

int pf_accept(int fd) { return os::accept_connection(fd); }

int pf_listen_fds(int *ret_fds, int max_fds) {
    if (!is_place(ret_fds, max_fds)) {
        return -EINVAL;
    }
    os::look_at_load();
    if (os::passed_descriptor_count() > max_fds) {
        return -ENOBUFS;
    }
    const int count = os::claim_passed_descriptors();
    for (int index = 0; index < count; index++) {
        ret_fds[index] = os::first_passed_descriptor + index;
    }
    return count;
}
