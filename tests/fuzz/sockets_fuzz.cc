// The arguments of pf_bind_sockets, the addresses that a resolver finds, and what the system
// refuses.
//
// The input: a line with the host, the other arguments, the addresses, and the errors.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string>
#include <vector>

#include "base/codes.h"
#include "fake_net.h"
#include "fake_system.h"
#include "input.h"
#include "prefork.h"

using fuzz::fake_net;
using fuzz::fake_socket;
using fuzz::FakeAddress;
using fuzz::FakeSystem;

namespace {

constexpr int sockets_max = 64;

FakeAddress any_address(fuzz::Input *input) {
    constexpr int families[] = {AF_INET, AF_INET6, AF_INET, AF_INET6, AF_UNIX, AF_NETLINK};
    FakeAddress address;
    address.family = families[input->below(std::size(families))];
    address.size = address.family == AF_INET    ? sizeof(sockaddr_in)
                   : address.family == AF_INET6 ? sizeof(sockaddr_in6)
                                                : sizeof(sa_family_t);
    address.bytes.resize(address.size);
    const auto family = static_cast<sa_family_t>(address.family);
    memcpy(address.bytes.data(), &family, sizeof(family));
    if (address.size > sizeof(family)) {
        address.bytes[7] = static_cast<char>(input->below(4)); // few, so that some are alike
        address.bytes.back() = static_cast<char>(input->below(4));
    }
    return address;
}

int failure(fuzz::Input *input) {
    constexpr int errors[] = {0,
                              0,
                              0,
                              0,
                              0,
                              0,
                              0,
                              EADDRINUSE,
                              EADDRINUSE,
                              EAFNOSUPPORT,
                              EADDRNOTAVAIL,
                              EACCES,
                              ENOBUFS,
                              EMFILE,
                              ENOMEM,
                              EPERM};
    return errors[input->below(std::size(errors))];
}

struct Arguments {
    std::string host;
    int port;
    int family;
    int backlog;
    uint32_t flags;
    int max_fds;
};

Arguments any_arguments(fuzz::Input *input) {
    constexpr int families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX, -1, INT32_MAX};
    Arguments arguments;
    arguments.host = input->line();
    arguments.port = input->below(4) == 0 ? input->number<int32_t>() : input->number<uint16_t>();
    arguments.port = input->below(2) == 0 ? 0 : arguments.port;
    arguments.family = families[input->below(std::size(families))];
    arguments.backlog = input->byte() - 128;
    arguments.flags = input->below(8) == 0 ? input->number<uint32_t>() : input->below(2);
    arguments.max_fds = input->below(4) == 0 ? input->byte() - 128 : 100;
    return arguments;
}

bool are_valid(const Arguments &arguments) {
    return arguments.port >= 0 && arguments.port <= 65'535 && arguments.max_fds >= 0 &&
           (arguments.family == AF_UNSPEC || arguments.family == AF_INET ||
            arguments.family == AF_INET6) &&
           (arguments.flags & ~uint32_t{PF_BIND_REUSEPORT}) == 0;
}

bool has_option(const fuzz::FakeSocket &socket, int level, int option) {
    return std::count(socket.options.begin(), socket.options.end(), level * 1000 + option) == 1;
}

uint16_t port_of(const FakeAddress &address) {
    uint16_t port = 0;
    memcpy(&port, &address.bytes[offsetof(sockaddr_in, sin_port)], sizeof(port));
    return ntohs(port);
}

void expect_sockets(const std::vector<int> &descriptors, const Arguments &arguments) {
    std::vector<std::string> addresses;
    const fuzz::FakeSocket *before = nullptr;
    for (const int descriptor : descriptors) {
        const fuzz::FakeSocket *socket = fake_socket(descriptor);
        EXPECT(descriptor >= 3 && socket != nullptr);
        EXPECT(socket->type == (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC));
        EXPECT(socket->family == AF_INET || socket->family == AF_INET6);
        EXPECT(socket->backlog == (arguments.backlog > 0 ? arguments.backlog : 128));
        EXPECT(has_option(*socket, SOL_SOCKET, SO_REUSEADDR));
        EXPECT(has_option(*socket, SOL_SOCKET, SO_REUSEPORT) == (arguments.flags != 0));
        EXPECT(has_option(*socket, IPPROTO_IPV6, IPV6_V6ONLY) == (socket->family == AF_INET6));
        EXPECT(port_of(socket->bound) != 0);
        EXPECT(arguments.port == 0 || port_of(socket->bound) == arguments.port);
        EXPECT(before == nullptr || (port_of(before->bound) == port_of(socket->bound) &&
                                     before->family <= socket->family)); // IPv4 first
        addresses.push_back(socket->bound.bytes);
        before = socket;
    }
    std::sort(addresses.begin(), addresses.end());
    EXPECT(std::adjacent_find(addresses.begin(), addresses.end()) == addresses.end());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::Input input(data, size);
    const FakeSystem system;
    fuzz::reset_fake_net();
    const Arguments arguments = any_arguments(&input);
    constexpr int resolver_errors[] = {EAI_NONAME, EAI_MEMORY, EAI_SYSTEM, EAI_FAIL};
    fake_net.resolver_error = resolver_errors[input.below(std::size(resolver_errors))];
    for (uint32_t count = input.below(80); count > 0; count--) {
        fake_net.found.push_back(any_address(&input));
    }
    fake_net.error_of = [&input](const char * /*call*/) { return failure(&input); };

    std::vector<int> descriptors(static_cast<size_t>(std::max(arguments.max_fds, 0)));
    const fuzz::ExactString host(arguments.host);
    const int count = pf_bind_sockets(arguments.host == "-" ? nullptr : host.get(), arguments.port,
                                      arguments.family, arguments.backlog, arguments.flags,
                                      descriptors.data(), arguments.max_fds);
    EXPECT(count < 0 || (count > 0 && count <= std::min(arguments.max_fds, sockets_max)));
    EXPECT(are_valid(arguments) || count == -EINVAL);
    EXPECT(fake_net.lists == 0);
    EXPECT(FakeSystem::own_descriptors() == static_cast<size_t>(std::max(count, 0)));
    if (count < 0) {
        EXPECT(pf_strerror(count) != nullptr);
        return 0;
    }
    descriptors.resize(static_cast<size_t>(count));
    expect_sockets(descriptors, arguments);
    for (const int descriptor : descriptors) {
        FakeSystem::close_host_fd(descriptor);
    }
    return 0;
}
