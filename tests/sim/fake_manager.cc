// What the notifier of the library meets: a socket, an environment, and the service manager. The
// linker leads its calls here (--wrap). What the runtime calls of it goes through this file, too.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstring>
#include <ctime>
#include <sys/socket.h>

#include "manager.h"
#include "model.h"
#include "os/service/notify.h"
#include "violation.h"
#include "world.h"

using prefork::base::Instant;
using prefork::os::Notifier;
using prefork::os::PoolCounts;
using sim::manager;
using sim::model;
using sim::require;
using sim::world;

extern "C" {

char *__wrap_secure_getenv(const char *name);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_connect(int socket, const sockaddr *address, socklen_t size);
ssize_t __wrap_send(int socket, const void *text, size_t length, int flags);
int __wrap_nanosleep(const timespec *duration, timespec *left);

char *__wrap_secure_getenv(const char *name) {
    static char path[] = "@manager";
    static char limit_us[] = "1000000";
    if (std::strcmp(name, "NOTIFY_SOCKET") == 0) {
        return manager.is_there() ? path : nullptr;
    }
    return std::strcmp(name, "WATCHDOG_USEC") == 0 && manager.has_watchdog() ? limit_us : nullptr;
}

int __wrap_socket(int domain, int type, int /*protocol*/) {
    require(domain == AF_UNIX && type == (SOCK_DGRAM | SOCK_CLOEXEC), "manager",
            "a socket of another type");
    return 2000;
}

int __wrap_connect(int /*socket*/, const sockaddr * /*address*/, socklen_t /*size*/) {
    manager.connect();
    return 0;
}

ssize_t __wrap_send(int /*socket*/, const void *text, size_t length, int flags) {
    require(flags == (MSG_DONTWAIT | MSG_NOSIGNAL), "manager", "a message that may wait");
    errno = manager.next_send_error();
    if (errno != 0) {
        return -1;
    }
    char line[128] = "";
    require(length < sizeof(line), "manager", "a long message");
    std::memcpy(line, text, length);
    manager.receive(line);
    return static_cast<ssize_t>(length);
}

int __wrap_nanosleep(const timespec *duration, timespec * /*left*/) {
    world.clock += static_cast<Instant>(duration->tv_sec) * sim::second +
                   static_cast<Instant>(duration->tv_nsec);
    return 0;
}

// The methods of the real notifier, which the Makefile has renamed.
void real_notifier_update(Notifier *self, const PoolCounts *counts, Instant now);
Instant real_notifier_deadline(const Notifier *self);
void real_notifier_close(Notifier *self);
}

namespace prefork::os {

void Notifier::update(const PoolCounts &counts, Instant now) {
    world.called();
    model.settle();
    manager.expect();
    real_notifier_update(this, &counts, now);
    manager.check();
}

Instant Notifier::deadline() const {
    const Instant deadline = real_notifier_deadline(this);
    manager.note_deadline(deadline);
    return deadline;
}

void Notifier::close() {
    real_notifier_close(this);
    manager.close();
}

} // namespace prefork::os
