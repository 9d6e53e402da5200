// SPDX-License-Identifier: MIT
#include "pipes.h"

#include <algorithm>

#include "violation.h"

namespace sim {

Pipes pipes;

void Pipes::begin() {
    ends_.clear();
    open_ = 0;
    pipes_ = 0;
}

const Pipes::End *Pipes::find(int descriptor) const {
    const auto index = static_cast<size_t>(descriptor - first_number);
    return descriptor >= first_number && index < ends_.size() && ends_[index].pipe != 0
               ? &ends_[index]
               : nullptr;
}

// The lowest number that is free.
int Pipes::add(uint32_t pipe, bool writes) {
    size_t index = 0;
    while (index < ends_.size() && (ends_[index].pipe != 0 || ends_[index].is_of_host)) {
        index += 1;
    }
    if (index == ends_.size()) {
        ends_.emplace_back();
    }
    ends_[index] = End{pipe, writes, false};
    open_ += 1;
    return first_number + static_cast<int>(index);
}

void Pipes::open(int *ret_read_end, int *ret_write_end) {
    pipes_ += 1;
    *ret_read_end = add(pipes_, false);
    *ret_write_end = add(pipes_, true);
}

void Pipes::close(int descriptor) {
    require(is_open(descriptor), "descriptor", "one is closed that is not open");
    ends_[static_cast<size_t>(descriptor - first_number)].pipe = 0;
    open_ -= 1;
}

void Pipes::be_closed(bool reopens) {
    for (End &end : ends_) {
        end = End{0, false, reopens};
    }
    open_ = 0;
}

uint32_t Pipes::end_count(uint32_t pipe) const {
    const auto is_of = [pipe](const End &end) { return pipe != 0 && end.pipe == pipe; };
    return static_cast<uint32_t>(std::count_if(ends_.begin(), ends_.end(), is_of));
}

void Pipes::close_pipe(uint32_t pipe) {
    for (End &end : ends_) {
        if (pipe != 0 && end.pipe == pipe) {
            end.pipe = 0;
            open_ -= 1;
        }
    }
}

uint32_t Pipes::pipe_of(int descriptor) const {
    const End *end = find(descriptor);
    return end == nullptr ? 0 : end->pipe;
}

uint32_t Pipes::pipe_to_write(int descriptor) const {
    const End *end = find(descriptor);
    require(end != nullptr && end->writes, "descriptor", "a write, but not to a pipe");
    return end->pipe;
}

} // namespace sim
