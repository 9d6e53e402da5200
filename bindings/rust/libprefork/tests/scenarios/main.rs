// The scenarios that the bindings of all languages run, by the same names.
//
// SPDX-License-Identifier: MIT
#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod control;
mod ends;
mod events;
mod limits;

use libprefork::{Builder, Pool};

/// Each scenario is run with both ways to make a worker, where the way may matter.
const WAYS: [&str; 2] = ["fork", "exec"];

/// In a program: a pool of the way that is the program's first argument.
fn pool_of_way() -> Builder {
    match support::argument(0).as_str() {
        "exec" => Pool::builder().exec_self(),
        _ => Pool::builder(),
    }
}

fn main() {
    support::main(
        all![
            ends::task_ids,
            ends::restart_with_the_same_id,
            ends::clean_exit,
            ends::limit_gives_up,
            ends::terminated_supervisor_leaves_nobody,
            ends::killed_supervisor_leaves_nobody,
            events::event_order_and_fields,
            control::graceful_stop,
            control::rolling_reload,
            control::resize,
            control::pids_and_states,
            control::shared_listening_socket,
            limits::errors_as_the_languages_own,
            limits::use_after_fork_refused,
            limits::ctrl_c_within_100_ms,
            limits::library_missing_or_too_old,
        ],
        all![
            ends::tell_tasks,
            ends::one_fails,
            ends::all_fail,
            ends::unprotected,
            events::one_failure,
            events::callback_events,
            events::ends_of_all_kinds,
            control::stop_gracefully,
            control::serve,
            control::change_size,
            control::tell_states,
            limits::make_errors,
            limits::fork_and_use,
            limits::wait_for_signal,
            limits::handle_signal,
            limits::make_pool,
        ],
    );
}
