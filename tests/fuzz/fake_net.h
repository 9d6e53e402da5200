// Sockets and addresses that are not there; see fake_system.h.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace fuzz {

struct FakeAddress {
    int family = 0;
    socklen_t size = 0;
    std::string bytes; // of the sockaddr
};

struct FakeSocket {
    int family = 0;
    int type = 0;
    FakeAddress bound;
    int backlog = 0; // 0: it does not listen
    std::vector<int> options;
};

struct FakeNet {
    // The errno of the next call, by its name; 0: it succeeds. Empty: all succeed.
    std::function<int(const char *call)> error_of;
    std::function<void(const sockaddr *address, socklen_t size)> connected;
    std::function<void(std::string_view message)> sent;
    // What getaddrinfo() finds, and what it returns without that.
    std::vector<FakeAddress> found;
    int resolver_error = 0;
    uint16_t next_port = 40'000; // that the kernel chooses

    int lists = 0; // of getaddrinfo() that are not freed
};

// Of the input that is run; a FakeSystem must be there.
extern FakeNet fake_net;

// nullptr: it is no socket that the library has opened.
FakeSocket *fake_socket(int descriptor);
// At the beginning of an input.
void reset_fake_net();

} // namespace fuzz
