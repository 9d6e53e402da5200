// server.cc - an HTTP server with cpp-httplib, whose workers lose no request
//
//   PORT=8090 WORKERS=4 ./server
//
// HUP replaces the workers one after the other, TERM ends the program. A worker that stops answers
// what it has accepted, says "Connection: close", and ends when its clients have closed.
//
// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <httplib.h>
#include <iostream>
#include <netinet/tcp.h>
#include <poll.h>
#include <prefork.hpp>
#include <string>
#include <sys/socket.h>
#include <thread>

using namespace std::chrono_literals;

constexpr int idle_ms = 5000;        // a client that asks nothing is left
constexpr int connections_max = 256; // of one worker, each with a thread

// What httplib reads from and writes to.
class Connection : public httplib::Stream {
  public:
    explicit Connection(prefork::Descriptor socket) : socket_(std::move(socket)) {
        const int on = 1;
        ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    bool is_readable() const override { return wait(POLLIN); }
    bool is_writable() const override { return wait(POLLOUT); }
    ssize_t read(char *data, size_t size) override {
        return is_readable() ? ::recv(socket_.get(), data, size, 0) : -1;
    }
    ssize_t write(const char *data, size_t size) override {
        return is_writable() ? ::send(socket_.get(), data, size, MSG_NOSIGNAL) : -1;
    }
    void get_remote_ip_and_port(std::string &, int &) const override {}
    void get_local_ip_and_port(std::string &, int &) const override {}
    int socket() const override { return socket_.get(); }

  private:
    bool wait(short events) const {
        pollfd one{socket_.get(), events, 0};
        return ::poll(&one, 1, idle_ms) > 0;
    }

    prefork::Descriptor socket_;
};

// httplib's own listen() would shut the socket down for all workers when it stops.
class Server : public httplib::Server {
  public:
    void serve(int listener) {
        prefork::this_worker::ready();
        while (prefork::this_worker::wait(listener) != prefork::Wake::stop) {
            accept_one(listener);
        }
        stopping_ = true;
        while (accept_one(listener)) {
        }
        while (open_ > 0) {
            std::this_thread::sleep_for(1ms);
        }
    }

  private:
    bool accept_one(int listener) {
        while (open_ >= connections_max) {
            std::this_thread::sleep_for(1ms);
        }
        std::error_code error; // short of descriptors, say: no reason to end
        auto socket = prefork::accept(listener, error);
        if (!socket) {
            return false; // another worker has it
        }
        open_++;
        std::thread([this, fd = socket->release()] {
            answer(Connection(prefork::Descriptor(fd)));
            open_--;
        }).detach();
        return true;
    }

    void answer(Connection connection) {
        bool closed = false;
        while (!closed && connection.is_readable()) {
            const bool last = stopping_;
            if (!process_request(connection, last, closed, nullptr) || last) {
                return;
            }
        }
    }

    std::atomic<bool> stopping_{false};
    std::atomic<int> open_{0};
};

static int number(const char *name, int usual) {
    const char *text = std::getenv(name);
    return text == nullptr ? usual : std::atoi(text);
}

static void work(int listener, int task_id) {
    // A terminal sends these to every process of the program.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    Server server;
    server.Get("/", [task_id](const httplib::Request &, httplib::Response &response) {
        response.set_content("hello from pid " + std::to_string(::getpid()) + ", task " +
                                 std::to_string(task_id) + "\n",
                             "text/plain");
    });
    server.serve(listener);
}

int main() {
    try {
        const auto sockets = prefork::bind_sockets("127.0.0.1", number("PORT", 8090));
        const int listener = sockets.at(0).get();
        prefork::Settings settings;
        settings.workers = number("WORKERS", 4);
        settings.signals = prefork::Signals::standard;
        settings.restart = prefork::Restart::always;
        settings.max_restarts = prefork::unlimited;
        settings.ready_timeout = 10s;
        settings.stop_signal = 0; // the workers wait for their stop descriptors
        settings.stop_timeout = 15s;
        settings.on_event = [](const prefork::Event &event) { std::cerr << event.message << '\n'; };
        prefork::Pool(settings).run([listener](int task_id) { work(listener, task_id); });
    } catch (const std::exception &exception) {
        std::cerr << "server: " << exception.what() << '\n';
        return EXIT_FAILURE;
    }
}
