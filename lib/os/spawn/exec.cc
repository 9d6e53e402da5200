// SPDX-License-Identifier: MIT
#include "os/spawn/exec.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include <utility>

#include "os/fd/descriptor.h"
#include "os/process/stack.h"
#include "os/service/daemon.h"
#include "os/spawn/argument_size.h"
#include "os/spawn/exec_child.h"
#include "os/spawn/own_program.h"
#include "os/watch/child_signal.h"
#include "os/watch/exit_status.h"

namespace prefork::os {

namespace {

#ifndef CLONE_PIDFD
constexpr int clone_pidfd = 0x1000; // Linux 5.2
#else
constexpr int clone_pidfd = CLONE_PIDFD;
#endif

// The child runs on it until it executes the program: a few small frames.
constexpr size_t exec_stack_size = size_t{32} * 1024;

// Blocks what a SignalBlock lets through as well: a handler that ran in the child would run in the
// memory of its parent.
class FullSignalBlock {
  public:
    FullSignalBlock() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~FullSignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    FullSignalBlock(const FullSignalBlock &) = delete;
    FullSignalBlock &operator=(const FullSignalBlock &) = delete;

  private:
    sigset_t before_;
};

bool is_refusal(int error) {
    return error == EINVAL || error == ENOSYS || error == EPERM || error == EACCES;
}

// What vfork() does, and besides, the pidfd is there from the first moment: the process may have
// been reaped by others before it could be opened, and no barrier can hold a process back that the
// parent sleeps for. Where filters or emulators refuse that, there is no pidfd; where they refuse
// clone(), it is vfork().
pid_t clone_and_wait(char *stack_end, ExecChild *child, int *ret_pidfd) {
    const FullSignalBlock block;
    constexpr int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
    pid_t pid = -1;
    errno = EINVAL;
    if (ret_pidfd != nullptr) {
        pid = clone(run_exec_child, stack_end, flags | clone_pidfd, child, ret_pidfd);
    }
    if (pid < 0 && is_refusal(errno)) {
        pid = clone(run_exec_child, stack_end, flags, child);
    }
    if (pid < 0 && is_refusal(errno)) {
        // The child calls what is safe in the memory of its parent, and never returns from there.
        // NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork)
        pid = vfork();
        if (pid == 0) {
            run_exec_child(child);
        }
        // NOLINTEND(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork)
    }
    return pid < 0 ? -errno : pid;
}

} // namespace

int Exec::open(Program *program, const ExecOptions &options) {
    program_ = program;
    options_ = options;
    if (!stack_.allocate(exec_stack_size)) {
        return -ENOMEM;
    }
    if (int r = inherited_fds_.open(options.resources); r < 0) {
        return r;
    }
    return prepare(*program);
}

int Exec::change(Program *next) {
    if (int r = prepare(*next); r < 0) {
        return r;
    }
    program_->swap(*next); // its strings stay where they are
    return 0;
}

// Returns 0 or a negative errno, with which nothing has changed.
int Exec::prepare(const Program &program) {
    const bool own = program.has_own_environment();
    Strings own_environment;
    if (own && environ != nullptr && !own_environment.copy(environ)) {
        return -ENOMEM;
    }
    EnvironmentBase base;
    base.variables = own ? own_environment.get() : program.environment();
    base.process_name = program.is_own() ? own_process_name() : "";
    base.leaves_manager_out = own && options_.notifies;
    base.foreign = options_.foreign;
    base.reports = options_.reports;
    ArgumentSize size;
    size.add(program.path());
    size.add(program.arguments());
    if (int r = environment_.open(base, options_.resources->pool_name(), &inherited_fds_, size);
        r < 0) {
        return r;
    }
    own_environment_.swap(own_environment);
    return 0;
}

int32_t Exec::start(const SpawnParameters &parameters, const SignalBlock &block, bool wants_pidfd,
                    Pidfd *ret_pidfd) {
    if (int r = inherited_fds_.prepare(); r < 0) {
        return r;
    }
    environment_.set_task_id(parameters.task_id);
    environment_.set_descriptors(&inherited_fds_);
    ExecChild child;
    child.parameters = &parameters;
    child.mask = &block.host_mask();
    child.program = program_;
    child.fds = &inherited_fds_;
    child.environment = &environment_;
    child.ignores_children = host_ignores_children();
    int pidfd = -1;
    const pid_t pid = clone_and_wait(stack_start(&stack_[0], exec_stack_size), &child,
                                     wants_pidfd ? &pidfd : nullptr);
    if (pid < 0) {
        return pid;
    }
    Pidfd owned;
    const int taken = pidfd >= 0 ? owned.adopt(pidfd) : 0;
    const int error = child.error != 0 ? child.error : taken;
    if (error < 0) {
        discard_process(pid, owned);
        return error;
    }
    ret_pidfd->attach(owned.release());
    return pid;
}

} // namespace prefork::os
