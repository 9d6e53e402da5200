// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "os/net/socket_file.h"
#include "os/process/stack.h"
#include "os/process/threads.h"

namespace prefork::os {

namespace {

constexpr size_t bind_stack_size = size_t{64} * 1024;

struct Binding {
    int descriptor;
    const sockaddr_un *address;
    int result; // as long as the child has not said anything else
};

void bind_without_umask(Binding *binding) {
    const void *address = binding->address;
    const mode_t before = umask(0);
    binding->result = bind(binding->descriptor, static_cast<const sockaddr *>(address),
                           sizeof(*binding->address)) == 0
                          ? 0
                          : -errno;
    umask(before);
}

int run_child(void *argument) {
    bind_without_umask(static_cast<Binding *>(argument));
    return 0; // which ends the child, and runs nothing at its exit
}

// No handler must run in the child, in the memory of its parent, nor while the umask is another.
class AllSignalsBlock {
  public:
    AllSignalsBlock() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~AllSignalsBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    AllSignalsBlock(const AllSignalsBlock &) = delete;
    AllSignalsBlock &operator=(const AllSignalsBlock &) = delete;

  private:
    sigset_t before_;
};

} // namespace

// The kernel gives the file the mode of the socket less the umask. To set the mode afterwards would
// mean to look the name up again, behind which there may be another file by then. The umask is one
// for all threads; so the call is made in a child with an umask of its own, which has the memory
// and is there no longer than the call. It has no signal at its end: the host's waits do not see
// it.
int bind_with_own_mode(int descriptor, const sockaddr_un &address) {
    base::Array<char> stack;
    if (!stack.allocate(bind_stack_size)) {
        return -ENOMEM;
    }
    Binding binding{descriptor, &address, -EINTR};
    const AllSignalsBlock block;
    const pid_t child = clone(run_child, stack_start(&stack[0], bind_stack_size),
                              CLONE_VM | CLONE_VFORK | CLONE_FILES, &binding);
    if (child >= 0) {
        wait4(child, nullptr, __WALL, nullptr);
        return binding.result;
    }
    if (has_threads()) {
        return -errno;
    }
    bind_without_umask(&binding);
    return binding.result;
}

} // namespace prefork::os
