// SPDX-License-Identifier: MIT
#include "os/process/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace prefork::os {

static_assert(Permitted::count == _LINUX_CAPABILITY_U32S_3);

int read_permitted(int32_t pid, Permitted *ret_permitted) {
    __user_cap_header_struct header{};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
    header.version = _LINUX_CAPABILITY_VERSION_3;
    header.pid = pid;
    if (syscall(SYS_capget, &header, data) < 0) {
        return -errno;
    }
    for (int index = 0; index < Permitted::count; index++) {
        ret_permitted->words[index] = data[index].permitted;
    }
    return 0;
}

} // namespace prefork::os
