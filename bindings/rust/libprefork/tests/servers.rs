// The example servers: used, crashed, reloaded under load, and stopped.
//
// SPDX-License-Identifier: MIT
#[macro_use]
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;

use support::{is_gone, kill, kill_group, wait_until, Program, PATIENCE};
use support::{SIGHUP, SIGINT, SIGKILL, SIGTERM};

/// Cargo builds the examples before it runs the tests.
fn example(name: &str, arguments: &[&str]) -> (Program, u16) {
    let deps = std::env::current_exe().unwrap();
    let path: PathBuf = deps
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples")
        .join(name);
    let mut program = Program::spawn(Command::new(path).args(arguments).args(["0", "2"]));
    let line = program.line("with the address", |line| line.starts_with("listening on "));
    let port = line.rsplit(':').next().unwrap().parse().unwrap();
    for _ in 0..2 {
        program.line("that one is ready", |line| line.ends_with("is ready"));
    }
    (program, port)
}

fn ask(port: u16, target: &str) -> Result<TcpStream, std::io::Error> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    Ok(stream)
}

fn read_answer(mut stream: TcpStream) -> Result<String, std::io::Error> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn get(port: u16, target: &str) -> Result<String, std::io::Error> {
    read_answer(ask(port, target)?)
}

/// The process that says hello.
fn who(port: u16, target: &str) -> u32 {
    let answer = get(port, target).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let (_, rest) = answer
        .split_once("Hello, world from pid ")
        .expect("a greeting");
    rest.split(',').next().unwrap().parse().unwrap()
}

fn use_and_stop(name: &str, arguments: &[&str], stop: i32) {
    let (mut program, port) = example(name, arguments);

    let killed = who(port, "/");
    kill(killed, SIGKILL);
    program.line("that it was killed", |line| {
        line.ends_with("killed by signal 9, restarting")
    });
    program.line("that another is ready", |line| line.ends_with("is ready"));
    assert_ne!(who(port, "/"), killed);

    let (end, ended) = channel::<()>();
    let (begin, begun) = channel();
    let load = thread::spawn(move || {
        let mut bad = Vec::new();
        while ended.try_recv().is_err() {
            match get(port, "/") {
                Ok(answer) if answer.starts_with("HTTP/1.1 200 OK") => {}
                other => bad.push(other),
            }
            let _ = begin.send(());
        }
        bad
    });
    begun.recv().unwrap();
    kill(program.pid(), SIGHUP);
    program.line("that all are new", |line| {
        line.ends_with("Reloaded 2 processes")
    });
    end.send(()).unwrap();
    let bad = load.join().unwrap();
    assert!(bad.is_empty(), "{bad:?}");

    let last = who(port, "/");
    match stop {
        SIGINT => kill_group(program.pid(), stop),
        _ => kill(program.pid(), stop),
    }
    let status = program.end();
    assert!(status.success(), "{status}: {:#?}", program.seen);
    wait_until("no worker is left", || is_gone(last));
}

fn server_with_forked_workers() {
    use_and_stop("server", &[], SIGTERM);
}

fn server_with_executed_workers() {
    use_and_stop("server", &["--exec"], SIGINT);
}

fn tokio_supervises_tokio_workers() {
    use_and_stop("tokio", &[], SIGINT);
}

/// Slow answers are finished, and a request that came before the stop is answered.
fn stop_finishes_what_was_begun() {
    for arguments in [&[][..], &["--exec"]] {
        let (mut program, port) = example("server", arguments);
        let asked: Vec<_> = ["/?sleep=500", "/?sleep=500", "/"]
            .iter()
            .map(|target| ask(port, target).unwrap())
            .collect();
        kill(program.pid(), SIGTERM);
        assert!(program.end().success(), "{:?}", program.seen);
        for stream in asked {
            let answer = read_answer(stream).unwrap();
            assert!(answer.contains("Hello, world"), "{answer}");
        }
    }
}

fn requests_that_are_wrong_or_fatal() {
    let (mut program, port) = example("server", &[]);
    let status = |target: &str| {
        get(port, target)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(status("/nothing"), "HTTP/1.1 404 Not Found");
    assert_eq!(status("/?exit=256"), "HTTP/1.1 400 Bad Request");
    assert_eq!(status("/?sleep=-1"), "HTTP/1.1 400 Bad Request");
    let ended = who(port, "/?exit=3");
    let line = program.line("about it", |line| {
        line.contains("exited with status 3, restarting")
    });
    assert!(line.contains(&format!("(pid {ended})")), "{line}");
    let ended = who(port, "/?abort");
    let line = program.line("about it", |line| {
        line.contains("killed by signal 6, restarting")
    });
    assert!(line.contains(&format!("(pid {ended})")), "{line}");
    kill(program.pid(), SIGTERM);
    assert!(program.end().success());
}

fn main() {
    support::main(
        all![
            server_with_forked_workers,
            server_with_executed_workers,
            tokio_supervises_tokio_workers,
            stop_finishes_what_was_begun,
            requests_that_are_wrong_or_fatal,
        ],
        &[],
    );
}
