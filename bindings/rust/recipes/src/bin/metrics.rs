//! The numbers of a pool for Prometheus, by the crate prometheus.
//!
//! A thread of the supervisor answers GET /metrics on the port that METRICS_PORT names (0 or none:
//! any). So the workers are by exec: beside a thread nothing is forked.
//!
//! SPDX-License-Identifier: MIT
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use libprefork::{Control, Counter, Pool, Signals, Task, Wake};
use prometheus::{IntGauge, Registry, TextEncoder};
use recipes::{body, listen, workers, Failure};

const TIMEOUT: Duration = Duration::from_secs(10);

const NUMBERS: [(Counter, &str, &str); 6] = [
    (Counter::Started, "started", "Workers that were started"),
    (
        Counter::Abnormal,
        "abnormal",
        "Workers that ended although nobody asked",
    ),
    (
        Counter::Restarted,
        "restarted",
        "Workers that were restarted",
    ),
    (Counter::Reloads, "reloads", "Reloads that have begun"),
    (Counter::Ready, "ready", "Workers that are ready now"),
    (Counter::Alive, "alive", "Processes now"),
];

/// What a thread reads, for the pool belongs to another one.
struct Metrics(Vec<(Counter, IntGauge)>);

impl Metrics {
    fn new(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let gauge = |(which, name, help): (Counter, &str, &str)| {
            let gauge = IntGauge::new(format!("prefork_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok((which, gauge))
        };
        NUMBERS
            .into_iter()
            .map(gauge)
            .collect::<Result<_, _>>()
            .map(Metrics)
    }

    fn update(&self, pool: &Control) {
        for (which, gauge) in &self.0 {
            gauge.set(pool.counter(*which) as i64);
        }
    }
}

fn answer(mut stream: TcpStream, kind: &str, body: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let _ = stream.read(&mut [0; 4096])?;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn work(task: Task, listener: TcpListener) -> Result<(), Failure> {
    listener.set_nonblocking(true)?;
    task.ready()?;
    while task.wait(&listener, None)? != Wake::Stop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false)?;
            let _ = answer(stream, "text/plain", &body());
        }
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let listener = listen()?;
    if let Some(task) = Task::current() {
        return work(task, listener);
    }
    let registry = Registry::new();
    let metrics = Metrics::new(&registry)?;
    let port = env::var("METRICS_PORT").map_or(Ok(0), |port| port.parse::<u16>())?;
    let asked = TcpListener::bind(("127.0.0.1", port))?;
    println!("metrics on port {}", asked.local_addr()?.port());
    thread::spawn(move || {
        for stream in asked.incoming().flatten() {
            let text = TextEncoder::new().encode_to_string(&registry.gather());
            let _ = answer(
                stream,
                "text/plain; version=0.0.4",
                &text.unwrap_or_default(),
            );
        }
    });
    let pool = Pool::builder()
        .name("metrics")
        .workers(workers()?)
        .exec_self();
    let pool = pool.ready_timeout(TIMEOUT).stop_by_descriptor(TIMEOUT);
    let pool = pool.on_event(move |event, pool| {
        metrics.update(pool);
        println!("{}", event.message);
    });
    pool.signals(Signals::Standard).build()?.run(|_| ())?;
    Ok(())
}
