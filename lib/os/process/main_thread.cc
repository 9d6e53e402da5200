// SPDX-License-Identifier: MIT
#include "os/process/main_thread.h"

#include "os/process/threads.h"

namespace prefork::os {

void MainThread::note() {
    if (is_main_thread()) {
        thread_ = pthread_self();
        known_ = true;
    }
}

bool MainThread::is_current() {
    if (!known_) {
        note();
    }
    return forked_this_child(); // or will
}

// A child has the thread that forked it for its own.
bool MainThread::forked_this_child() const {
    return known_ && pthread_equal(thread_, pthread_self()) != 0;
}

} // namespace prefork::os
