// What a supervisor hands over of its messages to another program, and how that goes on.
//
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include "os/channel/supervisor_channel.h"
#include "os/fd/pipe.h"

namespace prefork::os {

ChannelSnapshot SupervisorChannel::snapshot() const {
    ChannelSnapshot saved{};
    saved.key = key_.get();
    saved.read_end = read_end_.get();
    saved.write_end = write_end_.get();
    saved.lives = lives_;
    const uint32_t rest = length_ - position_;
    if (rest < sizeof(saved.rest)) { // else it was read and not looked at, which does not happen
        saved.rest_size = rest;
        memcpy(saved.rest, buffer_ + position_, rest);
    }
    return saved;
}

WorkerChannelSnapshot SupervisorChannel::snapshot(uint32_t worker) const { return states_[worker]; }

int SupervisorChannel::adopt(const ChannelOptions &options, const ChannelSnapshot &saved) {
    options_ = options;
    FdIdentity file;
    if (!is_pipe(saved.read_end) || !file.capture(saved.read_end) ||
        !file.matches(saved.write_end)) {
        return -EBADF;
    }
    if (int r = key_.open(saved.key); r < 0) {
        return r;
    }
    read_end_.attach(saved.read_end);
    write_end_.attach(saved.write_end);
    file_ = file;
    lives_ = saved.lives;
    length_ = saved.rest_size < sizeof(saved.rest) ? saved.rest_size : 0;
    memcpy(buffer_, saved.rest, length_);
    return 0;
}

void SupervisorChannel::adopt_worker(uint32_t worker, const WorkerChannelSnapshot &saved) {
    states_[worker] = saved;
}

} // namespace prefork::os
