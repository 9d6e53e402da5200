// SPDX-License-Identifier: MIT
#include "os/spawn/environment.h"

#include <errno.h>
#include <initializer_list>
#include <span>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "base/worker_array.h"

namespace prefork::os {

namespace {

using base::Text;

constexpr char variable_task_id[] = "PF_TASK_ID";
constexpr char variable_supervisor[] = "PF_SUPERVISOR";
constexpr char variable_process_name[] = "PF_COMM";
constexpr char listen_count_name[] = "LISTEN_FDS";
constexpr char listen_pid_name[] = "LISTEN_PID";

// Of these each worker has its own.
constexpr const char *own_variables[] = {variable_task_id, variable_supervisor, variable_pool,
                                         variable_descriptors, variable_process_name};

// And of these as well, or none.
constexpr const char *listen_variables[] = {listen_count_name, listen_pid_name,
                                            variable_listen_names, "LISTEN_PIDFDID"};

// And where it reports as a service does.
constexpr char watchdog_name[] = "WATCHDOG_USEC";
constexpr char watchdog_pid_name[] = "WATCHDOG_PID";
constexpr const char *notify_variables[] = {notify_variable, watchdog_name, watchdog_pid_name};

constexpr size_t own_variables_max = 11;

bool is_of(const char *variable, const char *name) {
    const size_t length = base::length_of(name);
    return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

bool is_any_of(const char *variable, std::span<const char *const> names) {
    for (const char *name : names) {
        if (is_of(variable, name)) {
            return true;
        }
    }
    return false;
}

bool is_for_worker(const char *variable, const EnvironmentBase &base) {
    return !is_any_of(variable, own_variables) && !is_any_of(variable, listen_variables) &&
           !(base.leaves_manager_out && is_of(variable, notify_variable)) &&
           !(base.reports && is_any_of(variable, notify_variables));
}

Text begin(char *buffer, size_t size, const char *name) {
    Text text(buffer, size);
    text.add(name).add("=");
    return text;
}

} // namespace

int WorkerEnvironment::open(const EnvironmentBase &base, const char *pool_name, InheritedFds *fds,
                            ArgumentSize size) {
    size_t of_base = 0;
    for (; base.variables != nullptr && base.variables[of_base] != nullptr; of_base++) {
        if (is_for_worker(base.variables[of_base], base)) {
            size.add(base.variables[of_base]);
        }
    }
    for (const size_t own :
         {sizeof(task_id_), sizeof(supervisor_), sizeof(pool_), sizeof(process_name_),
          sizeof(listen_pid_), sizeof(listen_count_), sizeof(notify_socket_), sizeof(watchdog_),
          sizeof(watchdog_pid_), fds->variable_size(), fds->listen_names_size()}) {
        size.add(own);
    }
    if (int r = size.check(); r < 0) {
        return r;
    }
    if (!variables_.allocate(of_base + own_variables_max + 1)) {
        return -ENOMEM;
    }
    count_ = 0;
    reports_ = base.reports;
    if (!base.foreign) {
        add_identity(base, pool_name, fds);
    }
    for (size_t index = 0; index < of_base; index++) {
        if (is_for_worker(base.variables[index], base)) {
            add(base.variables[index]);
        }
    }
    own_at_ = count_;
    return 0;
}

void WorkerEnvironment::add_identity(const EnvironmentBase &base, const char *pool_name,
                                     InheritedFds *fds) {
    add(task_id_);
    add(supervisor_);
    begin(pool_, sizeof(pool_), variable_pool).add(pool_name);
    add(pool_);
    if (base.process_name[0] != '\0') {
        begin(process_name_, sizeof(process_name_), variable_process_name).add(base.process_name);
        add(process_name_);
    }
    add(fds->variable());
}

void WorkerEnvironment::set_descriptors(InheritedFds *fds) {
    count_ = own_at_;
    if (fds->count() > 0) {
        begin(listen_count_, sizeof(listen_count_), listen_count_name).add(int64_t{fds->count()});
        add(listen_count_);
        add(listen_pid_);
        add(fds->listen_names());
    }
    if (reports_) {
        add(notify_socket_);
    }
    if (is_watched_) {
        add(watchdog_);
        add(watchdog_pid_);
    }
    add(nullptr);
}

void WorkerEnvironment::set_task_id(int32_t task_id) {
    begin(task_id_, sizeof(task_id_), variable_task_id).add(int64_t{task_id});
}

void WorkerEnvironment::set_supervisor(const WorkerLink &link) {
    Text text = begin(supervisor_, sizeof(supervisor_), variable_supervisor);
    write_link(link, &text);
}

void WorkerEnvironment::set_pid(int32_t pid) {
    begin(listen_pid_, sizeof(listen_pid_), listen_pid_name).add(int64_t{pid});
    begin(watchdog_pid_, sizeof(watchdog_pid_), watchdog_pid_name).add(int64_t{pid});
}

void WorkerEnvironment::set_notification(const char *path, base::Duration watchdog) {
    begin(notify_socket_, sizeof(notify_socket_), notify_variable).add(path);
    is_watched_ = watchdog != 0;
    begin(watchdog_, sizeof(watchdog_), watchdog_name)
        .add(static_cast<int64_t>(watchdog / base::microsecond));
}

OwnEnvironment::OwnEnvironment() : is_current_(getenv(variable_supervisor) != nullptr) {
    if (!is_current_) {
        (void)initial_.read(); // where it cannot be read, nobody knows
    }
    supervisor_ = find(variable_supervisor);
}

const char *OwnEnvironment::find(const char *name) const {
    return is_current_ ? getenv(name) : initial_.find(name);
}

bool OwnEnvironment::parse(WorkerIdentity *ret_identity) const {
    constexpr int32_t task_id_max = 65'535;
    const char *task_id = find(variable_task_id);
    ret_identity->pool = find(variable_pool);
    ret_identity->descriptors = find(variable_descriptors);
    ret_identity->process_name = find(variable_process_name);
    return task_id != nullptr &&
           base::parse_number(&task_id, base::task_spare, task_id_max, &ret_identity->task_id) &&
           *task_id == '\0' && ret_identity->task_id != -1 && ret_identity->pool != nullptr &&
           strlen(ret_identity->pool) < WorkerResources::pool_name_size &&
           read_link(supervisor_, &ret_identity->link) &&
           ret_identity->link.is_spare == (ret_identity->task_id == base::task_spare);
}

void OwnEnvironment::remove() {
    for (const char *name : own_variables) {
        unsetenv(name);
    }
}

} // namespace prefork::os
