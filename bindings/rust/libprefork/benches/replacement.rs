// How long it takes from a worker's SIGKILL until its replacement serves: a pool whose workers are
// made by exec, beside the loop that people write by hand, which starts the same program again as
// soon as wait() returns. One worker each, one shared socket each, the same worker code.
//
//   cargo bench --bench replacement [-- PAIRS]
//
// Paired and interleaved: each round measures one of both. Prints medians and their ratio.
//
// SPDX-License-Identifier: MIT
use std::env;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::io::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{self, Child, Command, Stdio};
use std::time::{Duration, Instant};

use libprefork::{Pool, Task, UNLIMITED};

extern "C" {
    fn kill(pid: i32, signal: i32) -> i32;
    fn fcntl(fd: RawFd, command: i32, argument: i32) -> i32;
    fn prctl(option: i32, argument: u64, a: u64, b: u64, c: u64) -> i32;
}

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
const FD_VARIABLE: &str = "BENCH_FD";

/// What a worker of both does: tells each client its pid.
fn serve(listener: TcpListener) -> ! {
    loop {
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(&process::id().to_ne_bytes());
        }
    }
}

fn listen() -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    listener
}

fn supervise_by_pool() {
    let mut builder = Pool::builder()
        .workers(1)
        .max_restarts(UNLIMITED)
        .on_event(|_, _| ());
    if Task::current().is_none() {
        builder = builder.fd("http", &listen()).exec_self();
    }
    let result = builder.build().unwrap().run(|task| -> () {
        serve(
            task.fd("http")
                .unwrap()
                .try_clone_to_owned()
                .map(TcpListener::from)
                .unwrap(),
        )
    });
    unreachable!("{result:?}");
}

fn supervise_by_hand() {
    const F_SETFD: i32 = 2;
    const PR_SET_PDEATHSIG: i32 = 1;
    if let Ok(fd) = env::var(FD_VARIABLE) {
        // SAFETY: the supervisor left it open for this.
        serve(unsafe { TcpListener::from_raw_fd(fd.parse().unwrap()) });
    }
    let listener = listen();
    let fd = listener.as_raw_fd();
    loop {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(env::args().skip(1))
            .env(FD_VARIABLE, fd.to_string());
        // SAFETY: both calls may be made after a fork.
        unsafe {
            command.pre_exec(move || {
                fcntl(fd, F_SETFD, 0);
                prctl(PR_SET_PDEATHSIG, SIGTERM as u64, 0, 0, 0);
                Ok(())
            });
        }
        let _ = command.spawn().unwrap().wait();
    }
}

struct Server {
    supervisor: Child,
    port: u16,
}

impl Server {
    fn start(way: &str) -> Server {
        let mut command = Command::new(env::current_exe().unwrap());
        let mut supervisor = command.arg(way).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        let stdout = supervisor.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut port).unwrap();
        Server {
            supervisor,
            port: port.trim().parse().unwrap(),
        }
    }

    /// The pid of who answers. A client that came too early is not answered and comes again.
    fn ask(&self) -> i32 {
        loop {
            let mut pid = [0; 4];
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
            if stream
                .and_then(|mut stream| stream.read_exact(&mut pid))
                .is_ok()
            {
                return i32::from_ne_bytes(pid);
            }
        }
    }

    fn replace(&self) -> Duration {
        let old = self.ask();
        let begin = Instant::now();
        // SAFETY: no memory is touched.
        assert_eq!(unsafe { kill(old, SIGKILL) }, 0);
        while self.ask() == old {}
        begin.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() {
    match env::args().nth(1).unwrap_or_default().as_str() {
        "by-pool" => return supervise_by_pool(),
        "by-hand" => return supervise_by_hand(),
        _ => {}
    }
    let pairs = env::args()
        .filter_map(|word| word.parse().ok())
        .next()
        .unwrap_or(99_usize);
    let (pool, hand) = (Server::start("by-pool"), Server::start("by-hand"));
    let (mut by_pool, mut by_hand, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        let (first, second) = match pair % 2 {
            0 => (pool.replace(), hand.replace()),
            _ => {
                let second = hand.replace();
                (pool.replace(), second)
            }
        };
        by_pool.push(first);
        by_hand.push(second);
        ratios.push(first.as_secs_f64() / second.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!("from a kill to the replacement serving, medians of {pairs} interleaved pairs:");
    println!("  pool, workers by exec   {:?}", median(by_pool));
    println!("  hand-written loop       {:?}", median(by_hand));
    println!("  median ratio of a pair  {:.3}", ratios[ratios.len() / 2]);
}
