// tokio and forks: what works, and what is refused because it would hang.
//
// SPDX-License-Identifier: MIT
#![allow(clippy::incompatible_msrv)] // tokio needs a later compiler than the crate

#[macro_use]
mod support;

use std::process;
use std::time::Duration;

use libprefork::{Error, EventKind, Pool, Signals, Task};
use support::{children_of, kill, park, Program, SIGKILL, SIGTERM};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// Uses threads, timers and the network of a runtime.
async fn echo() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "hello");
    server.await.unwrap();
}

// ---- Programs ----

fn runtime_in_worker() {
    let result = Pool::builder().workers(5).build().unwrap().run(|_| {
        Runtime::new().unwrap().block_on(echo());
        println!("echoed");
    });
    assert_eq!(result, Ok(()));
    println!("all as expected");
}

/// A worker could not use it, for its threads are not there.
fn runtime_before_fork() {
    let mut pool = Pool::builder().workers(2).build().unwrap();
    let runtime = Runtime::new().unwrap();
    assert_eq!(pool.run(|_| runtime.block_on(echo())), Err(Error::Threads));
    let in_task = runtime.block_on(async {
        tokio::spawn(async {
            let mut pool = Pool::builder().workers(2).build().unwrap();
            pool.run(|_| ())
        })
        .await
        .unwrap()
    });
    assert_eq!(in_task, Err(Error::Threads));
    assert_eq!(children_of(process::id()), []);
    drop(runtime);
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    support::wait_until("its threads are gone", || threads() == 1);
    assert_eq!(pool.run(|_| ()), Ok(()), "once it is gone");
    println!("all as expected");
}

/// One that has no threads is no obstacle, but belongs to the supervisor: workers make their own.
fn current_thread_runtime() {
    let build = || Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = build();
    runtime.block_on(echo());
    let result = Pool::builder()
        .workers(2)
        .build()
        .unwrap()
        .run(|_| build().block_on(echo()));
    assert_eq!(result, Ok(()));
    runtime.block_on(echo());
    println!("all as expected");
}

/// A supervisor within tokio, whose workers are made by exec: each is killed, some often.
fn supervise() {
    const KILLS: usize = 12;
    if Task::current().is_some() {
        park();
    }
    Runtime::new().unwrap().block_on(async {
        let pool = Pool::builder()
            .name("supervised")
            .workers(4)
            .exec_self()
            .build()
            .unwrap();
        // SAFETY: a pool has the same descriptor until it is dropped.
        let mut pool = unsafe {
            AsyncFd::register_with_interest(pool.start_exec().unwrap(), Interest::READABLE).unwrap()
        };
        let (mut ended, mut stopped) = (0, false);
        loop {
            let mut guard = pool.readable_mut().await.unwrap();
            let pool = guard.get_inner_mut();
            let lives = pool.dispatch(Some(Duration::ZERO)).unwrap();
            for event in pool.events() {
                match event.kind {
                    EventKind::Started { pid, .. } if !stopped => kill(pid, SIGKILL),
                    EventKind::Exited { .. } => ended += 1,
                    _ => {}
                }
            }
            if !lives {
                break;
            }
            if ended >= KILLS && !stopped {
                stopped = true;
                pool.stop().unwrap();
            }
            if !pool.has_work() {
                guard.clear_ready();
            }
        }
        echo().await; // the runtime is as it was
    });
    assert_eq!(children_of(process::id()), []);
    println!("all as expected");
}

/// Workers that are made by exec and enter by `run`, with a runtime that main made before.
fn enter_with_runtime() {
    let runtime = Runtime::new().unwrap();
    let builder = Pool::builder()
        .name("enter")
        .workers(2)
        .signals(Signals::Standard);
    let result = builder.exec_self().build().unwrap().run(|task| {
        runtime.block_on(echo());
        println!("echoed {}", task.id());
    });
    assert_eq!(result, Ok(()));
    println!("all as expected");
}

// ---- Tests ----

fn a_runtime_made_in_the_worker_works() {
    let mut program = Program::start("runtime_in_worker", &[]);
    program.ends_well("all as expected");
    assert_eq!(program.count(|line| line == "echoed"), 5);
}

fn a_runtime_made_before_is_refused() {
    Program::start("runtime_before_fork", &[]).ends_well("all as expected");
}

fn a_runtime_without_threads_is_left_alone() {
    Program::start("current_thread_runtime", &[]).ends_well("all as expected");
}

fn a_runtime_supervises_workers_made_by_exec() {
    Program::start("supervise", &[]).ends_well("all as expected");
}

fn workers_made_by_exec_may_have_a_runtime_before_they_enter() {
    let mut program = Program::start("enter_with_runtime", &[]);
    program.ends_well("all as expected");
    assert_eq!(program.count(|line| line.starts_with("echoed")), 2);
}

fn a_terminated_runtime_leaves_nobody() {
    let mut program = Program::start("enter_with_runtime_and_stay", &[]);
    let workers: Vec<u32> = (0..2).map(|_| program.words(&["task", "pid"])[1]).collect();
    kill(program.pid(), SIGTERM);
    assert!(program.end().success());
    support::wait_until("none is left", || {
        workers.iter().all(|&pid| support::is_gone(pid))
    });
}

fn enter_with_runtime_and_stay() {
    let runtime = Runtime::new().unwrap();
    let builder = Pool::builder().workers(2).signals(Signals::Standard);
    let result = builder.exec_self().build().unwrap().run(|task| {
        runtime.block_on(async {
            println!("task {} pid {}", task.id(), process::id());
            std::future::pending::<()>().await
        })
    });
    assert_eq!(result, Ok(()));
}

fn main() {
    support::main(
        all![
            a_runtime_made_in_the_worker_works,
            a_runtime_made_before_is_refused,
            a_runtime_without_threads_is_left_alone,
            a_runtime_supervises_workers_made_by_exec,
            workers_made_by_exec_may_have_a_runtime_before_they_enter,
            a_terminated_runtime_leaves_nobody,
        ],
        all![
            runtime_in_worker,
            runtime_before_fork,
            current_thread_runtime,
            supervise,
            enter_with_runtime,
            enter_with_runtime_and_stay,
        ],
    );
}
