// A supervisor that is replaced by a new program while its workers serve.
//
// SPDX-License-Identifier: MIT
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use libprefork::net::{accept, Bind};
use libprefork::{upgrade, Pool, Task, Wake};

use crate::support::{argument, children_of, kill, Program, PATIENCE, SIGTERM, SIGUSR1};

static REQUESTED: AtomicBool = AtomicBool::new(false);

extern "C" {
    fn signal(number: i32, handler: usize) -> usize;
}

extern "C" fn request(_signal: i32) {
    REQUESTED.store(true, Ordering::Relaxed);
}

// ---- Programs ----

/// One supervisor with two workers by exec, which SIGUSR1 upgrades.
pub fn serve() {
    let listeners = Bind::to("127.0.0.1", 0).listen().unwrap();
    let builder = Pool::builder().name("web").workers(2).exec_self();
    let builder = builder.ready_timeout(PATIENCE).stop_by_descriptor(PATIENCE);
    let pool = builder
        .signals(libprefork::Signals::StopOnly)
        .build()
        .unwrap();
    if let Some(task) = Task::current() {
        task.ready().unwrap();
        while task.wait(&listeners[0], None).unwrap() == Wake::Readable {
            if let Some(client) = accept(&listeners[0]).unwrap() {
                let mut client = TcpStream::from(client);
                client.set_nonblocking(false).unwrap();
                client.write_all(b"hello").unwrap();
            }
        }
        return;
    }
    println!("port {}", listeners[0].local_addr().unwrap().port());
    // SAFETY: the handler does nothing but write to an atomic variable.
    unsafe { signal(SIGUSR1, request as extern "C" fn(i32) as usize) };
    let mut pool = pool.start_exec().unwrap();
    while pool.dispatch(Some(Duration::from_millis(10))).unwrap() {
        for event in pool.events() {
            println!("{:?} {}", event.kind, event.worker_count);
        }
        if REQUESTED.swap(false, Ordering::Relaxed) {
            let other = argument(0);
            let command = Command::new(&other);
            let error = upgrade(if other.is_empty() {
                None
            } else {
                Some(&command)
            });
            if error.raw_os_error() == Some(11) {
                REQUESTED.store(true, Ordering::Relaxed); // after the events
            } else {
                println!("no upgrade: {error}");
            }
        }
    }
}

// ---- Tests ----

fn ask(port: u16) -> bool {
    let mut answer = String::new();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .and_then(|mut stream| stream.read_to_string(&mut answer))
        .is_ok()
        && answer == "hello"
}

/// Starts the program, and returns its port.
fn started(arguments: &[&str]) -> (Program, u16) {
    let mut program = Program::start("serve", arguments);
    let line = program.line("with the port", |line| line.starts_with("port "));
    for _ in 0..2 {
        program.line("that one is ready", |line| line.starts_with("Ready"));
    }
    (program, line["port ".len()..].parse().unwrap())
}

pub fn five_upgrades_lose_no_request() {
    let (mut program, port) = started(&[]);
    let workers = children_of(program.pid());
    let (good, lost) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (good, lost, done) = (good.clone(), lost.clone(), done.clone());
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let count = if ask(port) { &good } else { &lost };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        let before = good.load(Ordering::Relaxed);
        crate::support::wait_until("requests are answered", || {
            good.load(Ordering::Relaxed) > before + 50
        });
        kill(program.pid(), SIGUSR1);
        program.line("of the new program", |line| line == format!("port {port}"));
        program.line("that they are adopted", |line| line == "Adopted 2");
        assert_eq!(children_of(program.pid()), workers);
    }
    done.store(true, Ordering::Relaxed);
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    println!("{good:?} requests answered, {lost:?} lost");
    assert_eq!(lost.load(Ordering::Relaxed), 0);
    kill(program.pid(), SIGTERM);
    program.end();
}

pub fn an_upgrade_that_fails_changes_nothing() {
    let (mut program, port) = started(&["/there/is/none"]);
    kill(program.pid(), SIGUSR1);
    let line = program.line("of the failure", |line| line.starts_with("no upgrade"));
    assert_eq!(
        line,
        "no upgrade: upgrade(\"/there/is/none\"): No such file or directory"
    );
    assert!(ask(port));
    kill(program.pid(), SIGTERM);
    program.end();
}
