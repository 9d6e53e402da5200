// What the tests share: a harness without threads, and programs that the tests start. A test's
// programs are functions of the same file: the test program starts itself with "program:NAME".
//
// SPDX-License-Identifier: MIT
#![allow(dead_code)] // not every test uses everything

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::panic;
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

pub const SIGHUP: i32 = 1;
pub const SIGINT: i32 = 2;
pub const SIGKILL: i32 = 9;
pub const SIGUSR1: i32 = 10;
pub const SIGTERM: i32 = 15;
pub const SIGCHLD: i32 = 17;
pub const SIGCONT: i32 = 18;
pub const SIGSTOP: i32 = 19;
pub const SIGWINCH: i32 = 28;

/// Long enough for a machine that is ten times slower and busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub type Named = (&'static str, fn());

extern "C" {
    #[link_name = "kill"]
    fn c_kill(pid: i32, signal: i32) -> i32;
    fn setpgid(pid: i32, group: i32) -> i32;
}

/// The names of functions, and the functions.
macro_rules! named {
    ($($path:ident)::+) => { (support::last(stringify!($($path)::+)), $($path)::+ as fn()) };
}

macro_rules! all {
    ($($($path:ident)::+),* $(,)?) => { &[$(named!($($path)::+)),*] };
}

pub fn last(path: &'static str) -> &'static str {
    path.rsplit(':').next().unwrap().trim()
}

/// Runs the tests one after the other, or one of the programs.
pub fn main(tests: &[Named], programs: &[Named]) {
    let first = env::args().nth(1).unwrap_or_default();
    if let Some(name) = first.strip_prefix("program:") {
        let program = programs
            .iter()
            .find(|program| program.0 == name)
            .expect("a known program");
        return program.1();
    }
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let is_wanted =
        |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let wanted: Vec<&Named> = tests.iter().filter(|test| is_wanted(test.0)).collect();
    if env::args().any(|word| word == "--list") {
        wanted.iter().for_each(|test| println!("{}: test", test.0));
        return;
    }
    println!("\nrunning {} tests", wanted.len());
    let mut failed = Vec::new();
    for (name, test) in &wanted {
        let before = descriptors();
        let good = panic::catch_unwind(test).is_ok() & leaves_nothing(before);
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        if !good {
            failed.push(name);
        }
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        wanted.len() - failed.len(),
        failed.len(),
        tests.len() - wanted.len()
    );
    process::exit(if failed.is_empty() { 0 } else { 101 });
}

fn leaves_nothing(descriptors_before: usize) -> bool {
    let deadline = Instant::now() + PATIENCE;
    // The threads that read what programs write end a moment after them.
    while descriptors() != descriptors_before && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    let children = children_of(process::id());
    let same = descriptors() == descriptors_before;
    if !children.is_empty() || !same {
        eprintln!("left: children {children:?}, {} descriptors", descriptors());
    }
    children.is_empty() && same
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

pub fn children_of(pid: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(
            text.split_whitespace()
                .map(|pid| pid.parse::<u32>().unwrap()),
        );
    }
    children
}

/// A zombie is gone as well: who adopted it will collect it.
pub fn is_gone(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => text
            .rsplit(") ")
            .next()
            .map_or(true, |rest| rest.starts_with(['Z', 'X'])),
        Err(_) => true,
    }
}

pub fn kill(pid: u32, signal: i32) {
    // SAFETY: no memory is touched.
    assert_eq!(
        unsafe { c_kill(pid as i32, signal) },
        0,
        "kill {pid} with {signal}"
    );
}

pub fn kill_group(pid: u32, signal: i32) {
    // SAFETY: no memory is touched.
    assert_eq!(
        unsafe { c_kill(-(pid as i32), signal) },
        0,
        "kill group {pid} with {signal}"
    );
}

pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// In a worker: stays until a signal ends it.
pub fn park() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// The argument after the program's name.
pub fn argument(number: usize) -> String {
    env::args().nth(number + 2).unwrap_or_default()
}

/// A program of the test that runs, and all that it has written so far.
pub struct Program {
    child: Child,
    lines: Receiver<String>,
    pub seen: Vec<String>,
    status: Option<ExitStatus>,
}

impl Program {
    pub fn command(name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.arg(format!("program:{name}")).args(arguments);
        command
    }

    pub fn start(name: &str, arguments: &[&str]) -> Program {
        Program::spawn(&mut Program::command(name, arguments))
    }

    /// In a process group of its own, as a shell would start it.
    pub fn spawn(command: &mut Command) -> Program {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: setpgid may be called after a fork.
        unsafe {
            command.pre_exec(|| match setpgid(0, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            })
        };
        let mut child = command.spawn().expect("the program starts");
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Program {
            child,
            lines,
            seen: Vec::new(),
            status: None,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that is so.
    pub fn line(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if is_it(&line) {
                        return line;
                    }
                }
                Err(_) => panic!("no line {what} among {:#?}", self.seen),
            }
        }
    }

    /// The word after each of these in the next line that begins with the first of them.
    pub fn words(&mut self, names: &[&str]) -> Vec<u32> {
        let line = self.line(&format!("with {names:?}"), |line| {
            line.starts_with(names[0])
        });
        names.iter().map(|name| word_after(&line, name)).collect()
    }

    /// Waits for the end, and for all that was written until nobody can write any more.
    pub fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the program or a worker does not end: {:#?}", self.seen)
                }
            }
        }
        let status = self.child.wait().unwrap();
        self.status = Some(status);
        status
    }

    /// The program ends with status 0, having written this line.
    pub fn ends_well(&mut self, last: &str) {
        let status = self.end();
        assert!(status.success(), "{status}: {:#?}", self.seen);
        assert!(
            self.seen.iter().any(|line| line == last),
            "no {last} in {:#?}",
            self.seen
        );
    }

    pub fn count(&self, is_it: impl Fn(&str) -> bool) -> usize {
        self.seen.iter().filter(|line| is_it(line)).count()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.status.is_none() {
            // SAFETY: no memory is touched, and the child has not been waited for.
            unsafe { c_kill(-(self.child.id() as i32), SIGKILL) };
            let _ = self.child.wait();
        }
    }
}

pub fn word_after(line: &str, name: &str) -> u32 {
    let mut words = line.split_whitespace();
    words
        .find(|word| *word == name)
        .unwrap_or_else(|| panic!("no {name} in {line}"));
    words
        .next()
        .unwrap()
        .parse()
        .unwrap_or_else(|_| panic!("no number after {name} in {line}"))
}
