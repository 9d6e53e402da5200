// SPDX-License-Identifier: MIT
#include "os/watch/oom_count.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "os/fd/descriptor.h"

namespace prefork::os {

namespace {

constexpr size_t path_max = 4096;

// The first bytes of a file, as many as there is room for, as a text. Returns 0 or a negative
// errno.
int read_text(const char *path, char *text, size_t size) {
    Descriptor file;
    if (int r = file.adopt(open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)); r < 0) {
        return r;
    }
    ssize_t length = 0;
    do {
        length = ::read(file.get(), text, size - 1);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        return -errno;
    }
    text[length] = '\0';
    return 0;
}

// What follows the prefix of a line, without its newline; nullptr: no line has it.
char *find_line(char *text, const char *prefix) {
    const size_t length = strlen(prefix);
    char *line = text;
    while (strncmp(line, prefix, length) != 0) {
        line = strchr(line, '\n');
        if (line == nullptr) {
            return nullptr;
        }
        line += 1;
    }
    line[strcspn(line, "\n")] = '\0';
    return line + length;
}

uint64_t parse_count(const char *text) {
    uint64_t count = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        count = count * 10 + static_cast<uint64_t>(*text - '0');
    }
    return count;
}

} // namespace

bool OomCount::read(uint64_t *ret_count) {
    char path[path_max];
    char text[path_max];
    base::Text(path, sizeof(path)).add(root_).add("/proc/self/cgroup");
    if (int r = read_text(path, text, sizeof(text)); r < 0) {
        is_missing_ = r == -ENOENT;
        return false;
    }
    const char *group = find_line(text, "0::/");
    if (group == nullptr || strncmp(group, "..", 2) == 0) { // outside of what is mounted
        is_missing_ = true;
        return false;
    }
    base::Text events(path, sizeof(path));
    events.add(root_).add("/sys/fs/cgroup/").add(group).add("/memory.events");
    if (int r = read_text(path, text, sizeof(text)); r < 0) {
        is_missing_ = r == -ENOENT;
        return false;
    }
    const char *kills = find_line(text, "oom_kill ");
    is_missing_ = kills == nullptr;
    *ret_count = kills == nullptr ? 0 : parse_count(kills);
    return kills != nullptr;
}

bool OomCount::has_risen() {
    uint64_t count = 0;
    if (is_missing_ || !read(&count)) {
        return false;
    }
    const bool has_risen = count > seen_;
    seen_ = count;
    return has_risen;
}

} // namespace prefork::os
