// What the library reads below /proc, where anything may be mounted.
//
// The input: what is read, the size of reads, and a text for each file, up to a line "--".
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstring>
#include <string>
#include <sys/single_threaded.h>
#include <unistd.h>
#include <vector>

#include "fake_system.h"
#include "input.h"
#include "os/process/threads.h"
#include "os/spawn/own_program.h"
#include "os/spawn/strings.h"
#include "os/spawn/supervisor_check.h"
#include "os/watch/child_list.h"
#include "os/watch/process_handle.h"

using fuzz::FakeSystem;
using prefork::os::ChildList;
using prefork::os::ChildState;

namespace {

std::string text_of(fuzz::Input *input) {
    std::string text;
    while (!input->is_empty()) {
        const std::string_view line = input->part('\n');
        if (line == "--") {
            break;
        }
        text.append(line).append("\n");
    }
    return text;
}

// The numbers in a text that something follows, sorted. Returns false if one is too large.
bool numbers_in(std::string_view text, std::vector<int32_t> *ret_numbers) {
    constexpr char digits[] = "0123456789";
    for (size_t first = text.find_first_of(digits); first < text.size();
         first = text.find_first_of(digits, first)) {
        const size_t end = std::min(text.find_first_not_of(digits, first), text.size());
        const int64_t number = fuzz::decimal(text.substr(first, end - first), INT32_MAX);
        if (number < 0) {
            return false;
        }
        if (number > 0 && end < text.size()) {
            ret_numbers->push_back(static_cast<int32_t>(number));
        }
        first = end;
    }
    std::sort(ret_numbers->begin(), ret_numbers->end());
    return true;
}

void read_children(const std::string &text, size_t read_size) {
    std::vector<int32_t> expected;
    const bool is_list = numbers_in(text, &expected);
    FakeSystem::put_file("/proc/self/task/7/children", text);
    for (int time = 0; time < 2; time++) { // other files are short, and read at once
        FakeSystem::set_read_size(read_size + static_cast<size_t>(time));
        ChildList list;
        EXPECT(list.read() == is_list);
        EXPECT(!is_list || list.count() == expected.size());
        for (uint32_t index = 0; is_list && index < list.count(); index++) {
            EXPECT(list[index] == expected[index] && list.has(list[index]));
        }
    }
}

void read_newest(const std::string &text) {
    FakeSystem::put_file("/proc/loadavg", text);
    const int32_t newest = prefork::os::newest_pid();
    EXPECT(newest >= 0 && newest <= 1 << 22 && newest == prefork::os::newest_pid());
}

void read_threads(const std::string &text, fuzz::Input *input) {
    FakeSystem::put_file("/proc/self/task/7/stat", text);
    FakeSystem::put_file("/proc/self/task/8/stat", text_of(input));
    const char was_single = __libc_single_threaded; // where libc knows, nothing is read
    __libc_single_threaded = 0;
    const bool has = prefork::os::has_threads();
    EXPECT(has == prefork::os::has_threads());
    __libc_single_threaded = was_single;
}

void read_state(const std::string &text) {
    const std::string own = std::to_string(getpid());
    FakeSystem::put_link("/proc/self", own);
    FakeSystem::put_file("/proc/5/stat", text);
    const ChildState state = prefork::os::state_of_child(5);
    EXPECT(state == prefork::os::state_of_child(5));
    EXPECT(prefork::os::state_of_child(6) == ChildState::none);
    // The kernel's own form.
    FakeSystem::put_file("/proc/5/stat", "5 (a) b) Z " + own + " 5 5 0\n");
    EXPECT(prefork::os::state_of_child(5) == ChildState::zombie);
    const std::string link = text.substr(0, text.find('\0'));
    FakeSystem::put_link("/proc/self", link);
    EXPECT(link == own || prefork::os::state_of_child(5) == ChildState::unknown);
}

// Whether the first numbers of a line of a status are these.
bool has_numbers(std::string_view status, std::string_view name,
                 const std::vector<uint32_t> &numbers) {
    const size_t line = status.find(name);
    status.remove_prefix(line == std::string_view::npos ? status.size() : line + name.size());
    for (const uint32_t number : numbers) {
        const size_t end = std::min(status.find_first_not_of("0123456789", 1), status.size());
        if (status.empty() || status[0] != '\t' ||
            fuzz::decimal(status.substr(1, end - 1), UINT32_MAX) != number) {
            return false;
        }
        status.remove_prefix(end);
    }
    return line != std::string_view::npos;
}

// What this process may see of itself, as the file says, which the library believes only if all ids
// are those of the process.
void read_rights(std::string text, bool is_own) {
    constexpr size_t length_max = 2047; // that the library reads
    const auto pid = static_cast<uint32_t>(getpid());
    text = is_own ? "\nPid:\t" + std::to_string(pid) + text : text;
    FakeSystem::put_file("/proc/self/status", text);
    FakeSystem::put_file("/proc/" + std::to_string(pid) + "/status", text);
    FakeSystem::set_secure(true);
    const std::string_view read(text.c_str(), std::min(strlen(text.c_str()), length_max));
    const bool is_known = has_numbers(read, "\nPid:", {pid}) &&
                          has_numbers(read, "\nUid:", {getuid(), geteuid(), getuid()}) &&
                          has_numbers(read, "\nGid:", {getgid(), getegid(), getgid()});
    const int result = prefork::os::check_visibility_to("/none");
    EXPECT(result <= 0 && (result == 0) == is_known);
}

void read_program(const std::string &text, bool is_there) {
    std::string name = text.substr(0, text.find('\0'));
    const std::string mark = " (deleted)";
    name = name.substr(0, name.find('\n'));
    FakeSystem::put_link("/proc/self/exe", name);
    if (is_there) {
        FakeSystem::put_file(name, "");
    }
    FakeSystem::set_secure(true); // so that the link alone counts
    if (prefork::os::own_path()[0] != '\0') {
        free(const_cast<char *>(prefork::os::own_path()));
    }
    prefork::os::note_own_program();
    const std::string found = prefork::os::own_path();
    if (name.empty() || name[0] != '/' || name.size() >= 4095) {
        EXPECT(found.empty() || name.size() >= 4095);
    } else {
        const bool is_marked = name.size() > mark.size() + 1 && !is_there &&
                               name.substr(name.size() - mark.size()) == mark;
        EXPECT(found == (is_marked ? name.substr(0, name.size() - mark.size()) : name));
    }
}

void read_strings(const std::string &text) {
    const std::string ended = text + '\0';
    prefork::os::Strings strings;
    EXPECT(strings.copy(ended.data(), ended.size()));
    size_t length = 0;
    for (char *const *string = strings.get(); *string != nullptr; string++) {
        EXPECT(ended.compare(length, strlen(*string) + 1, *string, strlen(*string) + 1) == 0);
        length += strlen(*string) + 1;
    }
    EXPECT(length == ended.size());
    prefork::os::Strings again;
    EXPECT(again.copy(strings.get()));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::Input input(data, size);
    const FakeSystem system;
    const uint32_t what = input.below(14);
    const size_t read_size = input.byte();
    const std::string text = text_of(&input);
    switch (what / 2) {
    case 0:
        read_children(text, read_size);
        break;
    case 1:
        read_newest(text);
        break;
    case 2:
        read_threads(text, &input);
        break;
    case 3:
        read_state(text);
        break;
    case 4:
        read_rights(text, what % 2 == 0);
        break;
    case 5:
        read_program(text, what % 2 == 0);
        break;
    default:
        read_strings(text);
        break;
    }
    return 0;
}
