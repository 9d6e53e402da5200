// Settings that no scenario has, and the life of a pool.
//
// SPDX-License-Identifier: MIT
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use libprefork::{Error, EventKind, ExitAction, LimitAction, Pool, ProcessGroups, Signals};

use crate::support::{argument, children_of, is_gone, kill, park, wait_until, Program};
use crate::support::{SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGWINCH};
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

pub fn wake() {
    let builder = Pool::builder().workers(1).min_uptime(Duration::ZERO);
    let mut pool = builder
        .build()
        .unwrap()
        .start(|_| -> () { park() })
        .unwrap();
    while pool.alive_count() != Ok(1) || pool.has_work() {
        pool.dispatch(Some(Duration::ZERO)).unwrap();
        let _ = pool.events().count();
    }
    let remote = pool.remote();
    let waker = remote.clone();
    assert_eq!(thread::spawn(move || waker.wake()).join().unwrap(), Ok(()));
    assert!(pool.has_work());
    assert_eq!(pool.dispatch(None), Ok(true));
    assert_eq!((pool.events().count(), pool.has_work()), (0, false));
    drop(pool);
    assert_eq!(remote.wake(), Ok(()));
    println!("all as expected");
}

pub fn uptime() {
    let least = Duration::from_millis(1200); // more than the default
    let builder = Pool::builder().workers(1).min_uptime(least);
    let mut pool = builder
        .build()
        .unwrap()
        .start(|_| -> () { park() })
        .unwrap();
    let mut begun = None;
    loop {
        pool.dispatch(None).unwrap();
        for event in pool.events().collect::<Vec<_>>() {
            match event.kind {
                EventKind::Started { .. } if begun.is_none() => {
                    begun = Some(Instant::now());
                    pool.reload().unwrap();
                }
                EventKind::Reloaded => {
                    assert!(begun.unwrap().elapsed() >= least);
                    println!("all as expected");
                    return;
                }
                _ => {}
            }
        }
    }
}

// The child ends with the group of its worker, which is what is tested.
#[allow(clippy::zombie_processes)]
pub fn groups() {
    let mode = match argument(0).as_str() {
        "signals" => ProcessGroups::Signals,
        _ => ProcessGroups::Kill,
    };
    let builder = Pool::builder().workers(1).process_groups(mode);
    let builder = builder.signals(Signals::Standard);
    let mut pool = builder.build().unwrap();
    let result = pool.run(|_| -> () {
        let script = "trap 'echo resized' WINCH; trap 'echo continued' CONT
            echo worker $PPID child $$; while :; do sleep 0.01; done";
        Command::new("/bin/sh")
            .args(["-c", script])
            .spawn()
            .unwrap();
        park()
    });
    println!("{result:?}");
}

// ---- Tests ----

pub fn another_thread_wakes_a_pool() {
    runs_well("wake");
}

pub fn a_replacement_takes_over_after_its_minimum_uptime() {
    runs_well("uptime");
}

/// A signal that the supervisor passes on; and what is left of a group, whose end is waited for.
pub fn a_group_of_processes_ends_with_its_worker() {
    for (mode, count) in [("signals", 1), ("kill", 0)] {
        let mut program = Program::start("groups", &[mode]);
        let pids = program.words(&["worker", "child"]);
        kill(program.pid(), SIGWINCH);
        if count == 1 {
            program.line("of the child", |line| line == "resized");
        }
        kill(pids[1], SIGCONT);
        program.line("of the child", |line| line == "continued");
        kill(program.pid(), SIGTERM);
        program.ends_well("Ok(())");
        assert_eq!(program.count(|line| line == "resized"), count, "{mode}");
        wait_until("it is gone", || is_gone(pids[1]));
    }
}

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
