// Workers by exec, and descriptors for workers.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "api/pool.h"
#include "os/spawn/own_program.h"
#include "os/spawn/supervisor_check.h"
#include "prefork.h"

using prefork::api::Hold;
using prefork::api::Stage;
namespace os = prefork::os;

namespace {

// Whether the program may be set now: 0, or what the setter returns. Workers by exec may get
// another one while the pool runs.
int check_program_setting(const pf_pool *pool) {
    const int result = prefork::api::check_setting(pool);
    return result == -EBUSY && pool->options.exec != nullptr ? prefork::api::check_change(pool)
                                                             : result;
}

} // namespace

int pf_pool_set_exec(pf_pool *pool, const char *path, const char *const *argv,
                     const char *const *envp) {
    if (int r = check_program_setting(pool); r < 0) {
        return r;
    }
    if (int r = os::check_visibility_to(path == nullptr ? os::own_path() : path); r < 0) {
        return r;
    }
    if (pool->stage == Stage::running) {
        const Hold held(pool);
        os::Program next;
        int result = next.choose(path, argv, envp);
        result = result < 0 ? result : pool->exec.change(&next);
        if (result == 0) {
            pool->pool.renew_spares(); // which have the program that was set before
        }
        return result;
    }
    const int result = pool->program.choose(path, argv, envp);
    if (result == 0) {
        pool->options.exec = &pool->exec;
    }
    return result;
}

int pf_pool_add_fd(pf_pool *pool, const char *name, int fd) {
    if (int r = prefork::api::check_setting(pool); r < 0) {
        return r;
    }
    return name == nullptr ? -EINVAL : pool->resources->add(name, fd);
}
