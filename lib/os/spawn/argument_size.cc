// SPDX-License-Identifier: MIT
#include "os/spawn/argument_size.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

namespace prefork::os {

namespace {

// The kernel's limits: of one string, in pages; of all, a quarter of the stack, within bounds.
constexpr size_t pages_of_one = 32;
constexpr size_t all_min = size_t{128} * 1024;
constexpr size_t all_max = size_t{6} * 1024 * 1024;
constexpr rlim_t stacks_share = 4;

size_t limit_of_one() { return pages_of_one * static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t limit_of_all() {
    rlimit stack{};
    if (getrlimit(RLIMIT_STACK, &stack) < 0 || stack.rlim_cur / stacks_share >= all_max) {
        return all_max;
    }
    const auto share = static_cast<size_t>(stack.rlim_cur / stacks_share);
    return share < all_min ? all_min : share;
}

} // namespace

void ArgumentSize::add(const char *string) { add(strlen(string) + 1); }

void ArgumentSize::add(size_t size) {
    total_ += size + sizeof(char *);
    largest_ = size > largest_ ? size : largest_;
}

void ArgumentSize::add(const char *const *strings) {
    for (size_t index = 0; strings != nullptr && strings[index] != nullptr; index++) {
        add(strings[index]);
    }
}

int ArgumentSize::check() const {
    return largest_ <= limit_of_one() && total_ <= limit_of_all() ? 0 : -E2BIG;
}

} // namespace prefork::os
