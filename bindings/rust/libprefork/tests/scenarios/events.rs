// Events: all of them, in order, with the right fields.
//
// SPDX-License-Identifier: MIT
use std::process::{self, ExitCode, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use std::os::unix::process::ExitStatusExt;

use libprefork::{Error, Event, EventKind, Level, Pool, RestartPolicy, RunningPool, Task};

use crate::support::{argument, kill, park, Program, SIGKILL};
use crate::{pool_of_way, WAYS};

/// Runs a pool to its end in a loop that does nothing else.
fn all_events(mut pool: RunningPool) -> (Vec<Event>, Result<bool, Error>) {
    let mut events = Vec::new();
    loop {
        let result = pool.dispatch(None);
        events.extend(pool.events());
        if result != Ok(true) {
            return (events, result);
        }
    }
}

fn check_one_failure(events: &[Event]) {
    let kinds: Vec<&EventKind> = events.iter().map(|event| &event.kind).collect();
    let failed = Some(ExitStatus::from_raw(3 << 8));
    let (first, second) = match kinds[..] {
        [EventKind::Starting, EventKind::Started {
            task_id: 0,
            pid: first,
        }, EventKind::Exited {
            task_id: 0,
            pid: first_end,
            status: first_status,
            will_restart: true,
            delay: Duration::ZERO,
            usage,
            ..
        }, EventKind::Started {
            task_id: 0,
            pid: second,
        }, EventKind::Exited {
            task_id: 0,
            pid: second_end,
            status: second_status,
            will_restart: false,
            ..
        }, EventKind::GaveUp {
            task_id: None,
            error: Error::GaveUp,
        }, EventKind::Done {
            error: Some(Error::GaveUp),
        }] => {
            assert_eq!((*first_status, *second_status), (failed, failed));
            assert!(usage.max_rss_kib > 0, "{usage:?}");
            assert_eq!((first, second), (first_end, second_end));
            (*first, *second)
        }
        _ => panic!("{events:#?}"),
    };
    assert!(first != second && first != process::id());
    let levels: Vec<Level> = events.iter().map(|event| event.level).collect();
    assert_eq!(levels[0], Level::Info);
    assert_eq!((levels[2], levels[5]), (Level::Warning, Level::Error));
    assert_eq!(events[0].message, "Starting 1 processes");
    assert_eq!(events[0].worker_count, 1);
    let ended = format!("child 0 (pid {first}) exited with status 3, restarting");
    assert_eq!(events[2].message, ended);
    assert_eq!(events[5].message, "Too many child restarts, giving up");
    let restarts: Vec<u32> = events.iter().map(|event| event.restarts).collect();
    assert_eq!(restarts, [0, 0, 1, 1, 1, 1, 1]);
    assert!(events.windows(2).all(|pair| pair[0].time <= pair[1].time));
    assert!(!events[0].time.is_zero());
}

// ---- Programs ----

/// A worker fails, its replacement fails: taken one by one.
pub fn one_failure() {
    let pool = pool_of_way().workers(1).max_restarts(1).build().unwrap();
    if Task::current().is_some() {
        process::exit(3); // without Pool::run: a worker made by exec need not have a pool
    }
    let pool = match argument(0).as_str() {
        "exec" => pool.start_exec().unwrap(),
        _ => pool.start(|_| ExitCode::from(3)).unwrap(),
    };
    let (events, result) = all_events(pool);
    assert_eq!(result, Err(Error::GaveUp));
    check_one_failure(&events);
    println!("all as expected");
}

/// The same, told by a callback.
pub fn callback_events() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let builder = pool_of_way()
        .workers(1)
        .max_restarts(1)
        .on_event(move |event, control| {
            assert_eq!(control.worker_count(), Ok(1));
            teller.lock().unwrap().push(event.clone());
        });
    let result = builder.build().unwrap().run(|_| ExitCode::from(3));
    assert_eq!(result, Err(Error::GaveUp));
    check_one_failure(&told.lock().unwrap());
    println!("all as expected");
}

pub fn ends_of_all_kinds() {
    let builder = Pool::builder()
        .workers(4)
        .restart_policy(RestartPolicy::Never);
    let pool = builder.build().unwrap().start(|task| match task.id() {
        0 => Ok(()),
        1 => Err("this is why"),
        2 => panic!("as the test wants it"),
        _ => {
            kill(process::id(), SIGKILL);
            park()
        }
    });
    let (events, result) = all_events(pool.unwrap());
    assert_eq!(result, Ok(false));
    let mut ends = [None; 4];
    for event in &events {
        if let EventKind::Exited {
            task_id,
            status,
            will_restart,
            ..
        } = event.kind
        {
            assert!(!will_restart);
            ends[task_id as usize] = status;
        }
    }
    let exited = |status: i32| Some(ExitStatus::from_raw(status << 8));
    let killed = Some(ExitStatus::from_raw(SIGKILL));
    assert_eq!(ends, [exited(0), exited(1), exited(101), killed]);
    println!("all as expected");
}

// ---- Scenario ----

pub fn event_order_and_fields() {
    for way in WAYS {
        Program::start("one_failure", &[way]).ends_well("all as expected");
        Program::start("callback_events", &[way]).ends_well("all as expected");
    }
    let mut program = Program::start("ends_of_all_kinds", &[]);
    program.ends_well("all as expected");
    assert_eq!(
        program.count(|line| line.contains("this is why")),
        1,
        "{:?}",
        program.seen
    );
    assert_eq!(
        program.count(|line| line.contains("as the test wants it")),
        1
    );
}
