// SPDX-License-Identifier: MIT
#include "epoll.h"

#include <cerrno>
#include <utility>

#include "channel.h"
#include "pipes.h"
#include "violation.h"
#include "world.h"

namespace sim {

Epoll epoll;

void Epoll::begin() {
    files_.clear();
    first_free_ = 0;
    open_ = 0;
    messages_ = Registration{};
    messages_pipe_ = 0;
    added_to_host_ = -1;
    timer_ = never;
}

// ---- Descriptors ------------------------------------------------------------------------------

const Epoll::File *Epoll::find(int descriptor) const {
    const auto index = static_cast<size_t>(descriptor - first_number);
    return descriptor >= first_number && index < files_.size() ? &files_[index] : nullptr;
}

Epoll::Kind Epoll::kind_of(int descriptor) const {
    const File *file = find(descriptor);
    return file == nullptr ? Kind::none : file->kind;
}

int32_t Epoll::pid_of(int descriptor) const {
    const File *file = find(descriptor);
    return file == nullptr ? 0 : file->pid;
}

// The lowest number that is free.
int Epoll::open(Kind kind, int32_t pid) {
    while (first_free_ < files_.size() && files_[first_free_].kind != Kind::none) {
        first_free_ += 1;
    }
    if (first_free_ == files_.size()) {
        files_.emplace_back();
    }
    files_[first_free_] = File{kind, pid, {}};
    open_ += 1;
    return first_number + static_cast<int>(first_free_);
}

void Epoll::close(int descriptor) {
    require(is_open(descriptor), "descriptor", "one is closed that is not open");
    require(!is_of_host(descriptor), "descriptor", "one of the host's is closed");
    const auto index = static_cast<size_t>(descriptor - first_number);
    if (files_[index].kind == Kind::timer) {
        timer_ = never;
    }
    files_[index] = File{};
    first_free_ = std::min(first_free_, index);
    open_ -= 1;
}

void Epoll::be_closed(bool reopens) {
    for (File &file : files_) {
        file = File{reopens ? Kind::of_host : Kind::none, 0, {}};
    }
    first_free_ = reopens ? files_.size() : 0;
    open_ = 0;
    messages_ = Registration{};
    timer_ = never;
}

void Epoll::replace_program() {
    for (size_t index = 0; index < files_.size(); index++) {
        File &file = files_[index];
        file.registration = Registration{};
        if (file.kind != Kind::none && file.pid == 0) {
            close(first_number + static_cast<int>(index));
        }
    }
    messages_ = Registration{};
}

// ---- What the epoll knows ---------------------------------------------------------------------

// Of the pipes the pool waits for one only.
Epoll::Registration *Epoll::registration_of(int descriptor) {
    if (is_open(descriptor)) {
        return &files_[static_cast<size_t>(descriptor - first_number)].registration;
    }
    const uint32_t pipe = pipes.pipe_of(descriptor);
    if (pipe != 0 && pipe != std::exchange(messages_pipe_, pipe)) {
        messages_ = Registration{};
    }
    return pipe != 0 ? &messages_ : nullptr;
}

// An epoll that knows nothing of the library's. What is added to it to see that is taken away at
// once.
int Epoll::control_of_host(int operation, int descriptor) {
    if (!is_open(descriptor) && pipes.pipe_of(descriptor) == 0) {
        return -EBADF;
    }
    const int added = std::exchange(added_to_host_, -1);
    if (operation == EPOLL_CTL_ADD) {
        added_to_host_ = descriptor;
    }
    require(added < 0 || (added == descriptor && operation == EPOLL_CTL_DEL), "descriptor",
            "something is added to the host's epoll");
    return operation == EPOLL_CTL_ADD || added >= 0 ? 0 : -ENOENT;
}

int Epoll::control(int own, int operation, int descriptor, const epoll_event *event) {
    if (is_of_host(own)) {
        return control_of_host(operation, descriptor);
    }
    Registration *registration = registration_of(descriptor);
    if (kind_of(own) != Kind::epoll || registration == nullptr) {
        return -EBADF;
    }
    if (operation == EPOLL_CTL_ADD) {
        if (registration->is_there) {
            return -EEXIST;
        }
        if (const int32_t error = world.trouble_of_watching(); error != 0) {
            return error;
        }
    } else if (!registration->is_there) {
        return -ENOENT;
    }
    if (operation == EPOLL_CTL_DEL) {
        *registration = Registration{};
    } else {
        *registration = Registration{true, event->events, event->data.u32};
    }
    return 0;
}

int Epoll::set_timer(int descriptor, Instant deadline) {
    require(!is_of_host(descriptor), "descriptor", "the host's timer is set");
    if (kind_of(descriptor) != Kind::timer) {
        return -EBADF;
    }
    timer_ = deadline;
    return 0;
}

int Epoll::read(int descriptor) {
    require(!is_of_host(descriptor), "descriptor", "a file of the host's is read");
    const Kind kind = kind_of(descriptor);
    const bool has_come = kind == Kind::timer    ? timer_ <= world.clock
                          : kind == Kind::wakeup ? world.woken
                                                 : false;
    if (!has_come) {
        return kind == Kind::timer || kind == Kind::wakeup ? -EAGAIN : -EBADF;
    }
    if (kind == Kind::timer) {
        timer_ = never; // it comes once
    } else {
        world.woken = false;
    }
    return 0;
}

Epoll::Registration *Epoll::first_of(Kind kind) {
    for (File &file : files_) {
        if (file.kind == kind) {
            return &file.registration;
        }
    }
    return nullptr;
}

bool Epoll::is_armed(Kind kind) const {
    const Registration *registration = const_cast<Epoll *>(this)->first_of(kind);
    return registration != nullptr && registration->is_armed();
}

bool Epoll::reports(int pidfd) const {
    const File *file = find(pidfd);
    return file != nullptr && file->registration.is_armed();
}

bool Epoll::reports(int pidfd, uint32_t number) const {
    return reports(pidfd) && find(pidfd)->registration.number == number;
}

// ---- Waits ------------------------------------------------------------------------------------

bool Epoll::is_readable() const {
    if ((world.woken && is_armed(Kind::wakeup)) ||
        (timer_ <= world.clock && is_armed(Kind::timer)) || world.has_message()) {
        return true;
    }
    for (const uint32_t worker : world.ended) {
        const Process &process = world.instances[worker];
        if (world.is_noticed(process) && reports(process.pidfd)) {
            return true;
        }
    }
    return false;
}

void Epoll::Events::add(Registration *source) {
    if (source == nullptr || !source->is_armed() || count == size) {
        return;
    }
    events[count].events = EPOLLIN;
    events[count].data.u64 = source->number;
    count += 1;
    if ((source->events & EPOLLONESHOT) != 0) {
        source->events = 0;
    }
}

// Some that are readable for nothing.
void Epoll::gather_spurious(Events *events) {
    const std::vector<uint32_t> &living = world.living;
    for (uint32_t index = 0; index < world.spurious && !living.empty(); index++) {
        const Process &process =
            world.instances[living[(world.order / 3 + index * 5) % living.size()]];
        if (process.pidfd >= 0) {
            events->add(registration_of(process.pidfd));
        }
    }
}

void Epoll::gather_ended(Events *events) {
    const std::vector<uint32_t> &ended = world.ended;
    const size_t count = ended.size();
    const size_t first = world.order % 7;
    for (size_t index = 0; index < count; index++) {
        const size_t place = world.order % 5 == 0 ? index : (count * 2 - 1 - index + first) % count;
        Process &process = world.instances[ended[place]];
        if (world.is_noticed(process) && reports(process.pidfd) && events->count < events->size) {
            process.noticed = true;
            events->add(registration_of(process.pidfd));
        }
    }
}

int Epoll::gather(epoll_event *ret_events, int size) {
    const bool timer_last = world.order % 2 == 1;
    Events events{ret_events, size};
    Registration *timer = timer_ <= world.clock ? first_of(Kind::timer) : nullptr;
    if (!timer_last) {
        events.add(timer);
    }
    if (world.woken) {
        events.add(first_of(Kind::wakeup));
    }
    if ((world.has_message() && world.order % 11 != 10) ||
        (channel.is_readable() && world.has_announced())) {
        events.add(&messages_);
    }
    if (world.order % 3 == 1) {
        gather_spurious(&events);
    }
    gather_ended(&events);
    if (timer_last) {
        events.add(timer);
    }
    return events.count;
}

} // namespace sim
