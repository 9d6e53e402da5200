// SPDX-License-Identifier: MIT
#include "os/net/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/number.h"
#include "os/fd/borrowed_fd.h"

namespace prefork::os {

namespace {

int passed_count = 0;
BorrowedFd *passed = nullptr;

// Returns a negative number if it is none; 0 without a variable.
int number_in(const char *variable) {
    const char *text = secure_getenv(variable);
    if (text == nullptr) {
        return 0;
    }
    int32_t number = -1;
    return base::parse_number(&text, 0, INT32_MAX, &number) && *text == '\0' ? number : -1;
}

} // namespace

void note_passed_descriptors() {
    if (number_in("LISTEN_PID") == getpid()) {
        const int count = number_in("LISTEN_FDS");
        set_passed_descriptors(count < 0 ? -EINVAL : count);
    }
}

void set_passed_descriptors(int count) {
    free(passed);
    passed = nullptr;
    passed_count = count;
    for (int index = 0; index < passed_count; index++) {
        // So many of them as are open, whatever was said.
        const auto size = static_cast<size_t>(index + 1) * sizeof(BorrowedFd);
        auto *more = static_cast<BorrowedFd *>(realloc(passed, size));
        if (more == nullptr) {
            passed_count = -ENOMEM;
            return;
        }
        passed = more;
        if (!passed[index].borrow(first_passed_descriptor + index)) {
            passed_count = -EBADF;
        }
    }
}

int passed_descriptor_count() { return passed_count; }

int check_passed_descriptors() {
    for (int index = 0; index < passed_count; index++) {
        if (!passed[index].is_still_open()) {
            return -EBADF;
        }
    }
    return passed_count;
}

int claim_passed_descriptors() {
    const int count = check_passed_descriptors();
    for (int index = 0; index < count; index++) {
        const int descriptor = first_passed_descriptor + index;
        // Neither can fail for what is open, and non-blocking is only what listens.
        fcntl(descriptor, F_SETFD, FD_CLOEXEC);
        int listens = 0;
        socklen_t size = sizeof(listens);
        if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
            listens != 0) {
            fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
        }
    }
    return count;
}

} // namespace prefork::os
