// The environment of a worker that was executed: what its supervisor wrote, and what nobody did.
//
// The input: the variables, one a line, and after a line "--" the bytes of a link that is written
// and read back.
//
// SPDX-License-Identifier: MIT
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include "base/worker_array.h"
#include "fake_system.h"
#include "input.h"
#include "os/spawn/environment.h"

using fuzz::ExactString;
using prefork::os::OwnEnvironment;
using prefork::os::WorkerIdentity;
using prefork::os::WorkerLink;

namespace {

constexpr int32_t workers_end = 1 << prefork::os::Record::worker_bits;

// An environment whose strings have no byte to spare.
class Environment {
  public:
    void add(std::string_view variable) {
        strings_.push_back(std::make_unique<ExactString>(variable));
    }
    // For the time of this object it is that of the process.
    void set() {
        for (const auto &string : strings_) {
            pointers_.push_back(string->get());
        }
        pointers_.push_back(nullptr);
        environ = pointers_.data();
    }
    [[nodiscard]] char *const *get() const { return pointers_.data(); }

    Environment() : before_(environ) {}
    ~Environment() { environ = before_; }
    Environment(const Environment &) = delete;
    Environment &operator=(const Environment &) = delete;

  private:
    char **before_;
    std::vector<std::unique_ptr<ExactString>> strings_;
    std::vector<char *> pointers_;
};

bool are_equal(const WorkerLink &one, const WorkerLink &other) {
    return one.instance.life == other.instance.life &&
           one.instance.worker == other.instance.worker && one.token == other.token &&
           one.heartbeat_interval == other.heartbeat_interval &&
           one.up_file.inode == other.up_file.inode && one.supervisor == other.supervisor &&
           one.death_signal == other.death_signal && one.up == other.up && one.down == other.down &&
           one.pidfd == other.pidfd && one.liveness == other.liveness &&
           one.is_awaited == other.is_awaited && one.announces_exit == other.announces_exit &&
           one.keeps_down == other.keeps_down && one.is_spare == other.is_spare;
}

bool are_equal(const char *one, const char *other) {
    return one == nullptr || other == nullptr ? one == other : strcmp(one, other) == 0;
}

void expect_in_bounds(const WorkerIdentity &worker) {
    const WorkerLink &link = worker.link;
    EXPECT(link.is_spare ? worker.task_id == prefork::base::task_spare
                         : worker.task_id >= 0 && worker.task_id <= 65'535);
    EXPECT(link.is_spare == (link.instance.worker >= 1U << 17));
    EXPECT(worker.pool != nullptr &&
           strlen(worker.pool) < prefork::os::WorkerResources::pool_name_size);
    EXPECT(link.supervisor > 0 && link.up >= 0 && link.down >= -1);
    EXPECT(link.pidfd >= -1 && link.liveness >= -1 && link.death_signal >= 0);
    EXPECT(link.instance.life > 0 && link.instance.worker < workers_end);
    EXPECT(link.heartbeat_interval <= uint64_t{INT32_MAX} * 1000);
}

// What was read is written, and read back, as it was.
void expect_round_trip(const WorkerLink &link) {
    char buffer[192]; // as large as the library's
    WorkerLink back;
    prefork::base::Text text(buffer, sizeof(buffer));
    write_link(link, &text);
    EXPECT(text.length() + 1 < sizeof(buffer));
    const ExactString exact(buffer);
    EXPECT(read_link(exact.get(), &back));
    EXPECT(are_equal(link, back));
    exact.get()[text.length() - 1] = '\0'; // one digit less
    EXPECT(!read_link(exact.get(), &back) && are_equal(link, back));
}

WorkerLink any_link(fuzz::Input *input) {
    WorkerLink link;
    const auto positive = [input] { return input->number<int32_t>() & INT32_MAX; };
    link.supervisor = positive() | 1;
    link.up = positive();
    link.down = positive() - 1;
    link.pidfd = positive() - 1;
    link.liveness = positive() - 1;
    link.death_signal = positive();
    link.instance = {static_cast<uint32_t>(positive() | 1),
                     static_cast<uint32_t>(positive()) % workers_end};
    link.heartbeat_interval = uint64_t{input->number<uint32_t>() / 2} * 1000;
    link.up_file.inode = input->number<uint64_t>();
    link.token = input->number<uint64_t>();
    link.is_awaited = input->below(2) != 0;
    link.announces_exit = input->below(2) != 0;
    link.keeps_down = input->below(2) == 0;
    link.is_spare = link.instance.worker >= 1U << 17;
    return link;
}

bool is_named(const std::string &variable, const char *name) {
    return variable.compare(0, strlen(name), name) == 0 && variable[strlen(name)] == '=';
}

bool is_own(const std::string &variable) {
    for (const char *name : {"PF_TASK_ID", "PF_SUPERVISOR", "PF_POOL", "PF_FDS", "PF_COMM",
                             "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"}) {
        if (is_named(variable, name)) {
            return true;
        }
    }
    return false;
}

// Workers get the variables that are not theirs in their order, and each of their own once.
void expect_passed_on(const std::vector<std::string> &variables, const Environment &base,
                      const WorkerLink &link) {
    const prefork::os::WorkerResources resources;
    prefork::os::InheritedFds fds;
    prefork::os::WorkerEnvironment written;
    EXPECT(fds.open(&resources) == 0 && fds.prepare() == 0);
    const prefork::os::EnvironmentBase from{base.get(), "name"};
    EXPECT(written.open(from, "pool", &fds, prefork::os::ArgumentSize()) == 0);
    written.set_task_id(7);
    written.set_supervisor(link);
    written.set_pid(1);
    written.set_descriptors(&fds);
    char *const *next = written.get();
    size_t own = 0;
    for (; *next != nullptr && is_own(*next); next++) {
        own += 1;
    }
    EXPECT(own == 5);
    for (const std::string &variable : variables) {
        if (!is_own(variable)) {
            EXPECT(*next != nullptr && variable == *next);
            next++;
        }
    }
    EXPECT(*next == nullptr);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::Input input(data, size);
    std::vector<std::string> variables;
    while (!input.is_empty()) {
        std::string variable(input.line());
        if (variable == "--") {
            break;
        }
        variables.push_back(std::move(variable));
    }
    std::string at_start;
    bool is_named_now = false;
    Environment environment;
    for (const std::string &variable : variables) {
        environment.add(variable);
        at_start.append(variable).push_back('\0');
        is_named_now = is_named_now || is_named(variable, "PF_SUPERVISOR");
    }
    const WorkerLink link = any_link(&input);
    expect_round_trip(link);

    const fuzz::FakeSystem system;
    fuzz::FakeSystem::set_read_size(size % 64);
    fuzz::FakeSystem::put_file("/proc/self/environ", at_start);
    WorkerIdentity at_first;
    bool was_worker = false;
    {
        Environment empty;
        empty.set();
        const OwnEnvironment own; // the host has removed them: as the process was started
        was_worker = own.names_supervisor() && own.parse(&at_first);
        EXPECT(own.names_supervisor() == is_named_now);
        if (was_worker) {
            expect_in_bounds(at_first);
            expect_round_trip(at_first.link);
        }
    }
    environment.set();
    const OwnEnvironment own;
    WorkerIdentity now;
    EXPECT(own.names_supervisor() == is_named_now);
    const bool is_worker = own.names_supervisor() && own.parse(&now);
    EXPECT(is_worker == was_worker);
    EXPECT(!is_worker || (are_equal(now.link, at_first.link) && now.task_id == at_first.task_id));
    if (is_worker) {
        WorkerIdentity again;
        EXPECT(own.parse(&again) && are_equal(again.link, now.link));
        EXPECT(are_equal(again.pool, now.pool) && are_equal(again.descriptors, now.descriptors));
    }
    expect_passed_on(variables, environment, link);
    OwnEnvironment::remove();
    EXPECT(getenv("PF_SUPERVISOR") == nullptr && getenv("PF_FDS") == nullptr);
    return 0;
}
