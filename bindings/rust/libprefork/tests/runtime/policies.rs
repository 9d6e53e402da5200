// Settings that no scenario has, and the life of a pool.
//
// SPDX-License-Identifier: MIT
use std::os::unix::process::ExitStatusExt;
use std::process::{self, ExitCode};
use std::time::Duration;

use libprefork::{Error, EventKind, ExitAction, LimitAction, Pool, Signals};

use crate::support::{argument, children_of, is_gone, kill, park, wait_until, Program};
use crate::support::{SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTERM};
use crate::{end, runs_well};

// ---- Programs ----

pub fn dying() {
    let mut pool = Pool::builder()
        .workers(1)
        .signals(Signals::StopOnly)
        .build()
        .unwrap();
    let supervisor = process::id();
    let result = pool.run(|_| -> () {
        kill(supervisor, SIGTERM);
        park()
    });
    assert_eq!((result, pool.stop_signal()), (Ok(()), Some(SIGTERM)));
    drop(pool);
    assert_eq!(libprefork::die_of_signal(SIGCHLD), Error::Os(22));
    print!("stopped");
    libprefork::die_of_signal(SIGTERM);
}

pub fn degrade() {
    let mut gave_up = Vec::new();
    let builder = Pool::builder()
        .workers(2)
        .max_restarts(0)
        .limit_action(LimitAction::Degrade);
    let mut pool = builder.build().unwrap().start(|task| {
        if task.id() == 0 {
            return ExitCode::FAILURE;
        }
        park()
    });
    let pool = pool.as_mut().unwrap();
    while gave_up.is_empty() {
        pool.dispatch(None).unwrap();
        gave_up.extend(pool.events().filter_map(|event| match event.kind {
            EventKind::GaveUp { task_id, .. } => task_id,
            _ => None,
        }));
    }
    assert_eq!((gave_up, pool.alive_count()), (vec![0], Ok(1)));
    pool.stop().unwrap();
    end(pool);
    println!("all as expected");
}

pub fn exit_actions() {
    let run = |action| {
        let builder = Pool::builder().workers(1).max_restarts(0);
        let mut pool = builder.exit_action(9, action).build().unwrap();
        pool.run(|_| ExitCode::from(9))
    };
    assert_eq!(run(ExitAction::Done), Ok(()));
    assert_eq!(run(ExitAction::Fatal), Err(Error::Fatal));
    assert_eq!(run(ExitAction::Restart), Err(Error::GaveUp));
    println!("all as expected");
}

pub fn heartbeat_and_ready() {
    let (ready, beat) = (argument(0) == "ready", argument(0) == "heartbeat");
    let mut builder = Pool::builder().workers(1).max_restarts(0);
    if ready {
        builder = builder.ready_timeout(Duration::from_millis(100));
    }
    if beat {
        builder = builder.heartbeat_timeout(Duration::from_millis(100));
    }
    let builder = builder.on_event(|event, _| {
        if let EventKind::Unresponsive { task_id: 0, .. } = event.kind {
            println!("unresponsive");
        }
    });
    let result = builder.build().unwrap().run(|task| -> () {
        if beat {
            task.heartbeat().unwrap();
        }
        park()
    });
    println!("{result:?}");
}

pub fn dropped_pool() {
    let mut pool = Pool::builder()
        .workers(2)
        .build()
        .unwrap()
        .start(|_| -> () { park() })
        .unwrap();
    while pool.alive_count() != Ok(2) {
        pool.dispatch(None).unwrap();
    }
    assert!(pool.has_work(), "events wait");
    let worker = pool.worker_pid(0).unwrap().unwrap();
    drop(pool);
    assert!(is_gone(worker) && children_of(process::id()).is_empty());
    println!("all as expected");
}

pub fn stopped_run() {
    let mut pool = Pool::builder()
        .workers(1)
        .signals(Signals::Standard)
        .build()
        .unwrap();
    let result = pool.run(|task| {
        println!("task {} pid {}", task.id(), process::id());
        park()
    });
    println!("{result:?}");
}

// ---- Tests ----

pub fn a_program_dies_of_the_signal_that_stopped_its_pool() {
    let mut program = Program::start("dying", &[]);
    assert_eq!(program.end().signal(), Some(SIGTERM));
    assert_eq!(program.seen, ["stopped"]);
}

pub fn an_exit_status_has_the_meaning_that_was_chosen() {
    runs_well("exit_actions");
}

pub fn a_slot_can_be_given_up_alone() {
    runs_well("degrade");
}

pub fn silent_workers_are_noticed() {
    for way in ["ready", "heartbeat"] {
        let mut program = Program::start("heartbeat_and_ready", &[way]);
        program.ends_well("Err(GaveUp)");
        assert_eq!(
            program.count(|line| line == "unresponsive"),
            1,
            "{:?}",
            program.seen
        );
    }
}

pub fn a_dropped_pool_leaves_nobody() {
    runs_well("dropped_pool");
}

pub fn a_stopped_supervisor_goes_on() {
    let mut program = Program::start("stopped_run", &[]);
    let worker = program.words(&["task", "pid"])[1];
    kill(program.pid(), SIGSTOP);
    kill(program.pid(), SIGCONT);
    kill(worker, SIGKILL);
    assert_ne!(program.words(&["task", "pid"])[1], worker);
    kill(program.pid(), SIGTERM);
    program.ends_well("Ok(())");
    wait_until("it is gone", || is_gone(worker));
}
