// The descriptors and pipes of the simulated supervisor, as far as its channel opens them.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "os/channel/record.h"

namespace sim {

class Pipes {
  public:
    // What is left of those before it is forgotten.
    void begin();

    // A pipe with both ends in the supervisor. Numbers are used again, as the kernel does.
    void open(int *ret_read_end, int *ret_write_end);
    void close(int descriptor);
    [[nodiscard]] uint32_t end_count(uint32_t pipe) const;
    // The host closes all, by mistake, and may open files of its own then.
    void be_closed(bool reopens);
    // All ends that are open; 0: there is none.
    void close_pipe(uint32_t pipe);
    [[nodiscard]] bool is_ours(int descriptor) const {
        return descriptor >= first_number && descriptor < end_number;
    }
    [[nodiscard]] bool is_open(int descriptor) const { return find(descriptor) != nullptr; }
    [[nodiscard]] uint32_t open_count() const { return open_; }

    // The pipe that an end belongs to, a number that is never used again; 0: none.
    [[nodiscard]] uint32_t pipe_of(int descriptor) const;
    [[nodiscard]] uint32_t pipe_to_write(int descriptor) const;

  private:
    struct End {
        uint32_t pipe = 0; // 0: closed, or of the host
        bool writes = false;
        bool is_of_host = false;
    };
    static constexpr int first_number = 3000;
    static constexpr int end_number = 10'000;

    [[nodiscard]] const End *find(int descriptor) const;
    int add(uint32_t pipe, bool writes);

    std::vector<End> ends_;
    uint32_t open_ = 0;
    uint32_t pipes_ = 0;
};

extern Pipes pipes;

} // namespace sim
