// SPDX-License-Identifier: MIT
#include "os/notify.h"

#include <bit>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/identity.h"

namespace prefork::os {

namespace {

constexpr base::Duration microsecond = 1'000;
constexpr base::Duration pause = base::second;

} // namespace

int Notifier::open(base::Instant now) {
    const char *name = secure_getenv(notify_variable);
    const size_t length = name == nullptr ? 0 : strlen(name);
    if (length < 2 || length >= sizeof(address_.sun_path) || (name[0] != '/' && name[0] != '@') ||
        task_id() >= 0) {
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
    read_watchdog(now);
    return socket_.take(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

void Notifier::read_watchdog(base::Instant now) {
    const char *limit_us = secure_getenv("WATCHDOG_USEC");
    const char *watched = secure_getenv("WATCHDOG_PID");
    if (limit_us == nullptr || (watched != nullptr && atoi(watched) != getpid())) {
        return;
    }
    sign_of_life_interval_ = strtoull(limit_us, nullptr, 10) * microsecond / 2;
    if (sign_of_life_interval_ > 0) {
        sign_of_life_ = base::after(now, sign_of_life_interval_);
    }
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
    if (!(counts == told_)) {
        pending_ |= status_flag;
    }
    if (now >= sign_of_life_) {
        pending_ |= alive_flag;
        sign_of_life_ = base::after(now, sign_of_life_interval_);
    }
    const uint32_t due = now < resume_ ? pending_ & ~status_flag : pending_;
    for (uint32_t flag = 1; flag <= due; flag <<= 1) {
        if ((due & flag) == 0) {
            continue;
        }
        const bool sent = send(flag, counts, now);
        if (!sent || flag == status_flag) {
            resume_ = base::after(now, pause);
        }
        if (!sent) {
            return;
        }
        pending_ &= ~flag;
        if (flag == status_flag) {
            told_ = counts;
        }
    }
}

base::Instant Notifier::deadline() const {
    if (socket_.get() < 0) {
        return base::never;
    }
    return pending_ != 0 && resume_ < sign_of_life_ ? resume_ : sign_of_life_;
}

// Returns false if there is no room now. If nobody listens, nobody misses it.
bool Notifier::send(uint32_t flag, const PoolCounts &counts, base::Instant now) const {
    static constexpr char words[][10] = {"", "READY", "STOPPING", "WATCHDOG"};
    char message[96];
    int length = 0;
    if (flag == status_flag) {
        length = snprintf(message, sizeof(message),
                          "STATUS=Workers ready: %u of %u, processes: %u, restarts: %d",
                          counts.ready, counts.slots, counts.processes, counts.restarts);
    } else if (flag == reloading_flag) {
        length = snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                          now / microsecond);
    } else {
        length = snprintf(message, sizeof(message), "%s=1", words[std::countr_zero(flag)]);
    }
    return sendto(socket_.get(), message, static_cast<size_t>(length), MSG_DONTWAIT | MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr *>(&address_), address_size_) >= 0 ||
           errno != EAGAIN;
}

} // namespace prefork::os
