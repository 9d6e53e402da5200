// Threads beside a fork: what would hang is refused, and exec bears them.
//
// SPDX-License-Identifier: MIT
use std::process::{self, Command, ExitCode};
use std::sync::mpsc::{channel, RecvError};
use std::thread;
use std::time::{Duration, Instant};

use libprefork::{Error, EventKind, Pool, RestartPolicy, Task};

use crate::support::{children_of, kill, park, wait_until, Program, PATIENCE, SIGKILL, SIGTERM};
use crate::{end, runs_well};

/// A thread that lives until the returned sender is dropped.
fn other_thread() -> (std::sync::mpsc::Sender<()>, thread::JoinHandle<RecvError>) {
    let (keep, kept) = channel();
    (keep, thread::spawn(move || kept.recv().unwrap_err()))
}

/// A thread that was joined, or told to end, may still be there for a moment.
fn wait_until_alone() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    wait_until("there is one thread", || threads() == 1);
}

// ---- Programs ----

pub fn refuse_threads() {
    let refused = Err(Error::Threads);
    let mut pool = Pool::builder().workers(1).build().unwrap();
    let (keep, other) = other_thread();
    assert_eq!(pool.run(|_| ()), refused);
    assert_eq!(
        Pool::builder().build().unwrap().start(|_| ()).err(),
        Some(Error::Threads)
    );
    // SAFETY: the call is refused.
    assert_eq!(
        unsafe { libprefork::fork_processes(1, 1) }.err(),
        Some(Error::Threads)
    );
    assert_eq!(children_of(process::id()), []);
    drop(keep);
    other.join().unwrap();
    wait_until_alone();
    assert_eq!(pool.run(|_| println!("worked")), Ok(()));
    println!("all as expected");
}

/// A fork would leave the lock of standard output locked in the worker for ever.
pub fn refuse_locked_stdout() {
    let (locked, is_locked) = channel();
    let (keep, kept) = channel::<()>();
    let other = thread::spawn(move || {
        let _lock = std::io::stdout().lock();
        locked.send(()).unwrap();
        kept.recv().unwrap_err();
    });
    is_locked.recv().unwrap();
    let result = Pool::builder()
        .workers(2)
        .build()
        .unwrap()
        .run(|_| println!("worker"));
    drop(keep);
    other.join().unwrap();
    assert_eq!(result, Err(Error::Threads));
    println!("all as expected");
}

/// Loggers of workers that have the lock of standard output as long as they live.
pub fn keep_stdout_locked() {
    let builder = Pool::builder().workers(2).stop(SIGTERM, Duration::ZERO);
    let mut pool = builder
        .restart_policy(RestartPolicy::Never)
        .build()
        .unwrap();
    let result = pool.run(|task| {
        let (locked, is_locked) = channel();
        thread::spawn(move || {
            let _lock = std::io::stdout().lock();
            locked.send(()).unwrap();
            park()
        });
        is_locked.recv().unwrap();
        if task.id() == 1 {
            libprefork::die_of_signal(SIGTERM);
        }
    });
    assert_eq!(result, Ok(()));
    println!("all as expected");
}

/// Threads that are started while the pool runs: a restart must not fork beside them.
pub fn refuse_threads_later() {
    let mut kept = Vec::new();
    let builder = Pool::builder().workers(1).on_event(move |event, _| {
        if let EventKind::Exited { .. } = event.kind {
            kept.push(other_thread());
        }
    });
    let result = builder.build().unwrap().run(|_| {
        println!("worker");
        ExitCode::FAILURE
    });
    assert_eq!(result, Err(Error::Threads));
    assert_eq!(children_of(process::id()), []);

    wait_until_alone();
    let mut pool = Pool::builder()
        .workers(1)
        .build()
        .unwrap()
        .start(|_| -> () { park() })
        .unwrap();
    while pool.alive_count() != Ok(1) {
        pool.dispatch(None).unwrap();
    }
    let (keep, other) = other_thread();
    assert_eq!(pool.dispatch(None), Err(Error::Threads));
    assert_eq!(pool.alive_count(), Ok(1)); // it lives, and goes on without the thread
    kill(pool.worker_pid(0).unwrap().unwrap(), SIGKILL);
    assert_eq!(pool.dispatch(None), Err(Error::Threads));
    drop(keep);
    other.join().unwrap();
    wait_until_alone();
    while pool.worker_restarts(0) != Ok(1) || pool.alive_count() != Ok(1) {
        assert_eq!(pool.dispatch(None), Ok(true));
        let _ = pool.events().count();
    }
    drop(pool);
    assert_eq!(children_of(process::id()), []);
    println!("all as expected");
}

/// As in a chroot: what cannot be known is refused, and what is known is not.
pub fn refuse_threads_without_proc() {
    assert!(!std::path::Path::new("/proc/self").exists());
    let mut pool = Pool::builder().workers(1).build().unwrap();
    let waiting = Pool::builder().workers(1).build().unwrap();
    let (keep, other) = other_thread();
    assert_eq!(pool.run(|_| ()), Err(Error::Threads));
    assert_eq!(waiting.start(|_| ()).err(), Some(Error::Threads));
    // SAFETY: the call is refused.
    assert_eq!(
        unsafe { libprefork::fork_processes(1, 1) }.err(),
        Some(Error::Threads)
    );
    drop(keep);
    other.join().unwrap();
    assert_eq!(pool.run(|_| println!("worked")), Ok(()));

    let mut pool = Pool::builder()
        .workers(1)
        .build()
        .unwrap()
        .start(|_| -> () { park() })
        .unwrap();
    while pool.alive_count() != Ok(1) {
        pool.dispatch(None).unwrap();
    }
    let (keep, other) = other_thread();
    assert_eq!(pool.dispatch(None), Err(Error::Threads));
    drop((keep, pool));
    other.join().unwrap();
    println!("all as expected");
}

pub fn allow_threads() {
    let (keep, other) = other_thread();
    // SAFETY: the worker does nothing.
    let builder = unsafe { Pool::builder().workers(2).allow_threads() };
    assert_eq!(builder.build().unwrap().run(|_| ()), Ok(()));
    drop(keep);
    other.join().unwrap();
    println!("all as expected");
}

/// Workers by exec, beside a thread that runs programs of its own.
pub fn exec_beside_threads() {
    if Task::current().is_some() {
        for (name, _) in std::env::vars() {
            assert!(
                !name.starts_with("PF_"),
                "{name} would go on to a worker's children"
            );
        }
        assert!(Program::command("tell_task", &[])
            .status()
            .unwrap()
            .success());
        park();
    }
    let runner = thread::spawn(|| {
        let children: Vec<_> = (0..20)
            .map(|i| {
                Command::new("/bin/sh")
                    .args(["-c", &format!("exit {i}")])
                    .spawn()
                    .unwrap()
            })
            .collect();
        for (i, mut child) in children.into_iter().enumerate() {
            assert_eq!(child.wait().unwrap().code(), Some(i as i32));
        }
    });
    let mut pool = Pool::builder()
        .workers(3)
        .exec_self()
        .build()
        .unwrap()
        .start_exec()
        .unwrap();
    let (remote, (keep, other)) = (pool.remote(), other_thread());
    let mut killed = 0;
    let deadline = Instant::now() + PATIENCE;
    while killed < 10 {
        assert!(Instant::now() < deadline);
        pool.dispatch(Some(Duration::from_millis(100))).unwrap();
        for event in pool.events() {
            if let EventKind::Started { pid, .. } = event.kind {
                kill(pid, SIGKILL);
                killed += 1;
            }
        }
    }
    runner.join().unwrap();
    thread::spawn(move || remote.stop())
        .join()
        .unwrap()
        .unwrap();
    end(&mut pool);
    drop(keep);
    other.join().unwrap();
    println!("all as expected");
}

pub fn tell_task() {
    assert_eq!(Task::current(), None);
}

// ---- Tests ----

pub fn threads_are_refused() {
    runs_well("refuse_threads");
}

pub fn a_locked_stdout_hangs_no_worker() {
    runs_well("refuse_locked_stdout");
}

pub fn a_thread_that_keeps_stdout_hangs_no_end() {
    runs_well("keep_stdout_locked");
}

pub fn threads_are_refused_later_too() {
    let mut program = Program::start("refuse_threads_later", &[]);
    program.ends_well("all as expected");
    assert_eq!(
        program.count(|line| line == "worker"),
        1,
        "{:?}",
        program.seen
    );
}

pub fn threads_are_refused_without_proc() {
    let hidden = |program: &[&str]| {
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs none /proc && exec \"$@\"";
        command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        command.args(program);
        command
    };
    if !hidden(&["true"])
        .output()
        .map_or(false, |output| output.status.success())
    {
        println!("skipped: no namespaces of mounts here");
        return;
    }
    let own = std::env::current_exe().unwrap();
    let mut program = hidden(&[own.to_str().unwrap(), "program:refuse_threads_without_proc"]);
    Program::spawn(&mut program).ends_well("all as expected");
}

pub fn threads_can_be_allowed() {
    runs_well("allow_threads");
}

pub fn exec_workers_bear_threads_and_other_children() {
    runs_well("exec_beside_threads");
}
