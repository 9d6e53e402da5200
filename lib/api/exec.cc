// Workers by exec, and descriptors for workers.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "api/pool.h"
#include "os/program.h"
#include "os/spawn/supervisor_check.h"
#include "prefork.h"

int pf_pool_set_exec(pf_pool *pool, const char *path, const char *const *argv,
                     const char *const *envp) {
    if (int r = prefork::api::check_setting(pool); r < 0) {
        return r;
    }
    const char *program = path == nullptr ? prefork::os::own_path() : path;
    if (int r = prefork::os::check_visibility_to(program); r < 0) {
        return r;
    }
    const int result = pool->program.choose(path, argv, envp);
    pool->executes = pool->executes || result == 0;
    return result;
}

int pf_pool_add_fd(pf_pool *pool, const char *name, int fd) {
    if (int r = prefork::api::check_setting(pool); r < 0) {
        return r;
    }
    return name == nullptr ? -EINVAL : pool->belongings->add(name, fd);
}
