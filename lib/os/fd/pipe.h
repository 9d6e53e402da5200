// Pipes whose ends are close-on-exec and known as the library's own.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <initializer_list>

#include "os/fd/descriptor.h"
#include "os/fd/fd_identity.h"

namespace prefork::os {

// Makes a pipe that is close-on-exec and has these flags, such as O_NONBLOCK. Returns 0 or a
// negative errno.
[[nodiscard]] int make_pipe(int ret_ends[2], int flags);

// Returns 0 or a negative errno, with which both ends are as they were.
[[nodiscard]] int open_pipe(Descriptor *ret_read_end, Descriptor *ret_write_end, bool nonblocking);

// Exchanges the numbers of the two ends, so that the write end has the lower one. Without a third
// descriptor for a moment both stay as they are.
void put_write_end_first(Descriptor *read_end, Descriptor *write_end);

// Owns both ends, or none.
class Pipe {
  public:
    // Returns 0 or a negative errno.
    [[nodiscard]] int open(bool nonblocking) {
        return open_pipe(&read_end_, &write_end_, nonblocking);
    }

    // Ends that are noted already, in the place of those that it has.
    void attach(int read_end, int write_end) {
        read_end_.attach(read_end);
        write_end_.attach(write_end);
    }

    // In a worker, where both ends are closed.
    void disown() {
        read_end_.disown();
        write_end_.disown();
    }

    // Lets go of the ends that are not of that file any more, for the host has closed them.
    void let_go_of_lost(const FdIdentity &file) {
        if (file.inode == 0) {
            return; // it is not known which file it is
        }
        for (Descriptor *end : {&read_end_, &write_end_}) {
            if (!file.matches(end->get())) {
                end->lose();
            }
        }
    }

    [[nodiscard]] int read_end() const { return read_end_.get(); }
    [[nodiscard]] int write_end() const { return write_end_.get(); }

  private:
    Descriptor read_end_;
    Descriptor write_end_;
};

} // namespace prefork::os
