// The environment of a service manager: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and what is
// sent with them.
//
// The input: a line each for the three, where "own" stands for the pid of this process and "-" for
// a variable that is not set; and then what happens.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <string>
#include <sys/un.h>
#include <unistd.h>

#include "fake_net.h"
#include "fake_system.h"
#include "input.h"
#include "os/service/notify.h"

using fuzz::fake_net;
using fuzz::FakeSystem;
using prefork::base::Instant;
using prefork::base::never;
using prefork::os::Notifier;
using prefork::os::PoolCounts;

namespace {

constexpr Instant millisecond = 1'000'000;
constexpr size_t name_max = sizeof(sockaddr_un::sun_path) - 1;

void set(const char *variable, std::string_view value) {
    if (value == "-") {
        unsetenv(variable);
    } else {
        EXPECT(setenv(variable, std::string(value).c_str(), 1) == 0);
    }
}

bool is_socket_name(std::string_view name) {
    return name.size() >= 2 && name.size() <= name_max && (name[0] == '/' || name[0] == '@');
}

void expect_address(const sockaddr *address, socklen_t size, std::string_view name) {
    sockaddr_un expected{};
    expected.sun_family = AF_UNIX;
    name.copy(expected.sun_path, sizeof(expected.sun_path));
    size_t length = name.size() + 1; // a path ends with a zero byte, an abstract name does not
    if (name[0] == '@') {
        expected.sun_path[0] = '\0';
        length = name.size();
    }
    EXPECT(size == offsetof(sockaddr_un, sun_path) + length);
    EXPECT(memcmp(address, &expected, size) == 0);
}

// What one call of sd_notify(3) sends: lines "NAME=VALUE".
void expect_message(std::string_view message) {
    EXPECT(!message.empty() && message.back() != '\n');
    while (!message.empty()) {
        const std::string_view line = message.substr(0, message.find('\n'));
        const size_t equals = line.find('=');
        EXPECT(equals != std::string_view::npos && equals > 0 && equals + 1 < line.size());
        message.remove_prefix(line.size() < message.size() ? line.size() + 1 : line.size());
    }
}

// The time between two signs of life; 0: none are sent.
Instant interval_of(std::string_view limit_us, std::string_view pid) {
    const int64_t limit = limit_us == "-" ? -1 : fuzz::decimal(limit_us, INT64_MAX);
    if (limit <= 0 || static_cast<uint64_t>(limit) > never / 1000) {
        return 0;
    }
    if (pid != "-" && fuzz::decimal(pid, INT64_MAX) != getpid()) {
        return 0;
    }
    const Instant half = static_cast<Instant>(limit) * 1000 / 2;
    return half < 10 * millisecond ? 10 * millisecond : half;
}

int failure(fuzz::Input *input, const char *call) {
    constexpr int errors[] = {
        0,      0,      0,      0,        0,        0,     EAGAIN,   EINTR,        ENOBUFS,
        ENOMEM, ENOENT, EACCES, ENOTCONN, EMSGSIZE, EPIPE, ENOTSOCK, ECONNREFUSED, ECONNRESET};
    const int error = errors[input->below(std::size(errors))];
    return strcmp(call, "socket") == 0 && error != ENOMEM ? 0 : error;
}

// What is to be sent, as far as it is known: not after an error.
struct Wanted {
    bool ready = false;
    bool reloading = false;
    bool stopping = false;

    void sent(std::string_view message) {
        ready = ready && message != "READY=1";
        reloading = reloading && message.substr(0, 11) != "RELOADING=1";
        stopping = stopping && message != "STOPPING=1";
    }
};

Wanted wanted;
bool has_failed = false;

Instant play(fuzz::Input *input, Notifier *notifier, bool is_open, Instant now) {
    PoolCounts counts{};
    bool was_stopping = false;
    while (!input->is_empty()) {
        const uint32_t what = input->byte();
        switch (what % 6) {
        case 0:
            notifier->ready();
            wanted.ready = true;
            break;
        case 1:
            notifier->reloading();
            wanted.ready = false;
            wanted.reloading = true;
            break;
        case 2:
            notifier->stopping();
            wanted.stopping = wanted.stopping || !was_stopping;
            was_stopping = true;
            break;
        case 3:
            counts = {input->byte(), input->number<uint32_t>(), input->byte(),
                      input->number<int32_t>()};
            break;
        case 4:
            now += input->byte() * 50 * millisecond;
            break;
        default:
            now = notifier->deadline() == never ? now : std::max(now, notifier->deadline());
            break;
        }
        if (what >= 192) {
            continue; // the pool has more to say
        }
        has_failed = false;
        notifier->update(counts, now);
        EXPECT(notifier->deadline() > now); // else the pool would never sleep
        EXPECT(!is_open || has_failed || !(wanted.ready || wanted.reloading || wanted.stopping));
        wanted = has_failed ? Wanted{} : wanted;
    }
    return now;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::Input input(data, size);
    const std::string name(input.line());
    const std::string limit(input.line());
    std::string pid(input.line());
    pid = pid == "own" ? std::to_string(getpid()) : pid;
    set("NOTIFY_SOCKET", name);
    set("WATCHDOG_USEC", limit);
    set("WATCHDOG_PID", pid);
    const bool is_named = name != "-" && is_socket_name(name);
    const Instant start = 1'000'000 * millisecond;

    const FakeSystem system;
    fuzz::reset_fake_net();
    int signs_of_life = 0;
    wanted = {};
    fake_net.error_of = [&input](const char *call) {
        const int error = failure(&input, call);
        has_failed = has_failed || error != 0;
        return error;
    };
    fake_net.connected = [&](const sockaddr *address, socklen_t length) {
        EXPECT(is_named);
        expect_address(address, length, name);
    };
    fake_net.sent = [&](std::string_view message) {
        expect_message(message);
        wanted.sent(message);
        signs_of_life += message == "WATCHDOG=1" ? 1 : 0;
    };
    Notifier notifier;
    const int result = notifier.open(start);
    EXPECT(result == 0 || result == -ENOMEM);
    const bool is_open = FakeSystem::own_descriptors() == 1;
    EXPECT(is_open == (is_named && result == 0));
    const Instant interval = is_open ? interval_of(limit, pid) : 0;
    EXPECT(notifier.deadline() == (interval == 0 ? never : prefork::base::after(start, interval)));
    const Instant now = play(&input, &notifier, is_open, start);
    EXPECT(signs_of_life == 0 || interval != 0);
    EXPECT(interval == 0 || static_cast<uint64_t>(signs_of_life) <= (now - start) / interval);
    notifier.close();
    EXPECT(FakeSystem::own_descriptors() == 0);
    fuzz::reset_fake_net();
    return 0;
}
