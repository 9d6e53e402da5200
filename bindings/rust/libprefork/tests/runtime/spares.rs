// Workers that are started ahead of need, that belong to other programs, and that retire.
//
// SPDX-License-Identifier: MIT
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use libprefork::{Counter, Error, EventKind, Pool, Reason, RunningPool, Task};

use crate::support::{kill, park, Program, PATIENCE, SIGKILL};
use crate::{end, runs_well};

/// The first event that is looked for.
fn until<T>(pool: &mut RunningPool, mut find: impl FnMut(&libprefork::Event) -> Option<T>) -> T {
    loop {
        while let Some(event) = pool.next_event().unwrap() {
            if let Some(found) = find(&event) {
                return found;
            }
        }
        assert!(pool.dispatch(None).unwrap(), "the pool goes on");
    }
}

// ---- Programs ----

pub fn killed_worker() {
    let builder = Pool::builder().workers(1).spares(1);
    let mut pool = builder.build().unwrap().start(|_| park()).unwrap();
    let first = until(&mut pool, |event| match event.kind {
        EventKind::Started { pid, .. } => Some(pid),
        _ => None,
    });
    let spare = until(&mut pool, |event| match event.kind {
        EventKind::SpareStarted { pid } => Some(pid),
        _ => None,
    });
    assert_eq!(pool.counter(Counter::Spares), 1);
    kill(first, SIGKILL);
    let second = until(&mut pool, |event| match event.kind {
        EventKind::Started { pid, task_id: 0 } => {
            assert_eq!(event.reason, Reason::Restart);
            Some(pid)
        }
        _ => None,
    });
    assert_eq!(second, spare);
    pool.set_spares(0).unwrap();
    let error = pool.set_spares(65_537).unwrap_err();
    assert_eq!(error.to_string(), "set_spares(65537): Invalid argument");
    until(&mut pool, |event| match event.kind {
        EventKind::SpareExited { .. } => Some(()),
        _ => None,
    });
    assert_eq!(pool.counter(Counter::Restarted), 1);
    pool.stop_worker(0).unwrap();
    let reason = until(&mut pool, |event| match event.kind {
        EventKind::Exited { .. } => Some(event.reason),
        _ => None,
    });
    assert_eq!(reason, Reason::Stop);
    pool.stop().unwrap();
    end(&mut pool);
    println!("all as expected");
}

pub fn be_foreign() {
    assert_eq!(Task::current(), None);
    let socket = UnixDatagram::unbound().unwrap();
    let path = std::env::var_os("NOTIFY_SOCKET").unwrap();
    socket.send_to(b"READY=1", path).unwrap();
    park();
}

pub fn foreign() {
    let builder = Pool::builder().workers(2).foreign_workers(true);
    let builder = builder.exec(&Program::command("be_foreign", &[]));
    let pool = builder.ready_timeout(PATIENCE).build().unwrap();
    let mut pool = pool.start_exec().unwrap();
    for _ in 0..2 {
        until(&mut pool, |event| match event.kind {
            EventKind::Ready { .. } => Some(()),
            _ => None,
        });
    }
    pool.stop().unwrap();
    end(&mut pool);
    println!("all as expected");
}

pub fn retire() {
    let builder = Pool::builder().workers(1).min_uptime(Duration::ZERO);
    let pool = builder.ready_timeout(PATIENCE).build().unwrap();
    let mut pool = pool
        .start(|task| {
            task.ready().unwrap();
            task.retire().unwrap();
            park();
        })
        .unwrap();
    let reason = until(&mut pool, |event| match event.kind {
        EventKind::Exited { .. } => Some(event.reason),
        _ => None,
    });
    assert_eq!(reason, Reason::Retire);
    pool.stop().unwrap();
    end(&mut pool);
    println!("all as expected");
}

pub fn cannot_start() {
    let builder = Pool::builder().workers(1).boot_limit(2);
    let mut pool = builder.ready_timeout(PATIENCE).build().unwrap();
    assert_eq!(pool.run(|_| Err::<(), _>("no luck")), Err(Error::GaveUp));
    println!("all as expected");
}

// ---- Tests ----

pub fn a_spare_takes_the_slot_of_a_killed_worker() {
    runs_well("killed_worker");
}

pub fn foreign_workers_report_as_services() {
    runs_well("foreign");
}

pub fn a_worker_that_retires_is_replaced() {
    runs_well("retire");
}

pub fn a_program_that_cannot_start_gives_up() {
    runs_well("cannot_start");
}
