// The tables and files of control groups, as the kernel, a container or anybody else wrote them.
//
// The input: a byte for the size of reads; lines up to "--" are mountinfo, up to the next "--" the
// groups of this process, where the bytes 1 and 2 stand for many letters and slashes; each
// line after that is the text of one file of a group.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "fake_system.h"
#include "input.h"
#include "os/cpu/processors.h"

using fuzz::FakeSystem;
using prefork::os::quota_count;

namespace {

constexpr char root[] = "/root";
constexpr size_t line_max = 4000;

std::string table(fuzz::Input *input) {
    std::string text;
    while (!input->is_empty()) {
        const std::string_view line = input->part('\n');
        if (line == "--") {
            break;
        }
        for (const char character : line) {
            if (character == '\1' || character == '\2') {
                text.append(character == '\1' ? 1000 : 20, character == '\1' ? 'a' : '/');
            } else {
                text.push_back(character);
            }
        }
        text.push_back('\n');
    }
    return text;
}

// Puts a file where the last run did not find one. Returns whether there was a place for it.
bool put_missing(std::string_view text) {
    for (const std::string &path : FakeSystem::opened()) {
        const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
        const bool is_of_group =
            name == "cpu.max" || name == "cpu.cfs_quota_us" || name == "cpu.cfs_period_us";
        EXPECT(path.size() < 4096 + sizeof("/cpu.cfs_period_us"));
        EXPECT(path.compare(0, sizeof(root) - 1, root) == 0);
        if (is_of_group && !FakeSystem::has_file(path)) {
            FakeSystem::put_file(path, text);
            return true;
        }
    }
    return false;
}

// Longer periods, which no system has, are rounded.
constexpr int64_t exact_period_max = INT64_MAX / 1000;

// A quota in whole processors; 0: none.
int64_t processors(int64_t quota_us, int64_t period_us, bool *is_exact) {
    if (quota_us <= 0 || period_us <= 0) {
        return 0;
    }
    *is_exact = *is_exact && period_us <= exact_period_max;
    const auto period = static_cast<uint64_t>(period_us);
    const uint64_t count = (static_cast<uint64_t>(quota_us) + period - 1) / period;
    return count > INT32_MAX ? INT32_MAX : static_cast<int64_t>(count);
}

constexpr int64_t number_max = INT64_MAX / 10 * 10 - 1;

int64_t word(std::string_view text, size_t index) {
    text = text.substr(0, text.find_first_of(std::string_view("\n\0", 2)));
    for (; index > 0; index--) {
        const size_t space = text.find(' ');
        text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    }
    return fuzz::decimal(text.substr(0, text.find(' ')), number_max);
}

// What the files that were read allow together.
int64_t smallest_of_read(bool *is_exact) {
    int64_t smallest = 0;
    const auto allow = [&smallest](int64_t count) {
        smallest = count > 0 && (smallest == 0 || count < smallest) ? count : smallest;
    };
    for (const std::string &path : FakeSystem::opened()) {
        const std::string directory = path.substr(0, path.rfind('/'));
        if (path == directory + "/cpu.max") {
            const std::string_view text = FakeSystem::text_of(path);
            allow(processors(word(text, 0), word(text, 1), is_exact));
        } else if (path == directory + "/cpu.cfs_quota_us") {
            allow(processors(word(FakeSystem::text_of(path), 0),
                             word(FakeSystem::text_of(directory + "/cpu.cfs_period_us"), 0),
                             is_exact));
        }
    }
    return smallest;
}

// ---- Which groups are read: a second reading of both tables ------------------------------------

std::vector<std::string> split(const std::string &text, char separator) {
    std::vector<std::string> parts(1);
    for (const char character : text.substr(0, text.find('\0'))) {
        if (character == separator) {
            parts.emplace_back();
        } else {
            parts.back().push_back(character);
        }
    }
    return parts;
}

bool has(const std::vector<std::string> &words, const char *word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

std::string unescape(const std::string &path) {
    std::string text;
    for (size_t index = 0; index < path.size(); index++) {
        const std::string digits = path.substr(index + 1, 3);
        if (path[index] == '\\' && digits.size() == 3 &&
            digits.find_first_not_of("01234567") == std::string::npos) {
            text.push_back(static_cast<char>(std::stoi(digits, nullptr, 8)));
            index += 3;
        } else {
            text.push_back(path[index]);
        }
    }
    return text.substr(0, text.find('\0'));
}

// The places of the mounts of that kind.
std::vector<std::string> find_mounts(const std::string &table, const char *type,
                                     const char *controller) {
    std::vector<std::string> points;
    fuzz::Input input(reinterpret_cast<const uint8_t *>(table.data()), table.size());
    while (!input.is_empty()) {
        const std::string line(input.line());
        const size_t dash = line.find(" - ");
        if (dash == std::string::npos) {
            continue;
        }
        std::vector<std::string> after = split(line.substr(dash + 3), ' ');
        after.resize(std::max(after.size(), size_t{3}));
        std::string options; // all that follows the source
        for (size_t index = 2; index < after.size(); index++) {
            options.append(index > 2 ? " " : "").append(after[index]);
        }
        if (after[0] != type || (*controller != '\0' && !has(split(options, ','), controller))) {
            continue;
        }
        // The library has cut the line behind the type by then.
        std::vector<std::string> fields = split(line.substr(0, dash + 3 + after[0].size()), ' ');
        fields.resize(std::max(fields.size(), size_t{5}));
        points.push_back(unescape(fields[4]));
    }
    return points;
}

// Every place where a file of a group may be read is the point of a mount or below it.
void expect_below_mounts(const std::string &mounts) {
    const std::vector<std::string> points[] = {find_mounts(mounts, "cgroup2", ""),
                                               find_mounts(mounts, "cgroup", "cpu")};
    for (const std::string &path : FakeSystem::opened()) {
        const std::string name = path.substr(path.rfind('/') + 1);
        if (name != "cpu.max" && name != "cpu.cfs_quota_us") {
            continue;
        }
        const size_t version = name == "cpu.max" ? 0 : 1;
        const auto is_below = [&path](const std::string &point) {
            return path.compare(0, strlen(root) + point.size(), root + point) == 0;
        };
        EXPECT(std::any_of(points[version].begin(), points[version].end(), is_below));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::Input input(data, size);
    const FakeSystem system;
    const size_t read_size = input.byte();
    FakeSystem::set_read_size(read_size);
    const std::string mounts = table(&input);
    FakeSystem::put_file(std::string(root) + "/proc/self/mountinfo", mounts);
    FakeSystem::put_file(std::string(root) + "/proc/self/cgroup", table(&input));
    EXPECT(quota_count(root) == 0); // there is no file of a group yet
    if (mounts.size() < line_max) { // a longer line is cut
        expect_below_mounts(mounts);
    }
    while (!input.is_empty() && put_missing(input.part('\n'))) {
        FakeSystem::forget_opened();
        const int count = quota_count(root);
        EXPECT(count >= 0);
        bool is_exact = true;
        const int64_t smallest = smallest_of_read(&is_exact);
        EXPECT(count == smallest || !is_exact);
        FakeSystem::set_read_size(read_size + 1);
        EXPECT(quota_count(root) == count);
    }
    return 0;
}
