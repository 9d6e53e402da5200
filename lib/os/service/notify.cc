// SPDX-License-Identifier: MIT
#include "os/service/notify.h"

#include <bit>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "os/process/clock.h"

namespace prefork::os {

namespace {

constexpr base::Duration status_interval = base::second;
constexpr base::Duration retry_delay_min = 10 * base::millisecond;
constexpr base::Duration retry_delay_max = base::second;
// More often nobody can mean it.
constexpr base::Duration sign_of_life_interval_min = 10 * base::millisecond;
constexpr int last_attempts = 10;

} // namespace

int Notifier::open(base::Instant now) {
    const char *name = secure_getenv(notify_variable);
    const size_t length = name == nullptr ? 0 : strlen(name);
    if (length < 2 || length >= sizeof(address_.sun_path) || (name[0] != '/' && name[0] != '@')) {
        return 0;
    }
    address_.sun_family = AF_UNIX;
    memcpy(address_.sun_path, name, length);
    address_size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    if (name[0] == '@') {
        address_.sun_path[0] = '\0'; // an abstract name, without a zero at its end
    } else {
        address_size_ += 1;
    }
    if (int r = socket_.adopt(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)); r < 0) {
        return r;
    }
    (void)connect_socket(); // else it is tried again with each message
    read_watchdog(now);
    return 0;
}

void Notifier::close() {
    constexpr timespec delay = {0, 10'000'000};
    for (int attempt = 0; attempt < last_attempts; attempt++) {
        pending_ &= reloading_flag | ready_flag | stopping_flag;
        if (socket_.get() < 0 || pending_ == 0) {
            break;
        }
        if (attempt > 0) {
            nanosleep(&delay, nullptr);
        }
        update(reported_, os::now());
    }
    socket_.reset();
}

bool Notifier::connect_socket() {
    connected_ =
        connect(socket_.get(), reinterpret_cast<const sockaddr *>(&address_), address_size_) == 0;
    return connected_;
}

void Notifier::read_watchdog(base::Instant now) {
    const char *limit_us = secure_getenv("WATCHDOG_USEC");
    const char *watched = secure_getenv("WATCHDOG_PID");
    if (limit_us == nullptr ||
        (watched != nullptr && base::parse_decimal(watched) != static_cast<uint64_t>(getpid()))) {
        return;
    }
    const uint64_t limit = base::parse_decimal(limit_us);
    if (limit == 0 || limit > base::never / base::microsecond) {
        return; // none, or one that never comes
    }
    const base::Duration half = limit * base::microsecond / 2;
    sign_of_life_interval_ = half < sign_of_life_interval_min ? sign_of_life_interval_min : half;
    sign_of_life_ = base::after(now, sign_of_life_interval_);
}

void Notifier::stopping() {
    if (!stopping_) {
        stopping_ = true;
        pending_ |= stopping_flag;
    }
}

void Notifier::update(const PoolCounts &counts, base::Instant now) {
    if (socket_.get() < 0) {
        return;
    }
    if (!(counts == reported_)) {
        pending_ |= status_flag;
    }
    if (now >= sign_of_life_) {
        pending_ |= alive_flag;
        sign_of_life_ = base::after(now, sign_of_life_interval_);
    }
    const uint32_t due = now < status_at_ || now < retry_at_ ? pending_ & ~status_flag : pending_;
    for (uint32_t flag = 1; flag <= due; flag <<= 1) {
        if ((due & flag) == 0) {
            continue;
        }
        if (send_message(flag, counts, now) == Result::try_again) {
            const base::Duration longer = 2 * retry_delay_;
            retry_delay_ = longer < retry_delay_min   ? retry_delay_min
                           : longer > retry_delay_max ? retry_delay_max
                                                      : longer;
            retry_at_ = base::after(now, retry_delay_);
            return;
        }
        retry_delay_ = 0;
        pending_ &= ~flag;
        if (flag == status_flag) {
            reported_ = counts;
            status_at_ = base::after(now, status_interval);
        }
    }
}

base::Instant Notifier::deadline() const {
    base::Instant deadline = sign_of_life_;
    if (socket_.get() < 0 || pending_ == 0) {
        return socket_.get() < 0 ? base::never : deadline;
    }
    const bool status_alone = pending_ == status_flag;
    const base::Instant due = status_alone && status_at_ > retry_at_ ? status_at_ : retry_at_;
    return due < deadline ? due : deadline;
}

Notifier::Result Notifier::send_message(uint32_t flag, const PoolCounts &counts,
                                        base::Instant now) {
    static constexpr char names[][10] = {"", "READY", "STOPPING", "WATCHDOG"};
    char message[96];
    int length = 0;
    if (flag == status_flag) {
        length = snprintf(message, sizeof(message),
                          "STATUS=Workers ready: %u of %u, processes: %u, restarts: %d",
                          counts.ready, counts.slots, counts.processes, counts.restarts);
    } else if (flag == reloading_flag) {
        length = snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                          now / base::microsecond);
    } else {
        length = snprintf(message, sizeof(message), "%s=1", names[std::countr_zero(flag)]);
    }
    return send_text(message, static_cast<size_t>(length));
}

Notifier::Result Notifier::send_text(const char *text, size_t length) {
    for (int attempt = 0; attempt < 2; attempt++) {
        if ((connected_ || connect_socket()) &&
            ::send(socket_.get(), text, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
            return Result::sent;
        }
        switch (errno) {
        case EAGAIN:
        case EINTR:
        case ENOBUFS:
        case ENOMEM:
            return Result::try_again;
        case ECONNREFUSED:
        case ECONNRESET:
        case ENOTCONN:
            connected_ = false; // the manager may open a new socket at the same path
            break;
        default:
            return Result::nobody_listens;
        }
    }
    return Result::nobody_listens;
}

} // namespace prefork::os
