// Memory that no forked child gets: the key of a pool's tokens.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/channel/siphash.h"

namespace prefork::os {

class KeyPage {
  public:
    KeyPage() = default;
    ~KeyPage();
    KeyPage(const KeyPage &) = delete;
    KeyPage &operator=(const KeyPage &) = delete;

    // Makes a random key. Returns 0 or a negative errno.
    [[nodiscard]] int open();
    // The same with a key that there is already.
    [[nodiscard]] int open(const SipKey &key);
    // In a child, where the memory is not there.
    void disown() { key_ = nullptr; }

    [[nodiscard]] const SipKey &get() const { return *key_; }

  private:
    SipKey *key_ = nullptr;
};

} // namespace prefork::os
