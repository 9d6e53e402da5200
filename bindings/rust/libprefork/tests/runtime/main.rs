// What a fork does to a Rust program, and what the crate makes of it.
//
// SPDX-License-Identifier: MIT
#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod policies;
mod processes;
mod spares;
mod threads;
mod upgrades;

use libprefork::RunningPool;
use support::Program;

fn runs_well(program: &str) {
    Program::start(program, &[]).ends_well("all as expected");
}

fn end(pool: &mut RunningPool) {
    while pool.dispatch(None).unwrap() {
        let _ = pool.events().count();
    }
}

fn main() {
    support::main(
        all![
            threads::threads_are_refused,
            threads::a_locked_stdout_hangs_no_worker,
            threads::a_thread_that_keeps_stdout_hangs_no_end,
            threads::threads_are_refused_later_too,
            threads::threads_are_refused_without_proc,
            threads::threads_can_be_allowed,
            threads::exec_workers_bear_threads_and_other_children,
            processes::workers_work_as_usual,
            processes::partial_lines_are_written_once,
            processes::guards_are_dropped_once,
            processes::a_panic_in_the_event_callback_goes_on_in_the_caller,
            processes::workers_may_have_pools,
            processes::a_pool_by_exec_in_a_worker_needs_another_name,
            processes::exec_takes_a_command,
            processes::fork_processes_returns_in_each_worker,
            policies::a_slot_can_be_given_up_alone,
            policies::an_exit_status_has_the_meaning_that_was_chosen,
            policies::silent_workers_are_noticed,
            policies::a_dropped_pool_leaves_nobody,
            policies::a_program_dies_of_the_signal_that_stopped_its_pool,
            policies::a_stopped_supervisor_goes_on,
            policies::another_thread_wakes_a_pool,
            policies::a_replacement_takes_over_after_its_minimum_uptime,
            policies::a_group_of_processes_ends_with_its_worker,
            spares::a_spare_takes_the_slot_of_a_killed_worker,
            spares::foreign_workers_report_as_services,
            spares::a_worker_that_retires_is_replaced,
            spares::a_program_that_cannot_start_gives_up,
            upgrades::five_upgrades_lose_no_request,
            upgrades::an_upgrade_that_fails_changes_nothing,
        ],
        all![
            threads::refuse_threads,
            threads::refuse_locked_stdout,
            threads::keep_stdout_locked,
            threads::refuse_threads_later,
            threads::refuse_threads_without_proc,
            threads::allow_threads,
            threads::exec_beside_threads,
            threads::tell_task,
            processes::work_as_usual,
            processes::print_partly,
            processes::hold_guards,
            processes::panic_in_event,
            processes::pool_in_worker,
            processes::inner_pools,
            processes::run_another_program,
            processes::one_call,
            policies::degrade,
            policies::exit_actions,
            policies::heartbeat_and_ready,
            policies::dropped_pool,
            policies::stopped_run,
            policies::dying,
            policies::wake,
            policies::uptime,
            policies::groups,
            spares::killed_worker,
            spares::be_foreign,
            spares::foreign,
            spares::retire,
            spares::cannot_start,
            upgrades::serve,
        ],
    );
}
