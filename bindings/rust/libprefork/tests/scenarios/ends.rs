// Task ids, and what follows from the ends of workers and supervisors.
//
// SPDX-License-Identifier: MIT
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::parent_id;
use std::process::{self, ExitCode};

use libprefork::{Error, Signals, Task};

use crate::support::{is_gone, kill, park, wait_until, Program, SIGKILL, SIGTERM};
use crate::{pool_of_way, WAYS};

fn tell(task: Task) {
    println!(
        "task {} pid {} parent {}",
        task.id(),
        process::id(),
        parent_id()
    );
}

// ---- Programs ----

pub fn tell_tasks() {
    let enter = |task: Task| {
        assert_eq!(Task::current(), Some(task));
        assert_eq!(task.pool(), "three");
        tell(task);
    };
    pool_of_way()
        .name("three")
        .workers(3)
        .build()
        .unwrap()
        .run(enter)
        .unwrap();
    assert_eq!(Task::current(), None);
    println!("done");
}

pub fn one_fails() {
    let mut pool = pool_of_way()
        .workers(2)
        .signals(Signals::Standard)
        .build()
        .unwrap();
    let result = pool.run(|task| {
        tell(task);
        park()
    });
    println!("result {result:?} signal {:?}", pool.stop_signal());
}

pub fn all_fail() {
    let mut pool = pool_of_way().workers(2).max_restarts(2).build().unwrap();
    let result = pool.run(|task| {
        tell(task);
        if task.id() == 0 {
            park()
        }
        ExitCode::from(7)
    });
    assert_eq!(result, Err(Error::GaveUp));
    println!("{}", result.unwrap_err());
}

/// No signal is handled: the supervisor dies of it.
pub fn unprotected() {
    let mut pool = pool_of_way().workers(3).build().unwrap();
    let result = pool.run(|task| {
        tell(task);
        park()
    });
    unreachable!("{result:?}");
}

// ---- Scenarios ----

pub fn task_ids() {
    for way in WAYS {
        let mut program = Program::start("tell_tasks", &[way]);
        let (mut ids, mut pids) = (BTreeSet::new(), BTreeSet::from([program.pid()]));
        for _ in 0..3 {
            let words = program.words(&["task", "pid", "parent"]);
            ids.insert(words[0]);
            pids.insert(words[1]);
            assert_eq!(words[2], program.pid());
        }
        assert_eq!((ids, pids.len()), (BTreeSet::from([0, 1, 2]), 4));
        program.ends_well("done");
    }
}

pub fn restart_with_the_same_id() {
    for way in WAYS {
        let mut program = Program::start("one_fails", &[way]);
        let mut pids = BTreeMap::new();
        for _ in 0..2 {
            let words = program.words(&["task", "pid"]);
            pids.insert(words[0], words[1]);
        }
        for _ in 0..3 {
            kill(pids[&1], SIGKILL);
            let words = program.words(&["task", "pid"]);
            assert_eq!(words[0], 1);
            assert_ne!(pids.insert(1, words[1]), Some(words[1]));
        }
        assert!(!is_gone(pids[&0]), "the other one was left alone");
        kill(program.pid(), SIGTERM);
        program.ends_well("result Ok(()) signal Some(15)");
    }
}

pub fn clean_exit() {
    for way in WAYS {
        let mut program = Program::start("tell_tasks", &[way]);
        program.ends_well("done");
        assert_eq!(
            program.count(|line| line.starts_with("task")),
            3,
            "{:?}",
            program.seen
        );
    }
}

pub fn limit_gives_up() {
    for way in WAYS {
        let mut program = Program::start("all_fail", &[way]);
        program.ends_well("Too many restarts");
        // One start and two restarts; the worker that did not fail may have been stopped early.
        assert_eq!(
            program.count(|line| line.starts_with("task 1")),
            3,
            "{:?}",
            program.seen
        );
    }
}

fn ended_supervisor_leaves_nobody(signal: i32) {
    for way in WAYS {
        let mut program = Program::start("unprotected", &[way]);
        let workers: Vec<u32> = (0..3).map(|_| program.words(&["task", "pid"])[1]).collect();
        kill(program.pid(), signal);
        wait_until("no worker is left", || {
            workers.iter().all(|&pid| is_gone(pid))
        });
        let status = program.end(); // no writer is left either
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(signal)
        );
    }
}

pub fn terminated_supervisor_leaves_nobody() {
    ended_supervisor_leaves_nobody(SIGTERM);
}

pub fn killed_supervisor_leaves_nobody() {
    ended_supervisor_leaves_nobody(SIGKILL);
}
