// SPDX-License-Identifier: MIT
#include "os/cpu/processors.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "os/fd/lines.h"

namespace prefork::os {

namespace {

constexpr size_t path_max = Lines::line_max;

// The next word of a line, which is cut off from it; "" at its end.
char *cut_word(char **line, char separator) {
    char *word = *line;
    char *end = strchr(word, separator);
    if (end == nullptr) {
        *line = word + strlen(word);
    } else {
        *end = '\0';
        *line = end + 1;
    }
    return word;
}

bool has_word(char *list, const char *word) {
    while (*list != '\0') {
        if (strcmp(cut_word(&list, ','), word) == 0) {
            return true;
        }
    }
    return false;
}

// The kernel writes a space, a tab, a newline and a backslash of a path in mountinfo as three octal
// digits behind a backslash.
void unescape(char *path) {
    const auto is_octal = [](char character) { return character >= '0' && character <= '7'; };
    char *end = path;
    for (const char *next = path; *next != '\0'; end++) {
        if (*next == '\\' && is_octal(next[1]) && is_octal(next[2]) && is_octal(next[3])) {
            const int code = (next[1] - '0') * 64 + (next[2] - '0') * 8 + (next[3] - '0');
            *end = static_cast<char>(code);
            next += 4;
        } else {
            *end = *next++;
        }
    }
    *end = '\0';
}

// A decimal number and nothing else; 0: it is none, or one too large for any limit.
int64_t parse_limit(const char *text) {
    constexpr int64_t radix = 10;
    int64_t number = 0;
    do {
        if (*text < '0' || *text > '9' || number > INT64_MAX / radix - 1) {
            return 0;
        }
        number = number * radix + (*text - '0');
    } while (*++text != '\0');
    return number;
}

constexpr int64_t thousand = 1000;
constexpr int64_t thousandths_max = thousand * INT32_MAX;

// The quota of one group, in thousandths of a processor; 0: none.
int64_t thousandths(int64_t quota_us, int64_t period_us) {
    if (quota_us <= 0 || period_us <= 0) {
        return 0;
    }
    if (quota_us / period_us >= INT32_MAX) {
        return thousandths_max;
    }
    while (period_us > INT64_MAX / thousand) { // which no system has; the ratio is what counts
        quota_us /= 2;
        period_us /= 2;
    }
    const int64_t whole = quota_us / period_us * thousand;
    const int64_t part = quota_us % period_us * thousand;
    return whole + part / period_us + (part % period_us != 0 || whole + part == 0 ? 1 : 0);
}

// The first line of a file in the directory as numbers; one that is none is 0.
bool read_numbers(const char *directory, const char *name, int64_t *first, int64_t *second) {
    char path[path_max];
    base::Text(path, sizeof(path)).add(directory).add("/").add(name);
    Lines lines(path);
    char *line = lines.next();
    if (line == nullptr) {
        return false;
    }
    *first = parse_limit(cut_word(&line, ' '));
    *second = parse_limit(cut_word(&line, ' '));
    return true;
}

int64_t group_quota_v2(const char *directory) {
    int64_t quota = 0; // "max" counts as 0: none
    int64_t period = 0;
    return read_numbers(directory, "cpu.max", &quota, &period) ? thousandths(quota, period) : 0;
}

int64_t group_quota_v1(const char *directory) {
    int64_t quota = 0; // -1: none
    int64_t period = 0;
    int64_t none = 0;
    return read_numbers(directory, "cpu.cfs_quota_us", &quota, &none) &&
                   read_numbers(directory, "cpu.cfs_period_us", &period, &none)
               ? thousandths(quota, period)
               : 0;
}

struct Hierarchy {
    const char *file_system; // its type in mountinfo
    const char *controller;  // in its options and in /proc/self/cgroup; "": none
    int64_t (*quota_of)(const char *directory);
};

constexpr Hierarchy hierarchies[] = {{"cgroup2", "", group_quota_v2},
                                     {"cgroup", "cpu", group_quota_v1}};

// This process's group in the hierarchy.
bool find_group(const char *root, const Hierarchy &hierarchy, char *ret_group) {
    char path[path_max];
    base::Text(path, sizeof(path)).add(root).add("/proc/self/cgroup");
    Lines lines(path);
    for (char *line = lines.next(); line != nullptr; line = lines.next()) {
        // "NUMBER:CONTROLLERS:GROUP"
        (void)cut_word(&line, ':');
        char *controllers = cut_word(&line, ':');
        const bool found = *hierarchy.controller == '\0'
                               ? *controllers == '\0'
                               : has_word(controllers, hierarchy.controller);
        if (found) {
            base::Text(ret_group, path_max).add(line);
            return true;
        }
    }
    return false;
}

// A mount may show only the part of the tree below a group, as in a container.
bool is_shown(const char *group, const char *mounted) {
    const size_t length = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
    return strncmp(group, mounted, length) == 0 &&
           (group[length] == '/' || group[length] == '\0') && strstr(group, "/../") == nullptr;
}

// What it does not show counts as its root.
const char *part_below(const char *group, const char *mounted) {
    const size_t length = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
    return is_shown(group, mounted) && strcmp(group + length, "/") != 0 ? group + length : "";
}

// Where the hierarchy is mounted, and which of its groups is the mount's root. Of several mounts it
// is the first one that shows the group, or else the first one.
bool find_mount(const char *root, const Hierarchy &hierarchy, const char *own_group,
                char *ret_point, char *ret_group) {
    bool found = false;
    char path[path_max];
    base::Text(path, sizeof(path)).add(root).add("/proc/self/mountinfo");
    Lines lines(path);
    for (char *line = lines.next(); line != nullptr; line = lines.next()) {
        // "ID PARENT DEVICE GROUP POINT OPTIONS [FIELD ...] - TYPE SOURCE OPTIONS"
        char *type = strstr(line, " - ");
        if (type == nullptr) {
            continue;
        }
        type += strlen(" - ");
        if (strcmp(cut_word(&type, ' '), hierarchy.file_system) != 0) {
            continue;
        }
        (void)cut_word(&type, ' ');
        if (*hierarchy.controller != '\0' && !has_word(type, hierarchy.controller)) {
            continue;
        }
        for (int skipped = 0; skipped < 3; skipped++) {
            (void)cut_word(&line, ' ');
        }
        char *group = cut_word(&line, ' ');
        char *point = cut_word(&line, ' ');
        unescape(group);
        unescape(point);
        const bool is_best = is_shown(own_group, group);
        if (is_best || !found) {
            base::Text(ret_group, path_max).add(group);
            base::Text(ret_point, path_max).add(root).add(point);
        }
        if (is_best) {
            return true;
        }
        found = true;
    }
    return found;
}

// The smallest quota from the group up to the root of the mount, for all of them hold; 0: none.
int64_t smallest_quota(const char *root, const Hierarchy &hierarchy) {
    char point[path_max];
    char mounted[path_max];
    char group[path_max];
    if (!find_group(root, hierarchy, group) ||
        !find_mount(root, hierarchy, group, point, mounted)) {
        return 0;
    }
    const char *below = part_below(group, mounted);
    char directory[path_max];
    base::Text(directory, sizeof(directory)).add(point).add(below);
    int64_t smallest = 0;
    for (;;) {
        const int64_t quota = hierarchy.quota_of(directory);
        if (quota > 0 && (smallest == 0 || quota < smallest)) {
            smallest = quota;
        }
        char *slash = strrchr(directory, '/');
        if (slash == nullptr || strlen(directory) <= strlen(point)) {
            return smallest;
        }
        *slash = '\0';
    }
}

// Those of the machine, where the affinity cannot be asked for.
int online_count() {
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count < INT32_MAX ? static_cast<int>(count) : INT32_MAX;
}

int affinity_count() {
    // The kernel wants a set at least as large as its own, whose size it does not report.
    for (size_t processors = 1024; processors <= 1024 * 1024; processors *= 4) {
        cpu_set_t *set = CPU_ALLOC(processors);
        if (set == nullptr) {
            break;
        }
        const size_t size = CPU_ALLOC_SIZE(processors);
        const int error = sched_getaffinity(0, size, set) == 0 ? 0 : errno;
        const int count = error == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (error == 0) {
            return count;
        }
        if (error != EINVAL) {
            break;
        }
    }
    return online_count();
}

} // namespace

int quota_count(const char *root) {
    int64_t smallest = 0;
    for (const Hierarchy &hierarchy : hierarchies) {
        const int64_t quota = smallest_quota(root, hierarchy);
        if (quota > 0 && (smallest == 0 || quota < smallest)) {
            smallest = quota;
        }
    }
    const int64_t count = (smallest + thousand - 1) / thousand;
    return count < INT32_MAX ? static_cast<int>(count) : INT32_MAX;
}

int processor_count() {
    const int processors = affinity_count();
    const int quota = quota_count("");
    const int count = quota > 0 && quota < processors ? quota : processors;
    return count > 0 ? count : 1;
}

} // namespace prefork::os
