// SPDX-License-Identifier: MIT
#include "fake_net.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <netdb.h>
#include <netinet/in.h>

#include "fake_state.h"
#include "input.h"

namespace fuzz {

FakeNet fake_net;

namespace {

std::map<uint64_t, FakeSocket> sockets; // by their file, which no other one ever has

int error_of(const char *call) {
    const int error = fake_net.error_of ? fake_net.error_of(call) : 0;
    return error == 0 ? 0 : fail_fake(error);
}

} // namespace

FakeSocket *fake_socket(int descriptor) {
    const FakeDescriptor *found = find_fake(descriptor);
    return found != nullptr && found->is_socket ? &sockets[found->file] : nullptr;
}

void reset_fake_net() {
    fake_net = {};
    sockets.clear();
}

} // namespace fuzz

using fuzz::error_of;
using fuzz::fail_fake;
using fuzz::fake;
using fuzz::fake_net;
using fuzz::fake_socket;
using fuzz::FakeSocket;

extern "C" {

int __real_socket(int family, int type, int protocol);
int __real_connect(int descriptor, const sockaddr *address, socklen_t size);
ssize_t __real_send(int descriptor, const void *data, size_t size, int flags);
int __real_bind(int descriptor, const sockaddr *address, socklen_t size);
int __real_listen(int descriptor, int backlog);
int __real_setsockopt(int descriptor, int level, int option, const void *value, socklen_t size);
int __real_getsockopt(int descriptor, int level, int option, void *value, socklen_t *size);
int __real_getsockname(int descriptor, sockaddr *address, socklen_t *size);
int __real_getaddrinfo(const char *node, const char *service, const addrinfo *hints,
                       addrinfo **ret_list);
void __real_freeaddrinfo(addrinfo *list);
int __real_nanosleep(const timespec *time, timespec *rest);

int __wrap_socket(int family, int type, int protocol);
int __wrap_connect(int descriptor, const sockaddr *address, socklen_t size);
ssize_t __wrap_send(int descriptor, const void *data, size_t size, int flags);
int __wrap_bind(int descriptor, const sockaddr *address, socklen_t size);
int __wrap_listen(int descriptor, int backlog);
int __wrap_setsockopt(int descriptor, int level, int option, const void *value, socklen_t size);
int __wrap_getsockopt(int descriptor, int level, int option, void *value, socklen_t *size);
int __wrap_getsockname(int descriptor, sockaddr *address, socklen_t *size);
int __wrap_getaddrinfo(const char *node, const char *service, const addrinfo *hints,
                       addrinfo **ret_list);
void __wrap_freeaddrinfo(addrinfo *list);
int __wrap_nanosleep(const timespec *time, timespec *rest);

int __wrap_socket(int family, int type, int protocol) {
    if (!fake.active) {
        return __real_socket(family, type, protocol);
    }
    EXPECT((type & SOCK_CLOEXEC) != 0);
    if (int r = error_of("socket"); r < 0) {
        return r;
    }
    const int descriptor = fuzz::new_fake(0);
    fake.descriptors[descriptor].is_socket = true;
    *fake_socket(descriptor) = FakeSocket{family, type, {}, 0, {}};
    return descriptor;
}

int __wrap_connect(int descriptor, const sockaddr *address, socklen_t size) {
    if (!fake.active) {
        return __real_connect(descriptor, address, size);
    }
    EXPECT(fake_socket(descriptor) != nullptr && size <= sizeof(sockaddr_storage));
    const std::string copy(reinterpret_cast<const char *>(address), size); // all of it is there
    EXPECT(copy.size() == size);
    if (fake_net.connected) {
        fake_net.connected(address, size);
    }
    return error_of("connect");
}

ssize_t __wrap_send(int descriptor, const void *data, size_t size, int flags) {
    if (!fake.active) {
        return __real_send(descriptor, data, size, flags);
    }
    EXPECT(fake_socket(descriptor) != nullptr && (flags & MSG_NOSIGNAL) != 0);
    if (int r = error_of("send"); r < 0) {
        return r;
    }
    if (fake_net.sent) {
        fake_net.sent({static_cast<const char *>(data), size});
    }
    return static_cast<ssize_t>(size);
}

int __wrap_bind(int descriptor, const sockaddr *address, socklen_t size) {
    if (!fake.active) {
        return __real_bind(descriptor, address, size);
    }
    FakeSocket *socket = fake_socket(descriptor);
    EXPECT(socket != nullptr && socket->bound.size == 0 && address->sa_family == socket->family);
    if (int r = error_of("bind"); r < 0) {
        return r;
    }
    socket->bound = {address->sa_family, size,
                     std::string(reinterpret_cast<const char *>(address), size)};
    auto *named = reinterpret_cast<sockaddr_in *>(socket->bound.bytes.data());
    if (named->sin_port == 0) {
        named->sin_port = htons(fake_net.next_port++);
    }
    return 0;
}

int __wrap_listen(int descriptor, int backlog) {
    if (!fake.active) {
        return __real_listen(descriptor, backlog);
    }
    FakeSocket *socket = fake_socket(descriptor);
    EXPECT(socket != nullptr && socket->bound.size != 0);
    if (int r = error_of("listen"); r < 0) {
        return r;
    }
    socket->backlog = backlog;
    return 0;
}

int __wrap_setsockopt(int descriptor, int level, int option, const void *value, socklen_t size) {
    if (!fake.active) {
        return __real_setsockopt(descriptor, level, option, value, size);
    }
    FakeSocket *socket = fake_socket(descriptor);
    EXPECT(socket != nullptr && socket->bound.size == 0);
    if (int r = error_of("setsockopt"); r < 0) {
        return r;
    }
    socket->options.push_back(level * 1000 + option);
    return 0;
}

int __wrap_getsockopt(int descriptor, int level, int option, void *value, socklen_t *size) {
    if (!fake.active) {
        return __real_getsockopt(descriptor, level, option, value, size);
    }
    const fuzz::FakeDescriptor *found = fuzz::find_fake(descriptor);
    EXPECT(*size == sizeof(int) && option == SO_ACCEPTCONN);
    const int listens = found != nullptr && found->listens ? 1 : 0;
    memcpy(value, &listens, sizeof(listens));
    return found == nullptr ? fail_fake(EBADF) : 0;
}

int __wrap_getsockname(int descriptor, sockaddr *address, socklen_t *size) {
    if (!fake.active) {
        return __real_getsockname(descriptor, address, size);
    }
    const FakeSocket *socket = fake_socket(descriptor);
    EXPECT(socket != nullptr);
    if (int r = error_of("getsockname"); r < 0) {
        return r;
    }
    EXPECT(*size >= socket->bound.size);
    socket->bound.bytes.copy(reinterpret_cast<char *>(address), socket->bound.size);
    *size = socket->bound.size;
    return 0;
}

int __wrap_getaddrinfo(const char *node, const char *service, const addrinfo *hints,
                       addrinfo **ret_list) {
    if (!fake.active) {
        return __real_getaddrinfo(node, service, hints, ret_list);
    }
    EXPECT(node == nullptr || strlen(node) > 0);
    EXPECT((hints->ai_flags & AI_PASSIVE) != 0 && hints->ai_socktype == SOCK_STREAM);
    if (fake_net.found.empty()) {
        errno = EIO;
        return fake_net.resolver_error;
    }
    addrinfo *first = nullptr;
    addrinfo **place = &first;
    for (const fuzz::FakeAddress &address : fake_net.found) {
        auto *entry = new addrinfo{};
        // Without a byte to spare, so that a sanitizer sees what is read behind it.
        char *bytes = new char[address.size];
        address.bytes.copy(bytes, address.size);
        entry->ai_family = address.family;
        entry->ai_addrlen = address.size;
        entry->ai_addr = reinterpret_cast<sockaddr *>(bytes);
        *place = entry;
        place = &entry->ai_next;
    }
    fake_net.lists += 1;
    *ret_list = first;
    return 0;
}

void __wrap_freeaddrinfo(addrinfo *list) {
    if (!fake.active) {
        __real_freeaddrinfo(list);
        return;
    }
    EXPECT(list != nullptr);
    fake_net.lists -= 1;
    while (list != nullptr) {
        addrinfo *next = list->ai_next;
        delete[] reinterpret_cast<char *>(list->ai_addr);
        delete list;
        list = next;
    }
}

int __wrap_nanosleep(const timespec *time, timespec *rest) {
    return fake.active ? 0 : __real_nanosleep(time, rest);
}

} // extern "C"
