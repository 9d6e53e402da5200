// The descriptors that the event loop of the simulated supervisor opens, and what its epoll knows
// of them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <sys/epoll.h>
#include <vector>

#include "base/time.h"

namespace sim {

class Epoll {
  public:
    enum class Kind : uint8_t { none, epoll, timer, wakeup, pidfd, other, of_host };

    // What is left of those before it is forgotten.
    void begin();

    // Numbers are used again, as the kernel does.
    int open(Kind kind, int32_t pid = 0);
    void close(int descriptor);
    [[nodiscard]] bool is_ours(int descriptor) const {
        return descriptor >= first_number && descriptor < end_number;
    }
    // By the library or, after the host has taken the number, by the host.
    [[nodiscard]] bool is_open(int descriptor) const { return kind_of(descriptor) != Kind::none; }
    [[nodiscard]] bool is_of_host(int descriptor) const {
        return kind_of(descriptor) == Kind::of_host;
    }
    // With what was added to the host's epoll and left there.
    [[nodiscard]] uint32_t open_count() const { return open_ + (added_to_host_ >= 0 ? 1 : 0); }
    // The process that a pidfd stands for; 0: it is none.
    [[nodiscard]] int32_t pid_of(int descriptor) const;
    // The host closes all, by mistake, and may open files of its own then.
    void be_closed(bool reopens);
    // Another program goes on: all is closed but the pidfds.
    void replace_program();

    // Each returns 0 or a negative errno.
    int control(int own, int operation, int descriptor, const epoll_event *event);
    int set_timer(int descriptor, prefork::base::Instant deadline);
    int read(int descriptor);

    // Whether a wait returns at once.
    [[nodiscard]] bool is_readable() const;
    // What it returns: of many descriptors only the first, in any order.
    int gather(epoll_event *ret_events, int size);

    [[nodiscard]] prefork::base::Instant timer() const { return timer_; }
    // Whether the end of the process is reported, and with this number.
    [[nodiscard]] bool reports(int pidfd, uint32_t number) const;
    [[nodiscard]] bool reports(int pidfd) const;
    [[nodiscard]] bool listens_to_messages() const { return messages_.is_armed(); }

  private:
    struct Registration {
        bool is_there = false;
        uint32_t events = 0;
        uint32_t number = 0;

        [[nodiscard]] bool is_armed() const { return is_there && (events & EPOLLIN) != 0; }
    };
    struct File {
        Kind kind = Kind::none;
        int32_t pid = 0;
        Registration registration;
    };
    struct Events {
        epoll_event *events;
        int size;
        int count = 0;

        void add(Registration *source);
    };
    static constexpr int first_number = 10'000;
    static constexpr int end_number = 20'000;

    int control_of_host(int operation, int descriptor);
    [[nodiscard]] const File *find(int descriptor) const;
    [[nodiscard]] Kind kind_of(int descriptor) const;
    [[nodiscard]] Registration *registration_of(int descriptor);
    [[nodiscard]] Registration *first_of(Kind kind);
    [[nodiscard]] bool is_armed(Kind kind) const;
    void gather_ended(Events *events);
    void gather_spurious(Events *events);

    std::vector<File> files_;
    size_t first_free_ = 0; // none below it is
    uint32_t open_ = 0;
    Registration messages_;
    uint32_t messages_pipe_ = 0;
    int added_to_host_ = -1;
    prefork::base::Instant timer_ = prefork::base::never;
};

extern Epoll epoll;

} // namespace sim
