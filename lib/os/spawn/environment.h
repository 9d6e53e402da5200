// The environment of a worker that is made by exec, written by its supervisor and parsed in the
// worker: who it is, for the library there, and which descriptors it has, for that and for every
// program that knows systemd's protocol.
//
// SPDX-License-Identifier: MIT
//
// PF_TASK_ID     the task id
// PF_SUPERVISOR  what connects it with its supervisor, see channel/link_text.h
// PF_POOL        the pool's name
// PF_FDS         its descriptors, see inherited_fds.h
// PF_COMM        the name that the process is to have
// LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES as in sd_listen_fds(3)
//
// A program that does not use this library gets the last three only, and where it is to report as a
// service does NOTIFY_SOCKET, WATCHDOG_PID, WATCHDOG_USEC as in sd_notify(3).
#pragma once

#include <stdint.h>

#include "base/array.h"
#include "base/time.h"
#include "os/channel/link_text.h"
#include "os/channel/notify_socket.h"
#include "os/service/notify.h"
#include "os/spawn/argument_size.h"
#include "os/spawn/inherited_fds.h"
#include "os/spawn/initial_environment.h"
#include "os/spawn/strings.h"
#include "os/spawn/worker_resources.h"

namespace prefork::os {

inline constexpr char variable_pool[] = "PF_POOL";

// What workers inherit; their own variables are added.
struct EnvironmentBase {
    char *const *variables = nullptr; // used as they are; nullptr: none
    const char *process_name = "";    // that the worker is to have; "": that of its program
    bool leaves_manager_out = false;  // workers do not get the socket of the service manager
    bool foreign = false;             // the program does not use this library
    bool reports = false;             // and is to report as a service does
};

class WorkerEnvironment {
  public:
    // Puts together what is the same for all workers; what was meant for this process itself is
    // left out. The size is that of the arguments. Returns 0, -ENOMEM, or -E2BIG if the kernel
    // would not accept all of it; then nothing has changed.
    [[nodiscard]] int open(const EnvironmentBase &base, const char *pool_name, InheritedFds *fds,
                           ArgumentSize size);

    // What each worker has for itself. Async-signal-safe, and without locks or memory.
    void set_task_id(int32_t task_id);
    void set_descriptors(InheritedFds *fds);
    void set_supervisor(const WorkerLink &link);
    void set_pid(int32_t pid);

    // Where the workers are to report, and how often at least; 0: they need not.
    void set_notification(const char *path, base::Duration watchdog);

    [[nodiscard]] char *const *get() const { return &variables_[0]; }

  private:
    void add_identity(const EnvironmentBase &base, const char *pool_name, InheritedFds *fds);
    void add(char *variable) { variables_[count_++] = variable; }

    static constexpr size_t number_size = 48; // of a variable with one number
    static constexpr size_t link_size = 192;

    base::Array<char *> variables_;
    uint32_t count_ = 0;
    uint32_t own_at_ = 0; // where those begin that can come and go, the last ones
    bool reports_ = false;
    bool is_watched_ = false;
    char task_id_[number_size] = "";
    char supervisor_[link_size] = "";
    char listen_pid_[number_size] = "";
    char listen_count_[number_size] = "";
    char process_name_[number_size] = "";
    char notify_socket_[sizeof(notify_variable) + NotifySocket::path_size] = "";
    char watchdog_[number_size] = "";
    char watchdog_pid_[number_size] = "";
    char pool_[sizeof(variable_pool) + WorkerResources::pool_name_size] = "";
};

// Which worker this process is, as its supervisor wrote it.
struct WorkerIdentity {
    int32_t task_id = -1;
    WorkerLink link;
    const char *pool = nullptr;
    const char *descriptors = nullptr;  // nullptr: none
    const char *process_name = nullptr; // nullptr: that of the program
};

// The variables that this process was started with, also where the host, or another copy of the
// library, has removed them since.
class OwnEnvironment {
  public:
    OwnEnvironment();

    // Whether they name a supervisor: this process was started as a worker.
    [[nodiscard]] bool names_supervisor() const { return supervisor_ != nullptr; }

    // The texts belong to this object. Returns false if they make no sense.
    [[nodiscard]] bool parse(WorkerIdentity *ret_identity) const;

    // They are not for the children of this process.
    static void remove();

  private:
    [[nodiscard]] const char *find(const char *name) const;

    InitialEnvironment initial_;
    bool is_current_; // else they are those that the process was started with
    const char *supervisor_;
};

} // namespace prefork::os
