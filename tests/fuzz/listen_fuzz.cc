// What a service manager passes: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, and what workers by
// exec get of it.
//
// The input: how many descriptors are open, from 3 on, and a line for each of the variables, where
// "own" stands for the pid of this process.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include "fake_net.h"
#include "fake_system.h"
#include "input.h"
#include "os/net/activation.h"
#include "os/spawn/inherited_fds.h"
#include "os/spawn/worker_resources.h"

using fuzz::FakeSystem;

namespace {

constexpr int first = prefork::os::first_passed_descriptor;

void set(const char *variable, const std::string &value) {
    EXPECT(value == "-" ? unsetenv(variable) == 0 : setenv(variable, value.c_str(), 1) == 0);
}

std::string line(fuzz::Input *input) {
    const std::string_view text = input->line();
    return text == "own" ? std::to_string(getpid()) : std::string(text);
}

// A zero may have a sign.
int64_t number(std::string_view text) {
    const bool is_negative = !text.empty() && text[0] == '-';
    const int64_t value = fuzz::decimal(text.substr(is_negative ? 1 : 0), INT32_MAX);
    return is_negative && value > 0 ? -1 : value;
}

// What sd_listen_fds(3) says, and -EBADF where not all of them are there.
int expected_count(const std::string &pid, const std::string &count, int open) {
    if (pid == "-" || number(pid) != getpid() || count == "-") {
        return 0;
    }
    const int64_t passed = number(count);
    return passed < 0 ? -EINVAL : passed <= open ? static_cast<int>(passed) : -EBADF;
}

// The names in the variable of a worker are those that were given, one for each descriptor.
void expect_names(std::string_view given, std::string_view written, int count) {
    for (int index = 0; index < count; index++) {
        const std::string_view name = given.substr(0, given.find(':'));
        const std::string_view expected = name.empty() ? "unknown" : name;
        EXPECT(written.substr(0, expected.size()) == expected);
        written.remove_prefix(expected.size());
        given.remove_prefix(name.size() < given.size() ? name.size() + 1 : name.size());
        EXPECT(index + 1 == count ? written.empty() : written[0] == ':');
        written.remove_prefix(written.empty() ? 0 : 1);
    }
    EXPECT(written.empty());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::Input input(data, size);
    const FakeSystem system;
    const int open = static_cast<int>(input.below(64));
    for (int index = 0; index < open; index++) {
        FakeSystem::open_host_fd(first + index, index % 2 == 0);
    }
    const std::string pid = line(&input);
    const std::string count = line(&input);
    const std::string names = line(&input);
    set("LISTEN_PID", pid);
    set("LISTEN_FDS", count);
    set("LISTEN_FDNAMES", names);
    prefork::os::set_passed_descriptors(0);
    prefork::os::note_passed_descriptors();
    const int passed = prefork::os::passed_descriptor_count();
    EXPECT(passed == expected_count(pid, count, open));

    const prefork::os::WorkerResources none;
    prefork::os::InheritedFds fds;
    EXPECT(fds.open(&none) == 0 && fds.prepare() == 0);
    EXPECT(fds.count() == static_cast<uint32_t>(passed < 0 ? 0 : passed));
    EXPECT(strlen(fds.listen_names()) < fds.listen_names_size());
    expect_names(names == "-" ? "" : names, strchr(fds.listen_names(), '=') + 1, passed);
    EXPECT(std::string(fds.variable()) == "PF_FDS=3:" + std::to_string(passed) + ":0");

    EXPECT(prefork::os::claim_passed_descriptors() == passed);
    for (int index = 0; index < open; index++) {
        EXPECT(FakeSystem::flags_of(first + index) == (index < passed ? FD_CLOEXEC : 0));
    }
    if (passed > 0) {
        FakeSystem::open_host_fd(first + passed - 1); // another file by now
        EXPECT(prefork::os::check_passed_descriptors() == -EBADF);
    }
    prefork::os::set_passed_descriptors(0);
    return 0;
}
