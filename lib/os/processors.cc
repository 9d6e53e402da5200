// SPDX-License-Identifier: MIT
#include "os/processors.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "os/descriptor.h"

namespace prefork::os {

namespace {

constexpr size_t path_max = 4096;

// The lines of a file, one after the other; the rest of a longer line is left out.
class Lines {
  public:
    explicit Lines(const char *path) { (void)file_.take(open(path, O_RDONLY | O_CLOEXEC)); }

    // The next line without its newline, valid until the next call; nullptr at the end.
    char *next() {
        size_t length = 0;
        bool any = false;
        for (int character = read_character(); character >= 0; character = read_character()) {
            any = true;
            if (character == '\n') {
                break;
            }
            if (length + 1 < sizeof(line_)) {
                line_[length++] = static_cast<char>(character);
            }
        }
        line_[length] = '\0';
        return any ? line_ : nullptr;
    }

  private:
    int read_character() {
        while (place_ == length_) {
            const ssize_t length = read(file_.get(), buffer_, sizeof(buffer_));
            if (length > 0) {
                length_ = static_cast<size_t>(length);
                place_ = 0;
            } else if (length == 0 || errno != EINTR) {
                return -1;
            }
        }
        return static_cast<unsigned char>(buffer_[place_++]);
    }

    Descriptor file_;
    size_t place_ = 0;
    size_t length_ = 0;
    char buffer_[1024];
    char line_[path_max];
};

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

// The quota of one group, in thousandths of a processor; 0: none.
int64_t thousandths(int64_t quota_us, int64_t period_us) {
    return quota_us > 0 && period_us > 0 ? (quota_us * 1000 + period_us - 1) / period_us : 0;
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
    *first = strtoll(cut_word(&line, ' '), nullptr, 10);
    *second = strtoll(line, nullptr, 10);
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

// Where the hierarchy is mounted, and which of its groups is the mount's root.
bool find_mount(const char *root, const Hierarchy &hierarchy, char *ret_point, char *ret_group) {
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
        base::Text(ret_group, path_max).add(cut_word(&line, ' '));
        base::Text(ret_point, path_max).add(root).add(cut_word(&line, ' '));
        return true;
    }
    return false;
}

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

// The smallest quota from the group up to the root of the mount, for all of them hold; 0: none.
int64_t smallest_quota(const char *root, const Hierarchy &hierarchy) {
    char point[path_max];
    char mounted[path_max];
    char group[path_max];
    if (!find_mount(root, hierarchy, point, mounted) || !find_group(root, hierarchy, group)) {
        return 0;
    }
    // A mount may show only the part of the tree below a group, as in a container.
    const size_t length = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
    const char *below = strncmp(group, mounted, length) == 0 ? group + length : "";
    char directory[path_max];
    base::Text(directory, sizeof(directory)).add(point).add(strcmp(below, "/") == 0 ? "" : below);
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

int affinity_count() {
    // The kernel wants a set at least as large as its own, whose size it does not tell.
    for (size_t processors = 1024; processors <= 1024 * 1024; processors *= 4) {
        cpu_set_t *set = CPU_ALLOC(processors);
        if (set == nullptr) {
            return 1;
        }
        const size_t size = CPU_ALLOC_SIZE(processors);
        const int result = sched_getaffinity(0, size, set);
        const int count = result == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (result == 0) {
            return count;
        }
    }
    return 1;
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
    return static_cast<int>((smallest + 999) / 1000);
}

int processor_count() {
    const int processors = affinity_count();
    const int quota = quota_count("");
    const int count = quota > 0 && quota < processors ? quota : processors;
    return count > 0 ? count : 1;
}

} // namespace prefork::os
