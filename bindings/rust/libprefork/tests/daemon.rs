// Programs that go on as daemons, and services.
//
// SPDX-License-Identifier: MIT
#[macro_use]
mod support;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::thread;

use libprefork::{daemon_ready, daemonize, Error, Pool, Signals};
use support::{argument, is_gone, kill, park, wait_until, Program, PATIENCE, SIGTERM};

const EEXIST: i32 = 17;

fn pid_file() -> PathBuf {
    std::env::temp_dir().join(format!("prefork-rust-daemon-{}.pid", process::id()))
}

// ---- Programs ----

fn be_daemon() {
    print!("once "); // a line that is not complete yet
    if let Err(error) = daemonize(Some(Path::new(&argument(0)))) {
        println!("refused {error:?}");
        process::exit(2);
    }
    println!("in the daemon");
    let builder = Pool::builder()
        .workers(2)
        .ready_timeout(PATIENCE)
        .signals(Signals::Standard);
    let result = builder.build().unwrap().run(|task| -> () {
        task.ready().unwrap();
        park()
    });
    assert_eq!(result, Ok(()));
}

fn fail_as_daemon() {
    daemonize(None).unwrap();
    let result = Pool::builder()
        .workers(1)
        .max_restarts(0)
        .ready_timeout(PATIENCE)
        .build();
    assert_eq!(
        result.unwrap().run(|_| ExitCode::FAILURE),
        Err(Error::GaveUp)
    );
    println!("gave up");
}

fn be_ready_alone() {
    daemonize(Some(Path::new(&argument(0)))).unwrap();
    daemon_ready().unwrap();
    park();
}

fn daemonize_beside_thread() {
    let (keep, kept) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || kept.recv().unwrap_err());
    assert_eq!(daemonize(None), Err(Error::Threads));
    drop(keep);
    other.join().unwrap();
    assert_eq!(daemon_ready(), Ok(()), "without effect");
    println!("all as expected");
}

fn be_service() {
    let builder = Pool::builder()
        .workers(2)
        .manager_notify(true)
        .signals(Signals::Standard);
    let result = builder.build().unwrap().run(|_| -> () {
        assert_eq!(std::env::var_os("NOTIFY_SOCKET"), None);
        println!("serving");
        park()
    });
    assert_eq!(result, Ok(()));
}

// ---- Tests ----

/// The daemon that holds the file.
fn daemon_of(file: &Path) -> u32 {
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

fn end(file: &Path, daemon: u32) {
    kill(daemon, SIGTERM);
    wait_until("the daemon is gone", || is_gone(daemon));
    let _ = fs::remove_file(file);
}

fn the_launcher_waits_for_the_workers() {
    let file = pid_file();
    let name = file.to_str().unwrap();
    let mut program = Program::start("be_daemon", &[name]);
    assert!(program.end().success(), "{:?}", program.seen);
    assert_eq!(program.seen, ["once in the daemon"]);
    let daemon = daemon_of(&file);
    assert!(!is_gone(daemon) && daemon != program.pid());
    assert_eq!(support::children_of(daemon).len(), 2);

    let mut second = Program::start("be_daemon", &[name]);
    assert_eq!(second.end().code(), Some(2));
    assert_eq!(
        second.seen,
        [format!(
            "once refused {:?}",
            Error::At {
                what: format!("daemonize({name:?})"),
                errno: EEXIST
            }
        )]
    );

    kill(daemon, SIGTERM);
    wait_until("the daemon is gone", || is_gone(daemon));
    assert!(!file.exists());
}

fn the_launcher_tells_of_a_failure() {
    let mut program = Program::start("fail_as_daemon", &[]);
    assert_eq!(program.end().code(), Some(1));
    assert_eq!(
        program.count(|line| line == "gave up"),
        1,
        "{:?}",
        program.seen
    );
}

fn a_daemon_without_workers_says_when_it_is_ready() {
    let file = pid_file();
    let mut program = Program::start("be_ready_alone", &[file.to_str().unwrap()]);
    assert!(program.end().success(), "{:?}", program.seen);
    end(&file, daemon_of(&file));
}

fn a_service_tells_its_manager() {
    let path = std::env::temp_dir().join(format!("prefork-rust-notify-{}", process::id()));
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = |wanted: &str| {
        let mut buffer = [0; 256];
        wait_until(wanted, || {
            let length = manager.recv(&mut buffer).unwrap();
            &buffer[..length] == wanted.as_bytes()
        });
    };
    let mut command = Program::command("be_service", &[]);
    let mut program = Program::spawn(command.env("NOTIFY_SOCKET", &path));
    hear("READY=1");
    for _ in 0..2 {
        program.line("a worker serves", |line| line == "serving");
    }
    kill(program.pid(), SIGTERM);
    hear("STOPPING=1");
    assert!(program.end().success(), "{:?}", program.seen);
    fs::remove_file(&path).unwrap();
}

fn threads_are_refused() {
    Program::start("daemonize_beside_thread", &[]).ends_well("all as expected");
}

fn main() {
    support::main(
        all![
            the_launcher_waits_for_the_workers,
            the_launcher_tells_of_a_failure,
            a_daemon_without_workers_says_when_it_is_ready,
            a_service_tells_its_manager,
            threads_are_refused,
        ],
        all![
            be_daemon,
            fail_as_daemon,
            be_ready_alone,
            be_service,
            daemonize_beside_thread
        ],
    );
}
