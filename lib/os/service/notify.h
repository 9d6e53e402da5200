// The notification socket of the service manager, as sd_notify(3) describes it, without systemd's
// library.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/time.h"
#include "os/fd/descriptor.h"

namespace prefork::os {

inline constexpr char notify_variable[] = "NOTIFY_SOCKET";

// What a status says.
struct PoolCounts {
    uint32_t ready;
    uint32_t slots;
    uint32_t processes;
    int32_t restarts;

    bool operator==(const PoolCounts &) const = default;
};

class Notifier {
  public:
    // Reads the environment, and connects, so that it does not matter where the process goes
    // later. If no socket is named there nothing is ever sent. Returns 0 or a negative errno.
    [[nodiscard]] int open(base::Instant now);
    // What found no room, apart from a status, is tried again for a moment.
    void close();
    void disown() { socket_.disown(); }
    void lose() { socket_.lose(); } // the host has closed it

    // What the next update() sends. READY=1 also ends a reload, and a reload ends readiness.
    void ready() { pending_ |= ready_flag; }
    void reloading() { pending_ = (pending_ & ~ready_flag) | reloading_flag; }
    void stopping();
    void sign_of_life() { pending_ |= sign_of_life_interval_ != 0 ? alive_flag : 0; }

    // Sends what is pending, without waiting: a status when the counts have changed, at most
    // once a second, and a sign of life when one is due. What the socket has no room for, or the
    // system no memory, is tried again.
    void update(const PoolCounts &counts, base::Instant now);

    // When the next update() is due at the latest.
    [[nodiscard]] base::Instant deadline() const;

  private:
    // In the order in which they are sent.
    static constexpr uint32_t reloading_flag = 1;
    static constexpr uint32_t ready_flag = 2;
    static constexpr uint32_t stopping_flag = 4;
    static constexpr uint32_t alive_flag = 8;
    static constexpr uint32_t status_flag = 16;

    enum class Result : uint8_t { sent, nobody_listens, try_again };

    void read_watchdog(base::Instant now);
    [[nodiscard]] bool connect_socket();
    [[nodiscard]] Result send_message(uint32_t flag, const PoolCounts &counts, base::Instant now);
    [[nodiscard]] Result send_text(const char *text, size_t length);

    Descriptor socket_; // none: there is no manager
    sockaddr_un address_{};
    socklen_t address_size_ = 0;
    uint32_t pending_ = 0;
    bool stopping_ = false;
    PoolCounts reported_{};
    bool connected_ = false;
    base::Instant retry_at_ = 0;
    base::Duration retry_delay_ = 0;
    base::Instant status_at_ = 0; // not before
    base::Instant sign_of_life_ = base::never;
    base::Duration sign_of_life_interval_ = 0;
};

} // namespace prefork::os
