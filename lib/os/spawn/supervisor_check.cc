// SPDX-License-Identifier: MIT
#include "os/spawn/supervisor_check.h"

#include <errno.h>
#include <fcntl.h>
#include <initializer_list>
#include <linux/magic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/text.h"
#include "os/fd/pidfd.h"
#include "os/fd/pidfd_info.h"
#include "os/process/capabilities.h"
#include "os/process/parent.h"
#include "os/process/threads.h"

namespace prefork::os {

namespace {

constexpr size_t id_kinds = 3; // real, effective, saved

struct Ids {
    uint32_t users[id_kinds];
    uint32_t groups[id_kinds];
};

int read_own_ids(Ids *ret_ids) {
    uid_t users[id_kinds];
    gid_t groups[id_kinds];
    if (getresuid(&users[0], &users[1], &users[2]) < 0 ||
        getresgid(&groups[0], &groups[1], &groups[2]) < 0) {
        return -errno;
    }
    for (size_t index = 0; index < id_kinds; index++) {
        ret_ids->users[index] = users[index];
        ret_ids->groups[index] = groups[index];
    }
    return 0;
}

int read_ids_by_pidfd(int pidfd, Ids *ret_ids) {
    PidfdInfo info{};
    info.mask = pidfd_info_credentials;
    if (ioctl(pidfd, pidfd_get_info, &info) < 0) {
        return -errno;
    }
    if ((info.mask & pidfd_info_credentials) == 0) {
        return -EOPNOTSUPP;
    }
    *ret_ids = {{info.real_user, info.effective_user, info.saved_user},
                {info.real_group, info.effective_group, info.saved_group}};
    return 0;
}

// Reads the first numbers of a line of /proc/PID/status.
bool read_status_line(const char *status, const char *name, uint32_t *numbers, size_t count) {
    const char *line = strstr(status, name);
    if (line == nullptr) {
        return false;
    }
    line += strlen(name);
    for (size_t index = 0; index < count; index++) {
        uint64_t number = 0;
        if (*line++ != '\t' || *line < '0' || *line > '9') {
            return false;
        }
        while (*line >= '0' && *line <= '9' && number <= UINT32_MAX) {
            number = 10 * number + static_cast<uint64_t>(*line++ - '0');
        }
        if (number > UINT32_MAX) {
            return false;
        }
        numbers[index] = static_cast<uint32_t>(number);
    }
    return true;
}

int read_status(const char *directory, char *text, size_t size) {
    char path[64];
    base::Text(path, sizeof(path)).add("/proc/").add(directory).add("/status");
    Descriptor file;
    if (int r = file.adopt(open(path, O_RDONLY | O_CLOEXEC)); r < 0) {
        return r;
    }
    struct statfs system {};
    if (fstatfs(file.get(), &system) < 0) {
        return -errno;
    }
    if (system.f_type != PROC_SUPER_MAGIC) {
        return -EOPNOTSUPP;
    }
    const ssize_t length = read(file.get(), text, size - 1);
    if (length < 0) {
        return -errno;
    }
    text[length] = '\0';
    return 0;
}

// That /proc numbers processes as this process does is seen in what it says of itself.
int read_ids_from_proc(int32_t pid, Ids *ret_ids) {
    char status[2048];
    char directory[16];
    uint32_t own_pid = 0;
    uint32_t found_pid = 0;
    base::Text(directory, sizeof(directory)).add(int64_t{pid});
    if (int r = read_status("self", status, sizeof(status)); r < 0) {
        return r;
    }
    if (!read_status_line(status, "\nPid:", &own_pid, 1) ||
        own_pid != static_cast<uint32_t>(getpid())) {
        return -EOPNOTSUPP;
    }
    if (int r = read_status(directory, status, sizeof(status)); r < 0) {
        return r;
    }
    return read_status_line(status, "\nPid:", &found_pid, 1) &&
                   found_pid == static_cast<uint32_t>(pid) &&
                   read_status_line(status, "\nUid:", ret_ids->users, id_kinds) &&
                   read_status_line(status, "\nGid:", ret_ids->groups, id_kinds)
               ? 0
               : -EOPNOTSUPP;
}

int read_ids(int32_t pid, Ids *ret_ids) {
    Pidfd pidfd;
    if (pidfd.open(pid) == 0 && read_ids_by_pidfd(pidfd.get(), ret_ids) == 0) {
        return 0;
    }
    return read_ids_from_proc(pid, ret_ids);
}

// 0: this process has no rights that the other one lacks, and the same ids; -EPERM; or why that can
// not be found out.
int compare_rights(int32_t pid) {
    Permitted own_permitted{};
    Permitted permitted{};
    Ids own_ids{};
    Ids ids{};
    for (const int result : {read_permitted(0, &own_permitted), read_permitted(pid, &permitted),
                             read_own_ids(&own_ids), read_ids(pid, &ids)}) {
        if (result < 0) {
            return result;
        }
    }
    return permitted.contains(own_permitted) && memcmp(&ids, &own_ids, sizeof(ids)) == 0 ? 0
                                                                                         : -EPERM;
}

} // namespace

bool is_supervised_by(int32_t supervisor, int pidfd) {
    if (find_parent(supervisor, pidfd) != Parent::supervisor) {
        return false;
    }
    if (getauxval(AT_SECURE) == 0) {
        return true;
    }
    // A process that is its parent before and after was it all the time.
    return find_parent(supervisor, -1) == Parent::supervisor && compare_rights(supervisor) == 0 &&
           find_parent(supervisor, -1) == Parent::supervisor;
}

bool arm_death_signal(int32_t signal, int32_t supervisor, int pidfd) {
    // The kernel notes it for the thread, and so forgets it with that.
    if (signal > 0 && is_main_thread()) {
        prctl(PR_SET_PDEATHSIG, signal);
    }
    return find_parent(supervisor, pidfd) == Parent::supervisor;
}

bool gives_rights(const char *program) {
    struct stat status {};
    return (stat(program, &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) != 0) ||
           getxattr(program, "security.capability", nullptr, 0) > 0;
}

int check_visibility_to(const char *program) {
    const bool is_looked_at = getauxval(AT_SECURE) != 0 || gives_rights(program);
    return is_looked_at ? compare_rights(getpid()) : 0;
}

} // namespace prefork::os
