//! What the servers have in common: a listening socket, a pool, and the end of a worker.
//!
//! Each listens on 127.0.0.1, on the port that the environment variable PORT names (0 or none:
//! any), with WORKERS workers (2), and answers with the pid of the process that answers. HUP replaces the
//! workers, TERM stops them. None loses a request in a reload: ../measure.sh counts them.
//!
//! SPDX-License-Identifier: MIT
use std::env;
use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::net::TcpListener;
use std::process;
use std::time::Duration;

use libprefork::net::Bind;
use libprefork::{Pool, Signals, Task};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

pub mod drain;

const TIMEOUT: Duration = Duration::from_secs(10);

pub type Failure = Box<dyn Error>;

fn number(name: &str, otherwise: u32) -> Result<u32, Failure> {
    env::var(name).map_or(Ok(otherwise), |text| Ok(text.parse()?))
}

/// For a client that has connected, or was answered, and asks next: GRACE_S seconds, or a half.
pub fn grace() -> Duration {
    let text = env::var("GRACE_S").unwrap_or_default();
    Duration::from_secs_f32(text.parse().unwrap_or(0.5))
}

pub fn listen() -> Result<TcpListener, Failure> {
    let port = u16::try_from(number("PORT", 0)?)?;
    let listener = Bind::to("127.0.0.1", port).listen()?.remove(0);
    println!("listening on port {}", listener.local_addr()?.port());
    Ok(listener)
}

pub fn workers() -> Result<u32, Failure> {
    number("WORKERS", 2)
}

/// Runs workers that are told to stop by a descriptor. What a worker fails with is printed.
pub fn supervise<W, E>(work: W) -> Result<(), Failure>
where
    W: Fn(Task, TcpListener) -> Result<(), E>,
    E: Display,
{
    let listener = listen()?;
    let pool = Pool::builder().workers(workers()?).replace_width(2);
    let pool = pool.ready_timeout(TIMEOUT).stop_by_descriptor(TIMEOUT);
    let mut pool = pool.signals(Signals::Standard).build()?;
    pool.run(move |task| {
        let listener = listener.try_clone().expect("another descriptor");
        if let Err(error) = work(task, listener) {
            eprintln!("worker {}: {error}", process::id());
            process::exit(1);
        }
    })?;
    Ok(())
}

/// Ends when the worker has to stop. To be called in a runtime of tokio.
pub fn stopped(task: &Task) -> Result<impl Future<Output = ()>, Failure> {
    // SAFETY: the library keeps it open as long as the process lives.
    let stop = unsafe { AsyncFd::register_with_interest(task.stop_fd()?, Interest::READABLE)? };
    Ok(async move {
        let _ = stop.readable().await;
    })
}

pub fn body() -> String {
    format!("{}\n", process::id())
}
