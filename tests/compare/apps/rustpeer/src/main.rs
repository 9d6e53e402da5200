// SPDX-License-Identifier: MIT
//! A server by the crate `prefork`, as its documentation has it. It answers with the pid of the worker.

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{exit, id, Child, Command};
use std::time::Duration;
use std::{env, fs, thread};

fn number(name: &str) -> u64 {
    env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn answer(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        let mut keeps = true;
        loop {
            match lines.next() {
                None => return Ok(()),
                Some(line) => match line?.to_ascii_lowercase().as_str() {
                    "" => break,
                    "connection: close" => keeps = false,
                    _ => {}
                },
            }
        }
        let body = format!("hello from pid {}\n", id());
        let connection = if keeps { "" } else { "Connection: close\r\n" };
        let length = body.len();
        write!(
            writer,
            "HTTP/1.1 200 OK\r\n{connection}Content-Length: {length}\r\n\r\n{body}"
        )?;
        if !keeps {
            return Ok(());
        }
    }
}

fn work(_task: u32, listener: TcpListener) {
    if env::var_os("FAIL").is_some_and(|text| !text.is_empty()) {
        exit(1);
    }
    thread::sleep(Duration::from_millis(number("START_MS")));
    for stream in listener.incoming().flatten() {
        thread::spawn(|| answer(stream));
    }
}

fn await_foreign(mut child: Child, path: String) -> Result<()> {
    thread::sleep(Duration::from_secs(1));
    let text = match child.wait() {
        Ok(status) => status
            .code()
            .map_or("a signal".to_string(), |code| code.to_string()),
        Err(error) => error.to_string(),
    };
    fs::write(path, text + "\n")
}

fn main() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let address = format!("127.0.0.1:{}", number("PORT"));
    let listener = TcpListener::bind(address).expect("bind to port");
    if let Some(path) = env::var("FOREIGN").ok().filter(|path| !path.is_empty()) {
        let child = Command::new("sh")
            .args(["-c", "sleep 0.1; exit 7"])
            .spawn()
            .expect("a child");
        thread::spawn(|| await_foreign(child, path));
    }
    prefork::Prefork::from_resource(listener)
        .with_num_processes(u32::try_from(number("WORKERS")).expect("a small number"))
        .with_init(work)
        .fork()
        .expect("fork");
}
