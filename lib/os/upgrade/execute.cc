// SPDX-License-Identifier: MIT
#include "os/upgrade/execute.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/text.h"
#include "os/process/standard_files.h"
#include "os/process/threads.h"
#include "os/service/daemon.h"
#include "os/spawn/identity.h"
#include "os/spawn/supervisor_check.h"
#include "os/upgrade/handed_over.h"

namespace prefork::os {

namespace {

// The environment, with the number of the file in it.
class UpgradeEnvironment {
  public:
    [[nodiscard]] bool open(char *const *base, int file) {
        size_t count = 0;
        while (base != nullptr && base[count] != nullptr) {
            count += 1;
        }
        if (!variables_.allocate(count + 2)) {
            return false;
        }
        base::Text(text_, sizeof(text_)).add(upgrade_variable).add("=").add(int64_t{file});
        size_t written = 0;
        variables_[written++] = text_;
        for (size_t index = 0; index < count; index++) {
            constexpr size_t length = sizeof(upgrade_variable) - 1;
            const bool is_ours =
                strncmp(base[index], upgrade_variable, length) == 0 && base[index][length] == '=';
            if (!is_ours) {
                variables_[written++] = base[index];
            }
        }
        return true; // what was not written is null
    }
    [[nodiscard]] char *const *get() const { return &variables_[0]; }

  private:
    base::Array<char *> variables_;
    char text_[32];
};

} // namespace

int check_upgrade(const Program &program) {
    if (!is_main_thread()) {
        return -EPERM; // every worker would get its death signal
    }
    if (is_worker()) {
        return -EOPNOTSUPP; // what makes it a worker would be lost
    }
    if (const int unread = handed_over_error(); unread < 0) {
        return unread;
    }
    if (is_launcher_waiting() || has_unclaimed_pools()) {
        return -EBUSY; // what waits to be claimed would be lost
    }
    return getauxval(AT_SECURE) != 0 || gives_rights(program.path()) ? -EACCES : 0;
}

int execute_upgrade(const Program &program, UpgradeWriter *writer) {
    if (int r = writer->finish(); r < 0) {
        return r;
    }
    UpgradeEnvironment environment;
    if (!environment.open(program.has_own_environment() ? environ : program.environment(),
                          writer->file())) {
        return -ENOMEM;
    }
    if (has_threads()) {
        flush_standard_output();
    } else {
        flush_stdio();
    }
    int result = writer->set_inherited(true);
    if (result == 0) {
        result = program.execute(environment.get());
    }
    (void)writer->set_inherited(false);
    return result;
}

} // namespace prefork::os
