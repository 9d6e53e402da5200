// Errors, processes that are not the pool's, interruptions, and other libraries.
//
// SPDX-License-Identifier: MIT
use std::error::Error as _;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use libprefork::{Error, Pool, Signals, Task};

use crate::support::{argument, kill_group, park, Program, PATIENCE, SIGINT};
use crate::{pool_of_way, WAYS};

extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
    fn signal(signal: i32, handler: extern "C" fn(i32)) -> usize;
}

const EINVAL: i32 = 22;
const ENOENT: i32 = 2;
const EALREADY: i32 = 114;

fn assert_error<T: Send + Sync + std::error::Error + 'static>(_: &T) {}

// ---- Programs ----

pub fn make_errors() {
    let error = Pool::builder()
        .workers(65_537)
        .name("fine")
        .build()
        .unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (-EINVAL, "workers(65537): Invalid argument")
    );
    assert_error(&error);
    assert!(error.source().is_none());
    assert_eq!(error.raw_os_error(), Some(EINVAL));
    let other = io::Error::from(error);
    assert_eq!(other.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(other.to_string(), "workers(65537): Invalid argument");
    let text = |builder: libprefork::Builder| builder.build().unwrap_err().to_string();
    assert_eq!(
        text(Pool::builder().name("with\0nul")),
        "name(\"with\\0nul\"): Invalid argument"
    );
    assert_eq!(
        text(
            Pool::builder()
                .exit_action(1, libprefork::ExitAction::Done)
                .spares(65_537)
        ),
        "spares(65537): Invalid argument"
    );
    assert_eq!(
        text(Pool::builder().backoff(Duration::from_secs(2), Duration::from_secs(1))),
        "backoff(2s, 1s): Invalid argument"
    );
    assert!(Pool::builder()
        .backoff(Duration::from_secs(2), Duration::from_secs(1))
        .build()
        .is_err());
    assert!(Pool::builder()
        .restart_window(u32::MAX, Duration::from_secs(1))
        .build()
        .is_err());

    let mut nul = Command::new("/bin/true");
    nul.arg("with\0nul");
    assert_eq!(
        text(Pool::builder().exec(&nul)),
        "exec(\"/bin/true\"): Invalid argument"
    );
    assert_eq!(
        libprefork::upgrade(Some(&nul)).to_string(),
        "upgrade(\"/bin/true\"): Invalid argument"
    );

    let other = io::Error::from(Error::GaveUp);
    assert_eq!(other.kind(), io::ErrorKind::Other);
    assert_eq!(
        other.get_ref().unwrap().downcast_ref(),
        Some(&Error::GaveUp)
    );
    assert_eq!(other.to_string(), "Too many restarts");

    let mut pool = Pool::builder().workers(1).build().unwrap();
    assert_eq!(pool.stop(), Err(Error::Os(EINVAL)), "before the start");
    let texts = [
        pool.resize(0).unwrap_err().to_string(),
        pool.replace_worker(7).unwrap_err().to_string(),
        pool.send_signal(None, 99).unwrap_err().to_string(),
        pool.worker_pid(u32::MAX).unwrap_err().to_string(),
        pool.handle_signal(64).unwrap_err().to_string(),
    ];
    let named = [
        "resize(0)",
        "replace_worker(7)",
        "send_signal(None, 99)",
        "worker_pid(4294967295)",
        "handle_signal(64)",
    ];
    assert_eq!(texts, named.map(|call| format!("{call}: Invalid argument")));
    assert_eq!(pool.run(|_| ()), Ok(()));
    assert_eq!(
        pool.run(|_| ()),
        Err(Error::Os(EALREADY)),
        "a pool is used once"
    );
    assert_eq!(pool.stop(), Ok(()), "after the end");
    let remote = pool.remote();
    drop(pool);
    assert_eq!(remote.stop(), Ok(()), "once it is gone");

    let nothing = Command::new("/there/is/no/such/program");
    let mut pool = Pool::builder().workers(1).exec(&nothing).build().unwrap();
    let error = pool.run(|_| ()).unwrap_err();
    assert_eq!(
        (error.raw_os_error(), error.to_string().as_str()),
        (
            Some(ENOENT),
            "exec(\"/there/is/no/such/program\"): No such file or directory"
        )
    );
    assert_eq!(
        Pool::builder().build().unwrap().start_exec().unwrap_err(),
        Error::Os(EINVAL)
    );
    println!("all as expected");
}

/// In a child that the pool did not make: its status is 0 if all is as expected there.
fn in_a_child(check: impl FnOnce() -> bool) {
    // SAFETY: this process has one thread.
    unsafe {
        let pid = fork();
        if pid == 0 {
            let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
            _exit(if good.unwrap_or(false) { 0 } else { 1 });
        }
        let mut status = -1;
        assert_eq!(waitpid(pid, &mut status, 0), pid);
        assert_eq!(status, 0);
    }
}

pub fn fork_and_use() {
    let refused = Err(Error::WrongProcess);
    let mut pool = Pool::builder().workers(1).build().unwrap();
    in_a_child(|| pool.run(|_| ()) == refused && pool.stop() == refused);
    let mut pool = pool.start(|_| -> () { park() }).unwrap();
    while pool.alive_count() != Ok(1) {
        pool.dispatch(None).unwrap();
        let _ = pool.events().count();
    }
    let worker = pool.worker_pid(0);
    let remote = pool.remote();
    let mut of_child = Some(pool);
    in_a_child(|| {
        let mut pool = of_child.take().unwrap();
        let good = pool.stop() == refused
            && remote.kill() == refused
            && pool.resize(2) == refused
            && pool.send_signal(0, SIGINT) == refused
            && pool.worker_count() == Err(Error::WrongProcess)
            && pool.dispatch(Some(Duration::ZERO)) == Err(Error::WrongProcess)
            && pool.next_event() == Err(Error::WrongProcess);
        drop(pool); // its memory only
        good && remote.stop() == refused
    });
    let mut pool = of_child.unwrap();
    assert_eq!((pool.worker_pid(0), pool.alive_count()), (worker, Ok(1)));
    pool.stop().unwrap();
    while pool.dispatch(None).unwrap() {
        let _ = pool.events().count();
    }
    println!("all as expected");
}

pub fn wait_for_signal() {
    let mut pool = pool_of_way()
        .workers(2)
        .signals(Signals::Standard)
        .build()
        .unwrap();
    let result = pool.run(|task| {
        println!("task {} pid {}", task.id(), process::id());
        park()
    });
    println!("result {result:?} signal {:?}", pool.stop_signal());
}

static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_signal(_: i32) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

/// A handler of its own, as the usual crates install it: a dispatch returns after it has run.
pub fn handle_signal() {
    // SAFETY: the handler only counts.
    unsafe { signal(SIGINT, count_signal) };
    let work = |task: Task| -> () {
        println!("task {} pid {}", task.id(), process::id());
        park()
    };
    if let Some(task) = Task::current() {
        work(task);
    }
    let pool = pool_of_way().workers(2).build().unwrap();
    let mut pool = match argument(0).as_str() {
        "exec" => pool.start_exec().unwrap(),
        _ => pool.start(work).unwrap(),
    };
    let mut result = Ok(true);
    while result == Ok(true) && HANDLED.load(Ordering::SeqCst) == 0 {
        result = pool.dispatch(None);
        let _ = pool.events().count();
    }
    println!(
        "result {result:?} after {} signals",
        HANDLED.load(Ordering::SeqCst)
    );
}

pub fn make_pool() {
    match Pool::builder().build() {
        Ok(_) => println!("good {}", libprefork::version()),
        Err(error) => println!("{error}"),
    }
}

// ---- Scenarios ----

pub fn errors_as_the_languages_own() {
    Program::start("make_errors", &[]).ends_well("all as expected");
}

pub fn use_after_fork_refused() {
    Program::start("fork_and_use", &[]).ends_well("all as expected");
}

pub fn ctrl_c_within_100_ms() {
    const ATTEMPTS: u32 = 20; // one of them must not be disturbed by other programs
    let good = Duration::from_millis(100);
    for (name, last) in [
        ("wait_for_signal", "result Ok(()) signal Some(2)"),
        ("handle_signal", "result Ok(true) after 1 signals"),
    ] {
        for way in WAYS {
            let mut best = PATIENCE;
            for _ in 0..ATTEMPTS {
                let mut program = Program::start(name, &[way]);
                for _ in 0..2 {
                    program.words(&["task", "pid"]);
                }
                let begin = Instant::now();
                kill_group(program.pid(), SIGINT);
                program.line("with the result", |line| line.starts_with("result"));
                best = best.min(begin.elapsed());
                program.ends_well(last);
                if best <= good {
                    break;
                }
            }
            assert!(best <= good, "{name} by {way} took {best:?}");
        }
    }
}

/// A library of this name that has only this to say.
fn make_library(directory: &Path, name: &str, code: &str) {
    let source = directory.join("library.c");
    fs::write(&source, code).unwrap();
    let mut command = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    command.args(["-shared", "-fPIC", &format!("-Wl,-soname,{name}"), "-o"]);
    assert!(command
        .arg(directory.join(name))
        .arg(source)
        .status()
        .unwrap()
        .success());
}

pub fn library_missing_or_too_old() {
    const LIBRARY: &str = "libprefork.so.0";
    let directory = std::env::temp_dir().join(format!("prefork-rust-{}", process::id()));
    fs::create_dir_all(&directory).unwrap();
    let ask = |variable: &str, value: &Path| {
        let mut command = Program::command("make_pool", &[]);
        command.env_remove("LD_PRELOAD").env(variable, value);
        let mut program = Program::spawn(&mut command);
        let good = program.end().success();
        (good, program.seen.join("\n"))
    };

    // No such library at all.
    let (good, text) = ask("LD_LIBRARY_PATH", &directory);
    assert!(
        !good && text.contains(LIBRARY) && text.contains("cannot open shared"),
        "{text}"
    );

    // One from before there was anything in it: the loader refuses it.
    make_library(&directory, LIBRARY, "int pf_task_id(void) { return -1; }\n");
    let (good, text) = ask("LD_LIBRARY_PATH", &directory);
    assert!(!good && text.contains(LIBRARY), "{text}");

    // One that has all the names, but says that it is of another version.
    for version in ["0.0.9", "0.3.0", "nonsense"] {
        let code = format!("const char *pf_version(void) {{ return \"{version}\"; }}\n");
        make_library(&directory, "other.so", &code);
        let (good, text) = ask("LD_PRELOAD", &directory.join("other.so"));
        let wanted = format!("libprefork {version} was loaded, but 0.2.0 or a later 0.2 is needed");
        assert!(good && text == wanted, "{text}");
    }
    fs::remove_dir_all(&directory).unwrap();

    let mut program = Program::start("make_pool", &[]);
    assert_eq!(program.end().signal(), None);
    assert!(
        program.seen[0].starts_with("good 0.2."),
        "{:?}",
        program.seen
    );
}
