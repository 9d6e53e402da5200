// SPDX-License-Identifier: MIT
#include "os/wakers.h"

#include <atomic>
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

namespace prefork::os {

namespace {

// Each descriptor plus 1; 0: a free place. A handler may read while another thread writes.
std::atomic<int> places[wakers_max];
std::atomic<int> places_in_use;
std::atomic<int32_t> owner;

// In another process than the one that noted them the numbers may mean something else.
void forget_other_process() {
    if (owner.exchange(getpid()) != getpid()) {
        for (std::atomic<int> &place : places) {
            place.store(0);
        }
    }
}

} // namespace

int add_waker(int descriptor) {
    forget_other_process();
    for (int index = 0; index < wakers_max; index++) {
        int free_place = 0;
        if (places[index].compare_exchange_strong(free_place, descriptor + 1)) {
            int used = places_in_use.load();
            while (used <= index && !places_in_use.compare_exchange_weak(used, index + 1)) {
            }
            return 0;
        }
    }
    return -ENOSPC;
}

void remove_waker(int descriptor) {
    for (int index = 0; index < places_in_use.load(); index++) {
        int place = descriptor + 1;
        if (places[index].compare_exchange_strong(place, 0)) {
            return;
        }
    }
}

void wake(int descriptor) {
    const uint64_t one = 1;
    (void)!write(descriptor, &one, sizeof(one)); // fails only when it is readable already
}

void wake_all() {
    for (int index = 0; index < places_in_use.load(); index++) {
        const int place = places[index].load();
        if (place != 0) {
            wake(place - 1);
        }
    }
}

} // namespace prefork::os
