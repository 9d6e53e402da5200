// tokio.rs - an HTTP server on tokio whose supervisor is on tokio as well
//
//   tokio [PORT [WORKERS]]
//
// A runtime cannot be forked, so the workers are this program started anew. GET / says hello;
// SIGTERM and Ctrl-C end the workers once they have answered, SIGHUP replaces them.
//
// SPDX-License-Identifier: MIT
#![allow(clippy::incompatible_msrv)] // tokio needs a later compiler than the crate

use std::env;
use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::time::Duration;

use libprefork::{Pool, ProcessGroups, RunningPool, Task};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::TcpStream;
use tokio::signal::unix::{signal, SignalKind};
use tokio::task::JoinSet;
use tokio::time::timeout;

const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

async fn answer(task: Task, mut stream: TcpStream) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    while lines
        .next_line()
        .await?
        .map_or(false, |line| !line.is_empty())
    {}
    let body = format!(
        "Hello, world from pid {}, task {}\n",
        process::id(),
        task.id()
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    writer.write_all((head + &body).as_bytes()).await?;
    writer.shutdown().await
}

#[tokio::main]
async fn serve(task: Task) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::from(task.fd("http")?.try_clone_to_owned()?);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    // SAFETY: the library keeps it open as long as the process lives.
    let stop = unsafe { AsyncFd::register_with_interest(task.stop_fd()?, Interest::READABLE)? };
    let mut connections = JoinSet::new();
    task.ready()?;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(timeout(CLIENT_TIMEOUT, answer(task, stream)));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = stop.readable() => break,
        }
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Lets the pool do what is to be done now; false once it is done.
fn advance(pool: &mut RunningPool) -> Result<bool, libprefork::Error> {
    let result = pool.dispatch(Some(Duration::ZERO));
    for event in pool.events() {
        println!("[supervisor {}] {}", process::id(), event.message);
    }
    result
}

#[tokio::main]
async fn supervise(port: u16, workers: u32) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);
    let pool = Pool::builder()
        .name("tokio")
        .workers(workers)
        .fd("http", &listener)
        .ready_timeout(STOP_TIMEOUT)
        .stop_by_descriptor(STOP_TIMEOUT)
        .process_groups(ProcessGroups::Signals) // Ctrl-C is the supervisor's alone
        .exec_self()
        .build()?
        .start_exec()?;
    // SAFETY: a pool has the same descriptor until it is dropped.
    let mut pool = unsafe { AsyncFd::register_with_interest(pool, Interest::READABLE)? };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            guard = pool.readable_mut() => {
                let mut guard = guard?;
                if !advance(guard.get_inner_mut())? {
                    return Ok(());
                }
                if !guard.get_inner().has_work() {
                    guard.clear_ready(); // tokio tells of changes only
                }
            }
            // tokio takes the signals, the pool knows what is usual.
            _ = terminate.recv() => {
                pool.get_ref().handle_signal(SignalKind::terminate().as_raw_value())?;
            }
            _ = interrupt.recv() => {
                pool.get_ref().handle_signal(SignalKind::interrupt().as_raw_value())?;
            }
            _ = hangup.recv() => {
                pool.get_ref().handle_signal(SignalKind::hangup().as_raw_value())?;
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(task) = Task::current() {
        return serve(task);
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let port = arguments
        .first()
        .map_or(Ok(8090), |port| port.parse::<u16>())?;
    let workers = arguments
        .get(1)
        .map_or(Ok(0), |count| count.parse::<u32>())?;
    supervise(port, workers)
}
