// SPDX-License-Identifier: MIT
#include "os/channel/notify_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "os/process/capabilities.h"

namespace prefork::os {

namespace {

using base::Text;

constexpr char file_name[] = "/notify";
constexpr mode_t mode_of_all = 0666;
constexpr mode_t mode_to_enter = 0711;
constexpr size_t message_size = 4096; // longer ones are cut: what counts is short

// Whether processes of the same user may look at the descriptors of this one, as far as that can be
// known: they need all of its capabilities for it. Where nobody may ask, they may not look either.
bool is_open_to_own_user() {
    Permitted permitted{};
    return read_permitted(0, &permitted) == 0 && permitted.empty() && prctl(PR_GET_DUMPABLE) == 1;
}

bool can_connect(const sockaddr_un &address) {
    Descriptor probe;
    return probe.adopt(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == 0 &&
           connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0;
}

} // namespace

int NotifySocket::open() {
    if (int r = socket_.adopt(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        r < 0) {
        return r;
    }
    if (!file_.capture(socket_.get())) {
        const int error = -errno;
        socket_.reset(); // which close() would take for a file of the host
        return error;
    }
    const int on = 1;
    int result = 0;
    if (setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0) {
        result = -errno;
    }
    result = result == 0 ? bind_file() : result;
    if (result == 0 && !(is_open_to_own_user() && hide_file()) &&
        (chmod(address_.sun_path, mode_of_all) < 0 || chmod(directory_, mode_to_enter) < 0)) {
        result = -errno;
    }
    if (result < 0) {
        close();
    }
    return result;
}

NotifySocketSnapshot NotifySocket::snapshot() const {
    static_assert(NotifySocketSnapshot::path_size == path_size);
    NotifySocketSnapshot saved{};
    memcpy(saved.path, address_.sun_path, path_size);
    memcpy(saved.directory, directory_, path_size);
    saved.socket = socket_.get();
    saved.place = place_.get();
    return saved;
}

int NotifySocket::adopt(const NotifySocketSnapshot &saved) {
    if (!file_.capture(saved.socket)) {
        return -EBADF;
    }
    socket_.attach(saved.socket);
    place_.attach(saved.place);
    address_.sun_family = AF_UNIX;
    memcpy(address_.sun_path, saved.path, path_size);
    memcpy(directory_, saved.directory, path_size);
    return 0;
}

// In the first directory that lets us: those of services and of sessions are emptied by themselves.
int NotifySocket::bind_file() {
    const char *const directories[] = {secure_getenv("XDG_RUNTIME_DIR"), "/run",
                                       secure_getenv("TMPDIR"), "/tmp", "/dev/shm"};
    int result = -ENOENT;
    for (const char *directory : directories) {
        if (directory != nullptr && directory[0] == '/') {
            result = bind_in(directory);
            if (result == 0) {
                break;
            }
        }
    }
    return result;
}

int NotifySocket::bind_in(const char *directory) {
    constexpr char pattern[] = "/prefork-XXXXXX";
    if (base::length_of(directory) + sizeof(pattern) + sizeof(file_name) > path_size) {
        return -ENAMETOOLONG;
    }
    char made[path_size];
    Text(made, sizeof(made)).add(directory).add(pattern);
    if (mkdtemp(made) == nullptr) {
        return -errno;
    }
    memcpy(directory_, made, sizeof(made));
    address_.sun_family = AF_UNIX;
    Text(address_.sun_path, sizeof(address_.sun_path)).add(directory_).add(file_name);
    if (bind(socket_.get(), reinterpret_cast<const sockaddr *>(&address_), sizeof(address_)) < 0) {
        const int error = -errno;
        remove_file();
        return error;
    }
    return 0;
}

// Returns whether the socket can be reached without the name of its file, which is removed then.
bool NotifySocket::hide_file() {
    if (place_.adopt(::open(address_.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC)) < 0) {
        return false;
    }
    sockaddr_un hidden{};
    hidden.sun_family = AF_UNIX;
    Text(hidden.sun_path, sizeof(hidden.sun_path))
        .add("/proc/")
        .add(int64_t{getpid()})
        .add("/fd/")
        .add(int64_t{place_.get()});
    if (!can_connect(hidden)) { // there may be no /proc
        place_.reset();
        return false;
    }
    remove_file();
    address_ = hidden;
    return true;
}

void NotifySocket::remove_file() {
    if (directory_[0] != '\0') {
        (void)unlink(address_.sun_path);
        (void)rmdir(directory_);
        directory_[0] = '\0';
    }
}

void NotifySocket::close() {
    remove_file();
    let_go_of_lost();
    socket_.reset();
    place_.reset();
}

bool NotifySocket::next(Notification *ret_notification, int32_t *ret_pid) {
    // There is room for the credentials and for nothing else: the kernel then passes no descriptor.
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
    char text[message_size];
    if (budget_ == 0 || socket_.get() < 0 || !file_.matches(socket_.get())) {
        return false;
    }
    budget_ -= 1;
    iovec part{text, sizeof(text)};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t length = recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) {
        return false; // nothing more, or interrupted: it stays readable
    }
    *ret_pid = 0;
    const cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_level == SOL_SOCKET &&
        header->cmsg_type == SCM_CREDENTIALS && header->cmsg_len == CMSG_LEN(sizeof(ucred))) {
        ucred sender{};
        memcpy(&sender, CMSG_DATA(header), sizeof(sender));
        *ret_pid = sender.pid;
    }
    *ret_notification = parse_notification(text, static_cast<size_t>(length));
    return true;
}

void NotifySocket::let_go_of_lost() {
    if (!file_.matches(socket_.get())) {
        socket_.lose();
        place_.lose();
    }
}

void NotifySocket::disown() {
    directory_[0] = '\0';
    socket_.disown();
    place_.disown();
}

} // namespace prefork::os
