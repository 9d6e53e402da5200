// Writes what a supervisor hands over to the program that it executes.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <signal.h>

#include "base/array.h"
#include "os/fd/descriptor.h"
#include "os/upgrade/layout.h"

namespace prefork::os {

class UpgradeWriter {
  public:
    // Notes what belongs to the process: sockets, daemon, signals. The pools follow.
    void open(const sigset_t &mask);

    void add_pool(const UpgradePool &pool);
    void add_worker(const UpgradeWorker &worker); // so many as the pool has
    void add_spare(const UpgradeProcess &spare);  // then so many as it has
    void add(const void *data, size_t size);      // then the pool's policy

    // Makes the file. Returns 0 or a negative errno.
    [[nodiscard]] int finish();
    [[nodiscard]] int file() const { return file_.get(); }

    // Whether the program that is executed gets the descriptors. Those that it would get anyway
    // stay as they are.
    [[nodiscard]] int set_inherited(bool is_inherited);

  private:
    struct Inherited {
        int descriptor;
        bool is_changed;
    };

    template <typename Value>
    void append(base::Array<Value> *array, size_t *size, const Value *values, size_t count);
    void add_descriptor(int descriptor);
    void add_process(const UpgradeProcess &process);
    void inherit(int descriptor);
    void add_sockets();
    [[nodiscard]] int write_all() const;

    base::Array<UpgradeProcess> processes_;
    base::Array<int32_t> descriptors_;
    base::Array<Inherited> inherited_;
    base::Array<unsigned char> body_;
    size_t process_count_ = 0;
    size_t descriptor_count_ = 0;
    size_t inherited_count_ = 0;
    size_t body_size_ = 0;
    UpgradeFacts facts_{};
    Descriptor file_;
    int failure_ = 0; // a negative errno
};

} // namespace prefork::os
