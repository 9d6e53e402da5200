// The descriptors of a worker that was executed, by name and number: PF_FDS, and what its own
// workers get of them.
//
// The input: how many descriptors are open, from 3 on, and the text.
//
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <map>
#include <string>
#include <vector>

#include "fake_system.h"
#include "input.h"
#include "os/net/activation.h"
#include "os/net/bound_sockets.h"
#include "os/spawn/adopt_fds.h"
#include "os/spawn/inherited_fds.h"
#include "os/spawn/worker_resources.h"

using fuzz::ExactString;
using fuzz::FakeSystem;
using prefork::os::InheritedFds;
using prefork::os::WorkerResources;

namespace {

constexpr int first = prefork::os::first_passed_descriptor;

struct Socket {
    std::string name;
    int port;
    int family;
    uint32_t flags;
    std::vector<uint64_t> files;

    bool operator==(const Socket &) const = default;
};

// What a worker has been given, whatever its numbers are.
struct Given {
    int passed = 0;
    std::vector<uint64_t> passed_files;
    std::vector<Socket> sockets;
    std::vector<std::pair<std::string, uint64_t>> named;

    bool operator==(const Given &) const = default;
};

void forget_all() {
    prefork::os::set_passed_descriptors(0);
    for (int descriptor = 0; descriptor < first + 256; descriptor++) {
        FakeSystem::close_host_fd(descriptor);
    }
    // Sets whose sockets are closed are dropped with the next one.
    int descriptors[1];
    EXPECT(prefork::os::find_handed_on({"", 0, 0, 0}, descriptors) == 0);
}

// The sets that the text mentions; those that were handed on can only be asked for by their key.
std::vector<Socket> claim_sockets(std::string_view text) {
    std::vector<Socket> claimed;
    fuzz::Input input(reinterpret_cast<const uint8_t *>(text.data()), text.size());
    input.part(':');
    input.part(':');
    while (!input.is_empty()) {
        const int64_t count = fuzz::decimal(input.part(':'), INT32_MAX);
        if (count <= 0) {
            break;
        }
        Socket set;
        int32_t numbers[4];
        for (int32_t &number : numbers) {
            std::string_view digits = input.part(':');
            digits.remove_prefix(!digits.empty() && digits[0] == '-' ? 1 : 0); // minus zero
            number = static_cast<int32_t>(fuzz::decimal(digits, INT32_MAX));
            EXPECT(number >= 0);
        }
        set.port = numbers[0];
        set.family = numbers[1];
        set.flags = static_cast<uint32_t>(numbers[2]);
        set.name = input.bytes(static_cast<size_t>(numbers[3]));
        input.part(':');
        EXPECT(set.port <= 65'535 && set.name.size() == static_cast<size_t>(numbers[3]));
        int descriptors[prefork::os::bound_sockets_max];
        const prefork::os::SocketKey key{set.name.c_str(), set.port, set.family, set.flags};
        const int found = prefork::os::find_handed_on(key, descriptors);
        EXPECT(found == count);
        for (int index = 0; index < found; index++) {
            EXPECT(FakeSystem::flags_of(descriptors[index]) == FD_CLOEXEC);
            set.files.push_back(FakeSystem::file_of(descriptors[index]));
        }
        claimed.push_back(std::move(set));
    }
    return claimed;
}

Given look_at(const WorkerResources &resources, std::string_view text) {
    Given given;
    given.passed = prefork::os::passed_descriptor_count();
    EXPECT(prefork::os::check_passed_descriptors() == given.passed);
    for (int index = 0; index < given.passed; index++) {
        given.passed_files.push_back(FakeSystem::file_of(first + index));
    }
    given.sockets = claim_sockets(text);
    for (uint32_t index = 0; index < resources.count(); index++) {
        const char *name = resources.name(index);
        const int descriptor = resources.find(name);
        EXPECT(descriptor == resources.fd(index).get()); // no name is there twice
        EXPECT(FakeSystem::flags_of(descriptor) == FD_CLOEXEC);
        EXPECT(name[0] != '\0' && strlen(name) < 256 && strpbrk(name, ":\n\177") == nullptr);
        given.named.emplace_back(name, FakeSystem::file_of(descriptor));
    }
    return given;
}

// The next worker finds from 3 on what this one passes on.
void renumber(InheritedFds *fds) {
    std::map<int, int> moved;
    const int away = 1000;
    for (uint32_t index = 0; index < fds->count(); index++) {
        FakeSystem::copy_host_fd(fds->descriptor(index), away + static_cast<int>(index));
    }
    for (int descriptor = 0; descriptor < first + 256; descriptor++) {
        FakeSystem::close_host_fd(descriptor);
    }
    for (uint32_t index = 0; index < fds->count(); index++) {
        FakeSystem::copy_host_fd(away + static_cast<int>(index), first + static_cast<int>(index));
    }
}

size_t names_in(std::string_view text) {
    size_t count = text.empty() ? 0 : 1;
    for (const char character : text) {
        count += character == ':' ? 1 : 0;
    }
    return count;
}

// A worker of this worker is given the same.
void expect_round_trip(const WorkerResources &resources, const Given &given) {
    InheritedFds fds;
    EXPECT(fds.open(&resources) == 0);
    EXPECT(fds.prepare() == 0);
    const std::string variable = fds.variable();
    const std::string names = fds.listen_names();
    EXPECT(variable.size() < fds.variable_size() && variable.compare(0, 7, "PF_FDS=") == 0);
    EXPECT(names.size() < fds.listen_names_size());
    EXPECT(names.compare(0, 15, "LISTEN_FDNAMES=") == 0);
    EXPECT(names_in(std::string_view(names).substr(15)) == fds.count());
    const ExactString text(std::string_view(variable).substr(7));
    prefork::os::set_passed_descriptors(0);
    renumber(&fds);
    WorkerResources of_next;
    EXPECT(prefork::os::adopt_inherited_fds(text.get(), &of_next) == 0);
    EXPECT(look_at(of_next, text.get()) == given);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::Input input(data, size);
    const FakeSystem system;
    const int end = first + static_cast<int>(input.below(128));
    for (int descriptor = 0; descriptor < end; descriptor++) {
        FakeSystem::open_host_fd(descriptor);
    }
    const std::string_view rest = input.rest();
    const ExactString text(rest.substr(0, rest.find('\0')));
    WorkerResources resources;
    const int result = prefork::os::adopt_inherited_fds(text.get(), &resources);
    EXPECT(result <= 0);
    if (result == 0) {
        const Given given = look_at(resources, text.get());
        expect_round_trip(resources, given);
    } else {
        for (int descriptor = 0; descriptor < end; descriptor++) {
            EXPECT(FakeSystem::flags_of(descriptor) == 0);
        }
        EXPECT(prefork::os::passed_descriptor_count() == 0);
    }
    forget_all();
    return 0;
}
