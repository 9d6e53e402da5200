// SPDX-License-Identifier: MIT
#include "os/watch/timer.h"

#include <cstdint>
#include <errno.h>
#include <limits>
#include <sys/timerfd.h>
#include <unistd.h>

#include "os/process/clock.h"

namespace prefork::os {

namespace {

// Where seconds have 32 bits, a later deadline is looked at when they end.
constexpr auto seconds_max = static_cast<uint64_t>(std::numeric_limits<time_t>::max());

int arm(int descriptor, base::Instant deadline) {
    itimerspec time{}; // all zero: never
    if (deadline != base::never) {
        const uint64_t seconds = deadline / base::second;
        time.it_value.tv_sec = static_cast<time_t>(seconds < seconds_max ? seconds : seconds_max);
        time.it_value.tv_nsec = deadline == 0 ? 1 : static_cast<long>(deadline % base::second);
    }
    return timerfd_settime(descriptor, TFD_TIMER_ABSTIME, &time, nullptr) < 0 ? -errno : 0;
}

bool is_shortage(int error) { return error == -EMFILE || error == -ENFILE || error == -ENOMEM; }

} // namespace

int Timer::open() {
    int result = descriptor_.adopt(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (result == 0) {
        result = arm(descriptor_.get(), base::never); // it may be refused as well
    }
    if (result < 0) {
        descriptor_.reset();
        if (is_shortage(result)) {
            return result;
        }
    }
    refusal_ = result;
    return 0;
}

int Timer::set(base::Instant deadline) {
    deadline_ = deadline;
    const int result = refusal_ != 0 ? 0 : arm(descriptor_.get(), deadline);
    return result == -EINVAL ? -EBADF : result;
}

void Timer::clear() {
    uint64_t value = 0;
    (void)!read(descriptor_.get(), &value, sizeof(value)); // which disarms it
    deadline_ = base::never;
}

int Timer::limited(int timeout_ms) const {
    if (refusal_ == 0 || deadline_ == base::never) {
        return timeout_ms;
    }
    const uint64_t left_ms = base::whole_milliseconds(base::elapsed(now(), deadline_));
    const int longest_ms = timeout_ms < 0 ? std::numeric_limits<int>::max() : timeout_ms;
    return left_ms < static_cast<uint64_t>(longest_ms) ? static_cast<int>(left_ms) : longest_ms;
}

bool Timer::has_come() const {
    return refusal_ != 0 && deadline_ != base::never && now() >= deadline_;
}

} // namespace prefork::os
