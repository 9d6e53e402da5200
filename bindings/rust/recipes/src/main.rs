// recipes - counts the requests that clients lose while the workers of a server are replaced
//
//   cargo run --release -- axum [RELOADS]     axum::serve() with with_graceful_shutdown()
//   cargo run --release -- drain [RELOADS]    the same router, by src/drain.rs
//
// SPDX-License-Identifier: MIT
mod drain;

use std::env;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use axum::{routing::get, Router};
use libprefork::net::Bind;
use libprefork::{EventKind, Pool, RunningPool, Task};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn work(task: Task, listener: TcpListener, how: &str) -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = Router::new().route("/", get(|| async { "hello" }));
    // SAFETY: the library keeps it open as long as the process lives.
    let stop = unsafe { AsyncFd::register_with_interest(task.stop_fd()?, Interest::READABLE)? };
    let stopped = async move {
        let _ = stop.readable().await;
    };
    task.ready()?;
    match how {
        "drain" => drain::serve(listener, router, stopped).await,
        _ => {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await?;
        }
    }
    Ok(())
}

static GOOD: AtomicU32 = AtomicU32::new(0);
static LOST: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicBool = AtomicBool::new(false);

/// Asks once, and returns whether the connection may be used again.
fn ask(stream: &mut TcpStream, keep: bool) -> Result<bool, Box<dyn Error>> {
    let close = if keep { "" } else { "Connection: close\r\n" };
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: a\r\n{close}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut part = [0; 1024];
        match stream.read(&mut part)? {
            0 => return Err("the connection was closed".into()),
            count => answer.extend_from_slice(&part[..count]),
        }
    }
    let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    Ok(keep && !text.contains("connection: close"))
}

/// A client that asks all the time. On a connection that was used before it may ask again, as
/// every client of HTTP does.
fn load(address: SocketAddr, keep: bool) {
    let mut kept: Option<TcpStream> = None;
    while !DONE.load(Ordering::Relaxed) {
        let was_used = kept.is_some();
        let result = kept
            .take()
            .map_or_else(|| TcpStream::connect(address), Ok)
            .map_err(Box::<dyn Error>::from)
            .and_then(|mut stream| Ok((ask(&mut stream, keep)?, stream)));
        match result {
            Ok((again, stream)) => {
                GOOD.fetch_add(1, Ordering::Relaxed);
                kept = Some(stream).filter(|_| again);
            }
            Err(_) if was_used => {}
            Err(_) => {
                LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn until(pool: &mut RunningPool, wanted: fn(&EventKind) -> bool) -> Result<(), Box<dyn Error>> {
    loop {
        while let Some(event) = pool.next_event()? {
            if wanted(&event.kind) {
                return Ok(());
            }
        }
        if !pool.dispatch(None)? {
            return Err("the pool has ended".into());
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let how = env::args().nth(1).unwrap_or_else(|| "drain".to_owned());
    let reloads = env::args().nth(2).map_or(Ok(10), |count| count.parse())?;
    let listener = Bind::to("127.0.0.1", 0).listen()?.remove(0);
    if let Some(task) = Task::current() {
        return work(task, listener, &how);
    }
    let pool = Pool::builder().workers(2).exec_self();
    let pool = pool.ready_timeout(TIMEOUT).stop_by_descriptor(TIMEOUT);
    let mut pool = pool.build()?.start_exec()?;
    for _ in 0..2 {
        until(&mut pool, |kind| matches!(kind, EventKind::Ready { .. }))?;
    }
    let address = listener.local_addr()?;
    let clients: Vec<_> = (0..8)
        .map(|number| thread::spawn(move || load(address, number % 2 == 0)))
        .collect();
    for _ in 0..reloads {
        thread::sleep(Duration::from_millis(50));
        pool.reload()?;
        until(&mut pool, |kind| matches!(kind, EventKind::Reloaded))?;
    }
    DONE.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a client that does not panic");
    }
    let lost = LOST.load(Ordering::Relaxed);
    let good = GOOD.load(Ordering::Relaxed);
    println!("{how}: {reloads} reloads, {good} requests answered, {lost} lost");
    pool.stop()?;
    while pool.dispatch(None)? {
        pool.events().for_each(drop);
    }
    Ok(())
}
