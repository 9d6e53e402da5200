/// A small HTTP server and its clients.
///
/// SPDX-License-Identifier: MIT
#ifndef CLIENT_HPP
#define CLIENT_HPP

#include <arpa/inet.h>
#include <atomic>
#include <cstdlib>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <utility>

#include "harness.hpp"

namespace harness {

inline int port_of(int listener) {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr *>(&address), &length);
    return ntohs(address.sin_port);
}

/// The pid that answers; none if the request was lost.
inline std::optional<int> ask(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const prefork::Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const std::string request = "GET / HTTP/1.0\r\n\r\n";
    if (::connect(socket.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 ||
        ::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
        return std::nullopt;
    }
    std::string answer;
    char buffer[512];
    for (ssize_t length; (length = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;) {
        answer.append(buffer, static_cast<std::size_t>(length));
    }
    const auto at = answer.find("pid ");
    return at == std::string::npos ? std::nullopt
                                   : std::optional<int>(std::atoi(answer.c_str() + at + 4));
}

/// A worker: answers until it must stop and no connection waits.
inline void serve(int listener) {
    prefork::this_worker::ready();
    for (bool stopping = false; !stopping;) {
        stopping = prefork::this_worker::wait(listener) == prefork::Wake::stop;
        while (auto connection = prefork::accept(listener)) {
            pollfd one{connection->get(), POLLIN, 0};
            char request[512];
            ::poll(&one, 1, 10000);
            if (::recv(connection->get(), request, sizeof request, 0) > 0) {
                const std::string answer =
                    "HTTP/1.0 200 OK\r\n\r\npid " + std::to_string(::getpid()) + "\n";
                ::send(connection->get(), answer.data(), answer.size(), MSG_NOSIGNAL);
            }
        }
    }
}

/// A process that asks again and again, and counts.
class Client {
  public:
    explicit Client(int port)
        : counts_(static_cast<Counts *>(::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0))),
          process_([this, port] {
              while (!counts_->is_over) {
                  ask(port) ? counts_->answered++ : counts_->lost++;
              }
              return 0;
          }) {}

    /// Since this was last true.
    bool has_asked_since_reload() {
        const int asked = counts_->answered + counts_->lost;
        const bool more = asked > seen_ + 1;
        seen_ = more ? asked : seen_;
        return more;
    }

    /// Call it before the server ends: what is asked later is lost.
    std::pair<int, int> end() {
        counts_->is_over = true;
        process_.status();
        return {counts_->answered, counts_->lost};
    }

  private:
    struct Counts {
        std::atomic<int> answered;
        std::atomic<int> lost;
        std::atomic<bool> is_over;
    };
    Counts *counts_;
    int seen_ = 0;
    Process process_;
};

} // namespace harness

#endif
