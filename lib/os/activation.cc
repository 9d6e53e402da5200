// SPDX-License-Identifier: MIT
#include "os/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

namespace prefork::os {

namespace {

int passed_count = 0;

// Returns the number, or -1 if it is none, or too large to count descriptors; 0 without a variable.
int number_in(const char *variable) {
    const char *text = secure_getenv(variable);
    int number = 0;
    if (text == nullptr) {
        return 0;
    }
    do {
        if (*text < '0' || *text > '9' || number > (INT_MAX - 16) / 10) {
            return -1;
        }
        number = number * 10 + (*text - '0');
    } while (*++text != '\0');
    return number;
}

int read_environment() {
    if (number_in("LISTEN_PID") != getpid()) {
        return 0;
    }
    const int count = number_in("LISTEN_FDS");
    if (count < 0) {
        return -EINVAL;
    }
    for (int index = 0; index < count; index++) {
        if (fcntl(first_passed_descriptor + index, F_GETFD) < 0) {
            return -EBADF;
        }
    }
    return count;
}

// When the library is loaded: the environment may be changed later, and a forked process is not the
// one that it names. It is left as it is, for the host may read it too.
__attribute__((constructor)) void note_passed_descriptors() { passed_count = read_environment(); }

} // namespace

int passed_descriptor_count() { return passed_count; }

int take_passed_descriptors() {
    for (int index = 0; index < passed_count; index++) {
        const int descriptor = first_passed_descriptor + index;
        if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) {
            return -errno;
        }
        int listens = 0;
        socklen_t size = sizeof(listens);
        if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
            listens != 0) {
            // Can not fail for a socket.
            fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
        }
    }
    return passed_count;
}

} // namespace prefork::os
