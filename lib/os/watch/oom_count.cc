// SPDX-License-Identifier: MIT
#include "os/watch/oom_count.h"

#include <errno.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "os/fd/lines.h"

namespace prefork::os {

namespace {

// What follows the prefix in the first line that has it, until the next look; nullptr: none has it.
const char *find_line(Lines *lines, const char *prefix) {
    for (const char *line = lines->next(); line != nullptr; line = lines->next()) {
        if (strncmp(line, prefix, strlen(prefix)) == 0) {
            return line + strlen(prefix);
        }
    }
    return nullptr;
}

} // namespace

bool OomCount::read(uint64_t *ret_count) {
    char path[Lines::line_max];
    base::Text(path, sizeof(path)).add(root_).add("/proc/self/cgroup");
    Lines groups(path);
    const char *group = find_line(&groups, "0::/");
    if (group == nullptr || strncmp(group, "..", 2) == 0) { // outside of what is mounted
        is_missing_ = groups.error() == 0 || groups.error() == -ENOENT;
        return false;
    }
    base::Text events(path, sizeof(path));
    events.add(root_).add("/sys/fs/cgroup/").add(group).add("/memory.events");
    Lines counts(path);
    const char *kills = find_line(&counts, "oom_kill ");
    is_missing_ = kills == nullptr && (counts.error() == 0 || counts.error() == -ENOENT);
    *ret_count = kills == nullptr ? 0 : base::parse_decimal(kills);
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
