// SPDX-License-Identifier: MIT
#include "core/exit_policy.h"

namespace prefork::core {

ExitVerdict judge_exit(const Settings &settings, ExitAction action, bool normal, Duration uptime) {
    ExitVerdict verdict;
    switch (action) {
    case ExitAction::standard:
        verdict.restart = settings.restart == RestartWhen::always ||
                          (settings.restart == RestartWhen::on_failure && !normal);
        verdict.counts = !normal || uptime < settings.minimum_uptime;
        break;
    case ExitAction::restart:
        verdict.restart = true;
        verdict.counts = true;
        break;
    case ExitAction::done:
        break;
    case ExitAction::fatal:
        verdict.fatal = true;
        break;
    }
    return verdict;
}

} // namespace prefork::core
