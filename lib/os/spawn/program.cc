// SPDX-License-Identifier: MIT
#include "os/spawn/program.h"

#include <errno.h>
#include <unistd.h>
#include <utility>

#include "os/spawn/argument_size.h"
#include "os/spawn/own_program.h"

namespace prefork::os {

int Program::choose(const char *path, const char *const *arguments,
                    const char *const *environment) {
    const char *const path_list[] = {path, nullptr};
    const char *const *own = own_arguments();
    if (arguments != nullptr && arguments[0] == nullptr) {
        return -EINVAL;
    }
    if (arguments == nullptr && own == nullptr) {
        return -ENOENT;
    }
    ArgumentSize size;
    size.add(arguments != nullptr ? arguments : own);
    size.add(environment);
    if (int r = size.check(); r < 0) {
        return r;
    }
    Program chosen;
    if (!chosen.path_.copy(path_list) ||
        !chosen.arguments_.copy(arguments != nullptr ? arguments : own) ||
        (environment != nullptr && !chosen.environment_.copy(environment))) {
        return -ENOMEM;
    }
    chosen.chose_environment_ = environment != nullptr;
    swap(chosen);
    return 0;
}

const char *Program::path() const { return is_own() ? own_path() : path_.get()[0]; }

int Program::execute(char *const *environment) const {
    execve(path(), arguments(), environment);
    const int error = -errno;
    // The file of a program that has been removed is still there while it runs.
    if (is_own() && (error == -ENOENT || error == -ENOTDIR) && access(path(), F_OK) != 0) {
        execve("/proc/self/exe", arguments(), environment);
        return -errno;
    }
    return error;
}

void Program::swap(Program &other) {
    path_.swap(other.path_);
    arguments_.swap(other.arguments_);
    environment_.swap(other.environment_);
    std::swap(chose_environment_, other.chose_environment_);
}

} // namespace prefork::os
