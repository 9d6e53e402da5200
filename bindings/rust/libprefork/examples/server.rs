// server.rs - a pre-forked HTTP server with nothing but the standard library
//
//   server [--exec] [PORT [WORKERS]]
//
//   GET /             says hello, with the pid and the task id of the worker that answers
//   GET /?sleep=MS    the same after some milliseconds
//   GET /?exit=N      the same, and then the worker exits with status N
//   GET /?abort       the same, and then the worker crashes
//
// Its workers share one socket. SIGTERM and Ctrl-C end them once they have answered, SIGHUP
// replaces them one after the other: with --exec, by what the file of this program holds then.
//
// SPDX-License-Identifier: MIT
use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use libprefork::{Pool, ProcessGroups, Signals, Task, Wake};

const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
const HEAD_BYTES_MAX: usize = 8192;

/// What the worker does after an answer.
enum Then {
    Stay,
    Exit(u8),
    Abort,
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut part)?;
        head.extend_from_slice(&part[..count]);
        if count == 0 || head.len() > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The status of the answer, and what follows it.
fn judge(head: &str) -> (&'static str, Then) {
    const OK: &str = "200 OK";
    const BAD_REQUEST: &str = "400 Bad Request";
    let mut words = head.lines().next().unwrap_or("").split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (path, query) = match target.unwrap_or("").split_once('?') {
        Some((path, query)) => (path, query),
        None => (target.unwrap_or(""), ""),
    };
    let (name, value) = query.split_once('=').unwrap_or((query, ""));
    match (name, value.parse()) {
        _ if !version.unwrap_or("").starts_with("HTTP/1.") => (BAD_REQUEST, Then::Stay),
        _ if method != Some("GET") => ("405 Method Not Allowed", Then::Stay),
        _ if path != "/" => ("404 Not Found", Then::Stay),
        ("", _) => (OK, Then::Stay),
        ("abort", _) => (OK, Then::Abort),
        ("exit", Ok(status)) => match u8::try_from(status) {
            Ok(status) => (OK, Then::Exit(status)),
            Err(_) => (BAD_REQUEST, Then::Stay),
        },
        ("sleep", Ok(time @ 0..=10_000)) => {
            thread::sleep(Duration::from_millis(time));
            (OK, Then::Stay)
        }
        _ => (BAD_REQUEST, Then::Stay),
    }
}

fn answer(task: Task, stream: &mut TcpStream) -> io::Result<Then> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let (status, then) = judge(&read_head(stream)?);
    let what = if status == "200 OK" {
        "Hello, world"
    } else {
        status
    };
    let body = format!("{what} from pid {}, task {}\n", process::id(), task.id());
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.shutdown(std::net::Shutdown::Write)?;
    Ok(then)
}

/// Accepts what waits; a sibling may have taken it.
fn serve_waiting(task: Task, listener: &TcpListener) -> io::Result<Then> {
    match listener.accept() {
        Ok((mut stream, _)) => Ok(answer(task, &mut stream).unwrap_or(Then::Stay)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
        Err(_) => {
            thread::sleep(Duration::from_millis(10)); // short of descriptors, say
            Ok(Then::Stay)
        }
    }
}

fn serve(task: Task) -> Result<ExitCode, Box<dyn Error>> {
    let listener = TcpListener::from(task.fd("http")?.try_clone_to_owned()?);
    task.ready()?;
    let mut stopping = false;
    loop {
        stopping = stopping || task.wait(&listener, None)? == Wake::Stop;
        match serve_waiting(task, &listener) {
            Ok(Then::Stay) => {}
            Ok(Then::Exit(status)) => return Ok(ExitCode::from(status)),
            Ok(Then::Abort) => process::abort(),
            Err(_) if stopping => return Ok(ExitCode::SUCCESS), // all that had come is answered
            Err(_) => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let exec = arguments.first().map(String::as_str) == Some("--exec");
    arguments.drain(..usize::from(exec));
    let port = arguments
        .first()
        .map_or(Ok(8090), |port| port.parse::<u16>())?;
    let workers = arguments
        .get(1)
        .map_or(Ok(0), |count| count.parse::<u32>())?;

    let mut builder = Pool::builder()
        .name("server")
        .workers(workers)
        .ready_timeout(STOP_TIMEOUT)
        .stop_by_descriptor(STOP_TIMEOUT)
        .process_groups(ProcessGroups::Signals) // Ctrl-C is the supervisor's alone
        .signals(Signals::Standard)
        .on_event(|event, _| println!("[supervisor {}] {}", process::id(), event.message));
    if Task::current().is_none() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        println!("listening on {}", listener.local_addr()?);
        builder = builder.fd("http", &listener);
        if exec {
            builder = builder.exec_self();
        }
    }
    builder.build()?.run(serve)?;
    Ok(())
}
