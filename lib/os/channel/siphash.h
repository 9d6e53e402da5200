// SipHash-2-4 of 64 bits: a keyed hash that nobody without the key can compute or invert.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstdint>

namespace prefork::os {

struct SipKey {
    uint64_t words[2];
};

class SipHash {
  public:
    explicit SipHash(const SipKey &key)
        : v0_(key.words[0] ^ 0x736f6d6570736575), v1_(key.words[1] ^ 0x646f72616e646f6d),
          v2_(key.words[0] ^ 0x6c7967656e657261), v3_(key.words[1] ^ 0x7465646279746573) {}

    // The hash of a message of eight bytes, the lowest first.
    [[nodiscard]] uint64_t of(uint64_t message) {
        constexpr uint64_t length = uint64_t{sizeof(message)} << 56;
        absorb(message);
        absorb(length);
        v2_ ^= 0xff;
        for (int round = 0; round < 4; round++) {
            mix();
        }
        return v0_ ^ v1_ ^ v2_ ^ v3_;
    }

    // After that: another one of the same message, which reveals nothing of the first.
    [[nodiscard]] uint64_t second() {
        v1_ ^= 0xdd;
        for (int round = 0; round < 4; round++) {
            mix();
        }
        return v0_ ^ v1_ ^ v2_ ^ v3_;
    }

  private:
    void absorb(uint64_t word) {
        v3_ ^= word;
        mix();
        mix();
        v0_ ^= word;
    }

    void mix() {
        v0_ += v1_;
        v1_ = std::rotl(v1_, 13) ^ v0_;
        v0_ = std::rotl(v0_, 32);
        v2_ += v3_;
        v3_ = std::rotl(v3_, 16) ^ v2_;
        v0_ += v3_;
        v3_ = std::rotl(v3_, 21) ^ v0_;
        v2_ += v1_;
        v1_ = std::rotl(v1_, 17) ^ v2_;
        v2_ = std::rotl(v2_, 32);
    }

    uint64_t v0_, v1_, v2_, v3_;
};

} // namespace prefork::os
