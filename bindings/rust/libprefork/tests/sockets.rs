// The sockets that workers share, as the library binds them.
//
// SPDX-License-Identifier: MIT
#[macro_use]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process;

use libprefork::net::{accept, bind_unix, listen_fds, Bind, Family};
use libprefork::{Error, Pool, Signals, Wake};
use support::{argument, kill, word_after, Program, PATIENCE, SIGHUP, SIGTERM};

const EINVAL: i32 = 22;
const EEXIST: i32 = 17;
const EADDRINUSE: i32 = 98;

fn path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("prefork-rust-{}-{name}", process::id()))
}

// ---- Programs ----

/// One program for both ways: where a worker is made by exec, bind finds what was bound before.
fn bind_and_serve() {
    let mut builder = Pool::builder()
        .name("bound")
        .workers(2)
        .ready_timeout(PATIENCE)
        .stop_by_descriptor(PATIENCE)
        .signals(Signals::Standard)
        .on_event(|event, _| println!("event {}", event.message));
    if argument(0) == "exec" {
        builder = builder.exec_self();
    }
    let listeners = Bind::to("127.0.0.1", 0).backlog(64).listen().unwrap();
    println!("port {}", listeners[0].local_addr().unwrap().port());
    let result = builder.build().unwrap().run(|task| {
        task.ready().unwrap();
        while task.wait(&listeners[0], None) == Ok(Wake::Readable) {
            if let Some(connection) = accept(&listeners[0]).unwrap() {
                let mut stream = TcpStream::from(connection);
                writeln!(stream, "task {} pid {}", task.id(), process::id()).unwrap();
            }
        }
    });
    assert_eq!(result, Ok(()));
    println!("done");
}

fn tell_passed() {
    let passed = listen_fds().unwrap();
    for fd in &passed {
        let listener = TcpListener::from(fd.try_clone_to_owned().unwrap());
        println!("port {}", listener.local_addr().unwrap().port());
    }
    println!("passed {}", passed.len());
}

// ---- Tests ----

fn one_port_for_all_addresses() {
    let listeners = Bind::to("", 0).listen().unwrap();
    let port = listeners[0].local_addr().unwrap().port();
    assert!(listeners
        .iter()
        .all(|one| one.local_addr().unwrap().port() == port));
    assert!(listeners[0].local_addr().unwrap().is_ipv4());
    let error = Bind::to("127.0.0.1", port).listen().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(EADDRINUSE));
    let named = format!("listen(\"127.0.0.1\", {port}): ");
    assert!(error.to_string().starts_with(&named), "{error}");

    let only = Bind::to("", 0).family(Family::V4).listen().unwrap();
    assert!(only.len() == 1 && only[0].local_addr().unwrap().is_ipv4());
    let first = Bind::to("127.0.0.1", 0).reuse_port().listen().unwrap();
    let port = first[0].local_addr().unwrap().port();
    assert!(Bind::to("127.0.0.1", port).reuse_port().listen().is_ok());
}

fn wrong_addresses_are_errors() {
    let version4 = Bind::to("127.0.0.1", 0).family(Family::V6);
    let unknown = version4.listen().unwrap_err();
    assert_eq!(unknown.code(), -4099);
    assert_eq!(
        unknown,
        Error::Resolve {
            host: "127.0.0.1".to_owned()
        }
    );
    assert!(unknown.to_string().contains("127.0.0.1"), "{unknown}");
    let error = Bind::to("127.0.0.1", 0).backlog(u32::MAX).listen();
    assert_eq!(
        error.unwrap_err().to_string(),
        "listen(\"127.0.0.1\", 0): Invalid argument"
    );
    assert_eq!(
        Bind::to("with\0nul", 0)
            .listen()
            .unwrap_err()
            .raw_os_error(),
        Some(EINVAL)
    );
    let (not_listening, _other) = UnixStream::pair().unwrap();
    assert_eq!(accept(&not_listening).unwrap_err(), Error::Os(EINVAL));
}

fn connections_are_accepted_once() {
    let listeners = Bind::to("127.0.0.1", 0).listen().unwrap();
    assert!(accept(&listeners[0]).unwrap().is_none());
    let mut client = TcpStream::connect(listeners[0].local_addr().unwrap()).unwrap();
    let mut server = TcpStream::from(accept(&listeners[0]).unwrap().unwrap());
    assert!(accept(&listeners[0]).unwrap().is_none());
    server.write_all(b"hello").unwrap();
    drop(server);
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

fn stale_unix_sockets_are_replaced() {
    let path = path("socket");
    let listener = bind_unix(&path, 0o600, 0).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        bind_unix(&path, 0o600, 0).unwrap_err(),
        Error::At {
            what: format!("bind_unix({path:?})"),
            errno: EADDRINUSE
        }
    );
    drop(listener);
    let listener = bind_unix(&path, 0o660, 0).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    assert!(accept(&listener).unwrap().is_some());
    fs::remove_file(&path).unwrap();

    fs::write(&path, "a file").unwrap();
    let error = bind_unix(&path, 0o600, 0).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(EEXIST));
    assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
    fs::remove_file(&path).unwrap();
}

fn ask(port: u16) -> (u32, u32) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (word_after(&answer, "task"), word_after(&answer, "pid"))
}

fn workers_share_what_was_bound() {
    for way in ["fork", "exec"] {
        let mut program = Program::start("bind_and_serve", &[way]);
        let port = program.words(&["port"])[0] as u16;
        for _ in 0..2 {
            program.line("that one is ready", |line| line.ends_with("is ready"));
        }
        let old = ask(port);
        kill(program.pid(), SIGHUP);
        program.line("that all are new", |line| {
            line.ends_with("Reloaded 2 processes")
        });
        let new = ask(port);
        assert!(old.0 < 2 && new.0 < 2 && old.1 != new.1);
        kill(program.pid(), SIGTERM);
        program.ends_well("done");
        // Workers made by exec say it too, and all have the same.
        let same = format!("port {port}");
        let ports = program.seen.iter().filter(|line| line.starts_with("port"));
        assert!(
            ports.clone().all(|line| *line == same),
            "{:?}",
            program.seen
        );
        assert_eq!(ports.count(), if way == "exec" { 5 } else { 1 });
    }
}

/// As systemd would start it.
fn passed_sockets_are_taken() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" program:tell_passed 3<&0";
    let mut command = process::Command::new("/bin/sh");
    let program = std::env::current_exe().unwrap();
    command
        .args(["-c", script])
        .arg(program)
        .stdin(std::os::unix::io::OwnedFd::from(listener));
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text,
        format!("port {port}\npassed 1\n"),
        "{:?}",
        output.stderr
    );

    let mut program = Program::start("tell_passed", &[]);
    program.ends_well("passed 0");
}

fn main() {
    support::main(
        all![
            one_port_for_all_addresses,
            wrong_addresses_are_errors,
            connections_are_accepted_once,
            stale_unix_sockets_are_replaced,
            workers_share_what_was_bound,
            passed_sockets_are_taken,
        ],
        all![bind_and_serve, tell_passed],
    );
}
