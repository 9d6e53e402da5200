/// @file prefork/socket.hpp
/// Listening sockets that workers share, and descriptors that close themselves.
///
/// SPDX-License-Identifier: MIT
#ifndef PREFORK_SOCKET_HPP
#define PREFORK_SOCKET_HPP

#include <prefork.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <prefork/error.hpp>

namespace prefork {

/// Owns a file descriptor.
class Descriptor {
  public:
    Descriptor() noexcept = default;
    /// Owns fd; -1 is none.
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    /// @cond
    Descriptor(Descriptor &&other) noexcept : fd_(other.release()) {}
    Descriptor &operator=(Descriptor &&other) noexcept {
        if (this != &other) {
            reset(other.release());
        }
        return *this;
    }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    ~Descriptor() { reset(); }
    /// @endcond

    /// The descriptor; -1: none.
    int get() const noexcept { return fd_; }
    /// Whether there is one.
    explicit operator bool() const noexcept { return fd_ >= 0; }
    /// Gives the descriptor away: it is not closed here.
    int release() noexcept { return std::exchange(fd_, -1); }
    /// Closes the descriptor, and owns another one.
    void reset(int fd = -1) noexcept {
        if (const int old = std::exchange(fd_, fd); old >= 0) {
            ::close(old);
        }
    }

  private:
    int fd_ = -1;
};

/// How bind_sockets() binds.
struct BindOptions {
    int family = AF_UNSPEC;  ///< or AF_INET, AF_INET6
    int backlog = 0;         ///< as for listen(2); 0: 128
    bool reuse_port = false; ///< others that set it may bind the same address
};

namespace detail {

/// More are not given: pf_bind_sockets(3).
inline constexpr int sockets_max = 64;

} // namespace detail

/// Binds a listening TCP socket to each address of a host; "": any address. With port 0 the kernel
/// chooses one. Call it before the workers are started, which then share the sockets; workers by
/// exec get them from the same call. One thread at a time may call it.
inline std::vector<Descriptor> bind_sockets(std::string_view host, int port,
                                            const BindOptions &options, std::error_code &error) {
    int fds[detail::sockets_max];
    const std::string name(host);
    if (name.find('\0') != std::string::npos) {
        error = std::make_error_code(std::errc::invalid_argument);
        return {};
    }
    std::vector<Descriptor> sockets;
    sockets.reserve(detail::sockets_max); // nothing throws while the descriptors have no owner
    const std::uint32_t flags = options.reuse_port ? PF_BIND_REUSEPORT : 0;
    const int count =
        detail::take(pf_bind_sockets(name.c_str(), port, options.family, options.backlog, flags,
                                     fds, detail::sockets_max),
                     error);
    for (int i = 0; i < count; i++) {
        sockets.emplace_back(fds[i]);
    }
    return sockets;
}
/// @throws std::system_error EADDRINUSE, EACCES, errc::resolve and others; it names host and port
inline std::vector<Descriptor> bind_sockets(std::string_view host, int port,
                                            const BindOptions &options = {}) {
    detail::text(host, "bind_sockets: host");
    std::error_code error;
    auto sockets = bind_sockets(host, port, options, error);
    if (error) {
        detail::fail(error,
                     "bind_sockets(" + std::string(host) + ", " + std::to_string(port) + ")");
    }
    return sockets;
}

/// Binds a listening UNIX stream socket to a path, with these permissions. A socket file on which
/// no process listens is replaced.
inline Descriptor bind_unix_socket(std::string_view path, unsigned mode, int backlog,
                                   std::error_code &error) {
    const std::string name(path);
    if (name.find('\0') != std::string::npos) {
        error = std::make_error_code(std::errc::invalid_argument);
        return {};
    }
    return Descriptor(detail::take(pf_bind_unix_socket(name.c_str(), mode, backlog), error));
}
/// @throws std::system_error EADDRINUSE, EEXIST, ENAMETOOLONG and others; it names the path
inline Descriptor bind_unix_socket(std::string_view path, unsigned mode = 0600, int backlog = 0) {
    detail::text(path, "bind_unix_socket: path");
    std::error_code error;
    Descriptor socket = bind_unix_socket(path, mode, backlog, error);
    if (error) {
        detail::fail(error, "bind_unix_socket(" + std::string(path) + ")");
    }
    return socket;
}

/// Accepts a connection from a non-blocking listening socket; none if none waits, for example
/// because another worker has it. Any thread may call it.
inline std::optional<Descriptor> accept(int fd, std::error_code &error) noexcept {
    const int connection = detail::take(pf_accept(fd), error);
    if (connection == -EAGAIN) {
        error.clear();
    }
    return connection < 0 ? std::nullopt : std::optional<Descriptor>(Descriptor(connection));
}
/// @throws std::system_error EMFILE and similar, after which the connection still waits
inline std::optional<Descriptor> accept(int fd) {
    return detail::or_throw("accept", [&](std::error_code &error) { return accept(fd, error); });
}

/// The descriptors that systemd passed to this process, in their order. A second call returns the
/// same, so they are not owned. One thread at a time may call it.
inline std::vector<int> listen_fds(std::error_code &error) {
    std::vector<int> fds(detail::sockets_max);
    for (;;) {
        const int count =
            detail::take(pf_listen_fds(fds.data(), static_cast<int>(fds.size())), error);
        if (count != -ENOBUFS || fds.size() > 65536) {
            fds.resize(static_cast<std::size_t>(count < 0 ? 0 : count));
            return fds;
        }
        fds.resize(fds.size() * 2);
    }
}
/// @throws std::system_error EBADF if one is not open, EINVAL if LISTEN_FDS is not a number
inline std::vector<int> listen_fds() {
    return detail::or_throw("listen_fds", [](std::error_code &error) { return listen_fds(error); });
}

} // namespace prefork

#endif
