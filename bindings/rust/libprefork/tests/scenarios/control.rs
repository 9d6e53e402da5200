// Stop, reload, resize, and what a pool looks like meanwhile.
//
// SPDX-License-Identifier: MIT
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process;
use std::sync::mpsc::channel;
use std::time::Duration;

use libprefork::{EventKind, RunningPool, Signals, Task, Wake, WorkerState};

use crate::support::{argument, is_gone, kill, park, wait_until, word_after, Program, PATIENCE};
use crate::support::{SIGCONT, SIGHUP, SIGKILL, SIGSTOP, SIGTERM};
use crate::{pool_of_way, WAYS};

/// A pool whose workers do nothing, driven by its program.
fn idle_pool(workers: u32) -> RunningPool {
    if Task::current().is_some() {
        park();
    }
    let pool = pool_of_way().workers(workers).build().unwrap();
    match argument(0).as_str() {
        "exec" => pool.start_exec().unwrap(),
        _ => pool.start(|_| -> () { park() }).unwrap(),
    }
}

/// Drives the pool until it is so.
fn drive_until(pool: &mut RunningPool, what: &str, is_so: impl Fn(&RunningPool) -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is_so(pool) {
        assert!(
            std::time::Instant::now() < deadline,
            "waited in vain until {what}"
        );
        pool.dispatch(Some(Duration::from_millis(100))).unwrap();
        let _ = pool.events().count();
    }
}

// ---- Programs ----

pub fn stop_gracefully() {
    let builder = pool_of_way()
        .workers(2)
        .signals(Signals::Standard)
        .on_event(|event, _| {
            if let EventKind::Stopping { signal } = event.kind {
                println!("stopping {signal:?}");
            }
        });
    let mut pool = builder.stop_by_descriptor(PATIENCE).build().unwrap();
    let never = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let result = pool.run(|task| {
        println!("task {} pid {}", task.id(), process::id());
        assert_eq!(task.wait(&never, None), Ok(Wake::Stop));
        assert_eq!(task.wait(&never, Some(Duration::ZERO)), Ok(Wake::Stop));
        println!("finished {}", task.id());
    });
    println!("result {result:?} signal {:?}", pool.stop_signal());
}

/// Workers that share a socket tell every client who they are, until they are stopped.
pub fn serve() {
    let mut builder = pool_of_way()
        .name("serve")
        .workers(3)
        .ready_timeout(PATIENCE)
        .stop_by_descriptor(PATIENCE)
        .signals(Signals::Standard)
        .on_event(|event, _| println!("event {}", event.message));
    if Task::current().is_none() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        println!("port {}", listener.local_addr().unwrap().port());
        builder = builder.fd("http", &listener);
    }
    let result = builder.build().unwrap().run(|task| {
        let listener = task
            .fd("http")
            .unwrap()
            .try_clone_to_owned()
            .map(TcpListener::from)
            .unwrap();
        task.ready().unwrap();
        while task.wait(&listener, None) == Ok(Wake::Readable) {
            if let Ok((mut stream, _)) = listener.accept() {
                writeln!(stream, "task {} pid {}", task.id(), process::id()).unwrap();
            }
        }
    });
    println!("result {result:?}");
}

pub fn change_size() {
    let mut pool = idle_pool(2);
    drive_until(&mut pool, "two live", |pool| pool.alive_count() == Ok(2));
    let first = pool.worker_pid(0).unwrap();
    pool.resize(4).unwrap();
    drive_until(&mut pool, "four live", |pool| pool.alive_count() == Ok(4));
    assert_eq!(pool.worker_count(), Ok(4));
    let last = pool.worker_pid(3).unwrap().unwrap();
    pool.resize(1).unwrap();
    drive_until(&mut pool, "one is left", |pool| pool.alive_count() == Ok(1));
    assert_eq!(
        (pool.worker_count(), pool.worker_pid(0)),
        (Ok(1), Ok(first))
    );
    assert!(is_gone(last) && pool.worker_pid(3).is_err());
    pool.stop().unwrap();
    drive_until(&mut pool, "none is left", |pool| {
        pool.alive_count() == Ok(0)
    });
    assert!(pool.resize(2).is_err());
    println!("all as expected");
}

pub fn tell_states() {
    let mut pool = idle_pool(2);
    drive_until(&mut pool, "two live", |pool| pool.alive_count() == Ok(2));
    let pids: BTreeSet<u32> = (0..2)
        .map(|id| pool.worker_pid(id).unwrap().unwrap())
        .collect();
    assert_eq!(pids.len(), 2);
    assert!((0..2).all(|id| pool.worker_state(id) == Ok(WorkerState::Ready)));
    assert!((0..2).all(|id| pool.worker_restarts(id) == Ok(0)));
    assert!(pool.worker_state(2).is_err() && pool.worker_uptime(2).is_err());

    let old = pool.worker_pid(1).unwrap();
    pool.send_signal(1, SIGKILL).unwrap();
    drive_until(&mut pool, "it is replaced", |pool| {
        pool.worker_restarts(1) == Ok(1) && pool.worker_state(1) == Ok(WorkerState::Ready)
    });
    assert_ne!(pool.worker_pid(1).unwrap(), old);
    assert_eq!(pool.worker_restarts(0), Ok(0));
    assert!(pool.worker_uptime(0).unwrap() >= pool.worker_uptime(1).unwrap());

    assert!(pool.handle_signal(SIGKILL).is_err());
    assert_eq!(pool.stop_signal(), None);
    pool.remote().handle_signal(SIGTERM).unwrap();
    pool.dispatch(Some(Duration::ZERO)).unwrap();
    drive_until(&mut pool, "none is left", |pool| {
        pool.alive_count() == Ok(0)
    });
    assert_eq!(pool.worker_pid(0), Ok(None));
    assert_eq!(pool.stop_signal(), Some(SIGTERM));
    println!("all as expected");
}

// ---- Scenarios ----

pub fn graceful_stop() {
    for way in WAYS {
        let mut program = Program::start("stop_gracefully", &[way]);
        for _ in 0..2 {
            program.words(&["task", "pid"]);
        }
        kill(program.pid(), SIGTERM);
        program.ends_well("result Ok(()) signal Some(15)");
        assert_eq!(program.count(|line| line == "stopping Some(15)"), 1);
        assert_eq!(
            program.count(|line| line.starts_with("finished")),
            2,
            "{:?}",
            program.seen
        );
    }
}

/// Who answers: (task id, pid). No request may fail.
fn ask(port: u32) -> (u32, u32) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port as u16)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (word_after(&answer, "task"), word_after(&answer, "pid"))
}

fn pids_by_event(program: &mut Program, event: &str, count: usize) -> BTreeSet<u32> {
    let mut pids = BTreeSet::new();
    while pids.len() < count {
        let line = program.line(event, |line| {
            line.starts_with("event") && line.ends_with(event)
        });
        pids.insert(word_after(&line.replace(')', ""), "(pid"));
    }
    pids
}

pub fn rolling_reload() {
    for way in WAYS {
        let mut program = Program::start("serve", &[way]);
        let port = program.words(&["port"])[0];
        let old = pids_by_event(&mut program, "is ready", 3);
        assert!(old.contains(&ask(port).1));
        let (stop, stopped) = channel::<()>();
        let (begin, begun) = channel();
        let load = std::thread::spawn(move || {
            while stopped.try_recv().is_err() {
                ask(port); // and no request fails
                let _ = begin.send(());
            }
        });
        begun.recv().unwrap();
        kill(program.pid(), SIGHUP);
        let new = pids_by_event(&mut program, "is ready", 3);
        program.line("that it is done", |line| {
            line == "event Reloaded 3 processes"
        });
        stop.send(()).unwrap();
        load.join().unwrap();
        assert!(old.is_disjoint(&new));
        wait_until("the old ones are gone", || {
            old.iter().all(|&pid| is_gone(pid))
        });
        assert!(new.contains(&ask(port).1));
        kill(program.pid(), SIGTERM);
        program.ends_well("result Ok(())");
    }
}

pub fn resize() {
    for way in WAYS {
        Program::start("change_size", &[way]).ends_well("all as expected");
    }
}

pub fn pids_and_states() {
    for way in WAYS {
        Program::start("tell_states", &[way]).ends_well("all as expected");
    }
}

pub fn shared_listening_socket() {
    for way in WAYS {
        let mut program = Program::start("serve", &[way]);
        let port = program.words(&["port"])[0];
        let mut workers = pids_by_event(&mut program, "is ready", 3);
        // Each in turn is the only one that does not stand still, and so must answer.
        for one in workers.clone() {
            workers.remove(&one);
            workers.iter().for_each(|&pid| kill(pid, SIGSTOP));
            assert_eq!(ask(port).1, one);
            workers.iter().for_each(|&pid| kill(pid, SIGCONT));
            workers.insert(one);
        }
        kill(program.pid(), SIGTERM);
        program.ends_well("result Ok(())");
    }
}
