// The descriptors that a worker by exec is given, from 3 on: those that systemd has passed to the
// supervisor, the sockets that it has bound, and those that have names; and the variables that list
// them.
//
// SPDX-License-Identifier: MIT
//
// PF_FDS          FIRST:PASSED, the number of the first and what pf_listen_fds() answers;
//                 :COUNT:PORT:FAMILY:FLAGS:LENGTH:NAME for each set of sockets, LENGTH being that
//                 of NAME; :0; and :NAME for each of those with names
// LISTEN_FDNAMES  as in sd_listen_fds(3)
#pragma once

#include <stdint.h>

#include "base/array.h"
#include "base/text.h"
#include "os/net/bound_sockets.h"
#include "os/spawn/worker_resources.h"

namespace prefork::os {

inline constexpr char variable_descriptors[] = "PF_FDS";
inline constexpr char variable_listen_names[] = "LISTEN_FDNAMES";

class InheritedFds {
  public:
    InheritedFds() = default;
    InheritedFds(const InheritedFds &) = delete;
    InheritedFds &operator=(const InheritedFds &) = delete;
    ~InheritedFds() { free_sets(sockets_); }

    // Notes what there is; the resources stay the caller's. Returns 0 or -ENOMEM.
    [[nodiscard]] int open(const WorkerResources *resources);

    // Before each start: leaves out the sockets that the host has closed. Returns 0, or -EBADF if
    // it has closed one with a name. Allocates nothing.
    [[nodiscard]] int prepare();

    // What is passed on by then. A child may change the numbers as it moves them.
    [[nodiscard]] uint32_t count() const { return count_; }
    int &descriptor(uint32_t index) { return descriptors_[index]; }

    // The variables.
    char *variable() { return &variable_[0]; }
    char *listen_names() { return &listen_names_[0]; }
    // The room for them.
    [[nodiscard]] size_t variable_size() const { return variable_.size(); }
    [[nodiscard]] size_t listen_names_size() const { return listen_names_.size(); }

  private:
    [[nodiscard]] bool note_passed_names(size_t count);
    void give(int descriptor, const char *name, base::Text *names);

    const WorkerResources *resources_ = nullptr;
    BoundSet *sockets_ = nullptr;
    base::Array<char> passed_names_; // of those from systemd: all in one text
    base::Array<int> descriptors_;
    base::Array<char> variable_;
    base::Array<char> listen_names_;
    uint32_t count_ = 0;
};

} // namespace prefork::os
