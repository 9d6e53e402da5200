// The socket by which programs that do not use this library report to their supervisor, as services
// do to systemd.
//
// SPDX-License-Identifier: MIT
//
// Many programs know only names of files, and not the abstract ones of Linux. Workers that run as
// the same user find the socket as a descriptor of their supervisor, in /proc. No file is left then
// if the supervisor is killed, and no other user can reach it. A supervisor with capabilities may
// have workers with another user. These find a file.
#pragma once

#include <cstdint>
#include <sys/un.h>

#include "os/channel/notification.h"
#include "os/channel/snapshot.h"
#include "os/fd/descriptor.h"
#include "os/fd/fd_identity.h"

namespace prefork::os {

class NotifySocket {
  public:
    NotifySocket() = default;
    ~NotifySocket() { close(); }
    NotifySocket(const NotifySocket &) = delete;
    NotifySocket &operator=(const NotifySocket &) = delete;

    // Returns 0 or a negative errno, with which nothing is left.
    [[nodiscard]] int open();
    // For a supervisor whose program is replaced; and in the new program, instead of open(): the
    // descriptors, which are noted, become those of this socket. The paths end with a zero byte.
    [[nodiscard]] NotifySocketSnapshot snapshot() const;
    [[nodiscard]] int adopt(const NotifySocketSnapshot &saved);
    // Removes the file, if there is one.
    void close();

    // For NOTIFY_SOCKET.
    [[nodiscard]] const char *path() const { return address_.sun_path; }
    static constexpr size_t path_size = sizeof(sockaddr_un::sun_path);
    // Readable when there are messages; -1: it is not open.
    [[nodiscard]] int descriptor() const { return socket_.get(); }

    // Pops the next message and the pid of its sender; returns false if there is none, or if enough
    // have been read for now.
    void begin_read() { budget_ = messages_per_read; }
    bool next(Notification *ret_notification, int32_t *ret_pid);
    // Whether as many have been read as one read allows.
    [[nodiscard]] bool met_flood() const { return budget_ == 0; }

    // Forgets the numbers that the host has closed.
    void let_go_of_lost();
    // In another process, or to leave what adopt() took as it was: lets go of everything but
    // memory.
    void disown();

  private:
    [[nodiscard]] int bind_in(const char *directory);
    [[nodiscard]] int bind_file();
    [[nodiscard]] bool hide_file();
    void remove_file();

    static constexpr uint32_t messages_per_read = 64;

    Descriptor socket_;
    Descriptor place_; // the file of the socket, where it has no name; else none
    FdIdentity file_;  // of the socket
    sockaddr_un address_{};
    char directory_[path_size] = ""; // to be removed with the file in it; "": there is none
    uint32_t budget_ = 0;
};

} // namespace prefork::os
