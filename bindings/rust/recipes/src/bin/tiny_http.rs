//! tiny_http in pre-forked workers, which lose no request in a reload.
//!
//! A thread of tiny_http accepts until the process ends, so that a worker that ends loses what was
//! just accepted. Here another socket takes the place of the shared one when the worker has to
//! stop. The thread that waits in accept() notices that after one more connection, which the
//! worker makes itself if need be. Each answer from then on is of HTTP/1.0: tiny_http has no way to
//! say "Connection: close".
//!
//! SPDX-License-Identifier: MIT
use std::io::{self, Write};
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::io::{AsRawFd, RawFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use libprefork::Task;
use recipes::{body, grace, supervise, Failure};
use tiny_http::{HTTPVersion, Request, Response, Server};

const TICK: Duration = Duration::from_millis(20);

extern "C" {
    fn dup2(from: RawFd, to: RawFd) -> RawFd;
}

/// Whoever accepts from this descriptor next gets no connection of the clients, but those to the
/// address that is returned.
fn accept_no_more(fd: RawFd) -> io::Result<SocketAddr> {
    let nobody = TcpListener::bind("127.0.0.1:0")?;
    // SAFETY: both are open, and tiny_http has a socket at the second one as before.
    match unsafe { dup2(nobody.as_raw_fd(), fd) } {
        -1 => Err(io::Error::last_os_error()),
        _ => nobody.local_addr(),
    }
}

const WAKE: &str = "/wake";

fn ask(address: SocketAddr, url: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {url} HTTP/1.0\r\n\r\n")?;
    Ok(stream)
}

fn answer_last(request: Request) {
    let mut writer = request.into_writer();
    let answer = Response::from_string(body());
    let _ = answer.raw_print(&mut writer, HTTPVersion(1, 0), &[], false, None);
    let _ = writer.flush();
}

fn work(task: Task, listener: TcpListener) -> Result<(), Failure> {
    let address = listener.local_addr()?;
    let fd = listener.as_raw_fd();
    listener.set_nonblocking(false)?; // or its thread ends where a sibling was faster
    let server = Server::from_listener(listener, None).map_err(|error| error.to_string())?;
    let server = Arc::new(server);
    let stopped = server.clone();
    let stop = task.stop_fd()?;
    thread::spawn(move || {
        let _ = task.wait(&stop, None);
        stopped.unblock();
    });
    task.ready()?;
    while let Ok(request) = server.recv() {
        let _ = request.respond(Response::from_string(body()));
    }
    let mut asked = vec![ask(accept_no_more(fd)?, WAKE)?];
    let began = Instant::now();
    let mut is_awake = false;
    while !is_awake || began.elapsed() < grace() {
        if !is_awake {
            // Of the processes that accept, the one that waits longest gets it.
            asked.push(ask(address, "/")?);
        }
        while let Some(request) = server.recv_timeout(TICK)? {
            is_awake |= request.url() == WAKE;
            answer_last(request);
        }
    }
    mem::forget(server); // whose end would connect to the shared socket
    Ok(())
}

fn main() -> Result<(), Failure> {
    supervise(work)
}
