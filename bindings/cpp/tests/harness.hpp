/// Cases, each run in a process of its own: PROGRAM CASE. Every wait has a deadline.
///
/// SPDX-License-Identifier: MIT
#ifndef HARNESS_HPP
#define HARNESS_HPP

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <poll.h>
#include <prefork.hpp>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace harness {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

inline constexpr auto patience = 30s;

struct Case {
    const char *name;
    void (*run)();
};

inline std::vector<Case> &cases() {
    static std::vector<Case> all;
    return all;
}

struct Add {
    Add(const char *name, void (*run)()) { cases().push_back({name, run}); }
};

inline void check(bool holds, const char *what, const char *file, int line) {
    if (!holds) {
        throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + what);
    }
}

#define CHECK(condition) harness::check((condition), #condition, __FILE__, __LINE__)
#define SCENARIO(name)                                                                             \
    static void name();                                                                            \
    static const harness::Add add_##name(#name, name);                                             \
    static void name()

inline void wait_until(const char *what, const std::function<bool()> &condition) {
    const auto end = Clock::now() + patience;
    while (!condition()) {
        if (Clock::now() > end) {
            throw std::runtime_error(std::string("not in time: ") + what);
        }
        std::this_thread::sleep_for(2ms);
    }
}

/// Whether it runs; a zombie has ended.
inline bool is_alive(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(stat, text);
    const auto end = text.rfind(')');
    return end != std::string::npos && text[end + 2] != 'Z' && text[end + 2] != 'X';
}

inline bool has_child() { return ::waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD; }

/// Lines that any process of the test writes and this one reads.
class Report {
  public:
    Report() {
        if (::pipe2(fds_, O_CLOEXEC) != 0) {
            throw std::runtime_error("pipe2");
        }
    }
    Report(const Report &) = delete;
    Report &operator=(const Report &) = delete;
    ~Report() {
        ::close(fds_[0]);
        ::close(fds_[1]);
    }

    int fd() const { return fds_[1]; }
    int read_fd() const { return fds_[0]; }
    void say(const std::string &line) const {
        const std::string whole = line + "\n";
        if (::write(fds_[1], whole.data(), whole.size()) < 0) {
            std::perror("report");
        }
    }
    std::string line() {
        const auto end = Clock::now() + patience;
        for (;;) {
            if (const auto at = text_.find('\n'); at != std::string::npos) {
                std::string first = text_.substr(0, at);
                text_.erase(0, at + 1);
                return first;
            }
            pollfd one{fds_[0], POLLIN, 0};
            char buffer[512];
            if (::poll(&one, 1, 100) > 0) {
                const ssize_t length = ::read(fds_[0], buffer, sizeof buffer);
                text_.append(buffer, static_cast<std::size_t>(length < 0 ? 0 : length));
            } else if (Clock::now() > end) {
                throw std::runtime_error("no line in time");
            }
        }
    }
    int number() { return std::stoi(line()); }

  private:
    int fds_[2] = {-1, -1};
    std::string text_;
};

/// A child that runs a function, and exits with its result.
class Process {
  public:
    explicit Process(const std::function<int()> &function) {
        std::fflush(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            int status = 99;
            try {
                status = function();
            } catch (const std::exception &exception) {
                std::fprintf(stderr, "child: %s\n", exception.what());
            }
            std::fflush(nullptr);
            ::_exit(status);
        }
    }
    Process(const Process &) = delete;
    Process &operator=(const Process &) = delete;
    ~Process() {
        if (!ended_) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }

    pid_t pid() const { return pid_; }
    void signal(int number) const { ::kill(pid_, number); }
    /// As waitpid(2) has it.
    int status() {
        int status = 0;
        wait_until("a process ends", [&] { return ::waitpid(pid_, &status, WNOHANG) != 0; });
        ended_ = true;
        return status;
    }
    int exit_status() {
        const int all = status();
        return WIFEXITED(all) ? WEXITSTATUS(all) : -WTERMSIG(all);
    }

  private:
    pid_t pid_ = 0;
    bool ended_ = false;
};

/// The error code that a call throws; none if it throws nothing.
inline std::error_code code_of(const std::function<void()> &call, std::string *what = nullptr) {
    try {
        call();
    } catch (const std::system_error &error) {
        if (what != nullptr) {
            *what = error.what();
        }
        return error.code();
    }
    return {};
}

inline prefork::Settings settings_of(int workers) {
    prefork::Settings settings;
    settings.workers = workers;
    return settings;
}

/// A worker that does nothing until it is asked to stop.
inline void idle() { prefork::this_worker::wait_for_stop(); }

/// Stops by the descriptor alone.
inline prefork::Settings stoppable(int workers) {
    prefork::Settings settings = settings_of(workers);
    settings.stop_signal = 0;
    return settings;
}

inline int main(int argc, char **argv) {
    for (const Case &one : cases()) {
        if (argc == 2 && std::string(argv[1]) == one.name) {
            try {
                one.run();
                CHECK(!has_child());
                return EXIT_SUCCESS;
            } catch (const std::exception &exception) {
                std::fprintf(stderr, "%s: %s\n", one.name, exception.what());
                return EXIT_FAILURE;
            }
        }
    }
    std::fprintf(stderr, "usage: %s CASE\n", argv[0]);
    return 2;
}

} // namespace harness

#endif
