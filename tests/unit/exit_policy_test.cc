// What follows from the end of a worker that nobody asked for: the policy alone.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include "core/exit_policy.h"
#include "supervised.h"

using namespace tests;

namespace {

bool is_equal(const ExitVerdict &verdict, bool restart, bool counts, bool fatal) {
    return verdict.restart == restart && (!restart || verdict.counts == counts) &&
           verdict.fatal == fatal;
}

void each_status_has_an_action_of_its_own(void **) {
    constexpr ExitAction actions[] = {ExitAction::standard, ExitAction::restart, ExitAction::done,
                                      ExitAction::fatal};
    ExitActions table;
    for (int32_t status = 0; status < ExitActions::statuses; status++) {
        assert_true(table.of(exit_with(status)) == ExitAction::standard);
        table.set(status, actions[(status / 3) % 4]);
    }
    for (int32_t status = 0; status < ExitActions::statuses; status++) {
        assert_true(table.of(exit_with(status)) == actions[(status / 3) % 4]);
    }
    table.set(7, ExitAction::fatal);
    table.set(7, ExitAction::standard);
    assert_true(table.of(exit_with(7)) == ExitAction::standard);
    assert_true(table.of(exit_with(6)) == actions[2]);
}

void what_is_no_status_has_no_action(void **) {
    ExitActions table;
    for (int32_t status = 0; status < ExitActions::statuses; status++) {
        table.set(status, ExitAction::fatal);
    }
    assert_true(table.of(killed_by(9)) == ExitAction::standard);
    assert_true(table.of(Exit{}) == ExitAction::standard);
    assert_true(table.of(exit_with(-1)) == ExitAction::standard);
    assert_true(table.of(exit_with(256)) == ExitAction::standard);
}

void restart_policy_decides_without_an_action(void **) {
    Settings settings;
    constexpr ExitAction action = ExitAction::standard;
    const Duration least = settings.minimum_uptime;
    assert_true(is_equal(judge_exit(settings, action, false, least), true, true, false));
    assert_true(is_equal(judge_exit(settings, action, true, 0), false, false, false));
    settings.restart = RestartWhen::always;
    assert_true(is_equal(judge_exit(settings, action, true, least), true, false, false));
    assert_true(is_equal(judge_exit(settings, action, true, least - 1), true, true, false));
    assert_true(is_equal(judge_exit(settings, action, false, least), true, true, false));
    settings.restart = RestartWhen::none;
    assert_true(is_equal(judge_exit(settings, action, false, 0), false, false, false));
}

void action_comes_before_the_restart_policy(void **) {
    for (const RestartWhen when :
         {RestartWhen::on_failure, RestartWhen::always, RestartWhen::none}) {
        for (const bool normal : {false, true}) {
            Settings settings;
            settings.restart = when;
            const auto judge = [&](ExitAction action) {
                return judge_exit(settings, action, normal, 10 * second);
            };
            assert_true(is_equal(judge(ExitAction::restart), true, true, false));
            assert_true(is_equal(judge(ExitAction::done), false, false, false));
            assert_true(is_equal(judge(ExitAction::fatal), false, false, true));
        }
    }
}

const CMUnitTest tests_of_exits[] = {
    cmocka_unit_test(each_status_has_an_action_of_its_own),
    cmocka_unit_test(what_is_no_status_has_no_action),
    cmocka_unit_test(restart_policy_decides_without_an_action),
    cmocka_unit_test(action_comes_before_the_restart_policy),
};

} // namespace

int main() { return cmocka_run_group_tests_name("exit policy", tests_of_exits, nullptr, nullptr); }
