// What a fork does to the values and the output of a program.
//
// SPDX-License-Identifier: MIT
use std::collections::HashMap;
use std::env;
use std::panic;
use std::process::{self, Command};
use std::thread;

use libprefork::{Error, Event, EventKind, Pool};

use crate::runs_well;
use crate::support::{argument, children_of, park, Program};

struct Guard(&'static str);

impl Drop for Guard {
    fn drop(&mut self) {
        println!("dropped {}", self.0);
    }
}

// ---- Programs ----

/// Everything that a program does usually, in workers.
pub fn work_as_usual() {
    let words: HashMap<String, usize> = (0..100).map(|i| (format!("word {i}"), i)).collect();
    let result = Pool::builder().workers(20).build().unwrap().run(|task| {
        let mine: Vec<String> = (0..10_000)
            .map(|i| format!("{i} of {}", task.id()))
            .collect();
        let sum = thread::spawn(move || mine.iter().map(String::len).sum::<usize>()).join();
        assert!(sum.unwrap() > 10_000 && words["word 7"] == 7);
        assert!(panic::catch_unwind(|| panic!("caught in the worker")).is_err());
        let output = Command::new("/bin/echo")
            .arg("of a child")
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"of a child\n");
        println!("worked {}", task.id());
    });
    assert_eq!(result, Ok(()));
    println!("all as expected");
}

pub fn print_partly() {
    print!("before ");
    let mut pool = Pool::builder()
        .workers(3)
        .on_event(|event, _| {
            if let EventKind::Starting = event.kind {
                print!("event ");
            }
        })
        .build()
        .unwrap();
    pool.run(|_| print!("worker ")).unwrap();
    println!("after");
}

pub fn hold_guards() {
    let _outer = Guard("outer");
    let captured = Guard("captured");
    let mut pool = Pool::builder().workers(3).build().unwrap();
    let result = pool.run(move |_| {
        let _own = Guard("own");
        let _ = &captured;
    });
    assert_eq!(result, Ok(()));
}

pub fn panic_in_event() {
    let mut pool = Pool::builder()
        .workers(2)
        .on_event(|event, _| {
            if let EventKind::Started { .. } = event.kind {
                panic!("in the callback");
            }
        })
        .build()
        .unwrap();
    let run = panic::AssertUnwindSafe(|| pool.run(|_| -> () { park() }));
    let panic = panic::catch_unwind(run).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"in the callback"));
    assert_eq!(children_of(process::id()), []);
    println!("all as expected");
}

/// The worker of a worker's closure, and a pool in the worker.
pub fn pool_in_worker() {
    let result = Pool::builder().workers(2).build().unwrap().run(|outer| {
        Pool::builder().workers(2).build().unwrap().run(|inner| {
            println!("{} in {}", inner.id(), outer.id());
        })
    });
    assert_eq!(result, Ok(()));
    println!("all as expected");
}

/// Where the workers are this program, a pool in a worker needs a name that tells its workers apart.
pub fn inner_pools() {
    const ELOOP: i32 = 40;
    if env::var_os("INNER").is_some() {
        // Never more than one deeper, whatever comes of it.
        let mut pool = Pool::builder().name("inner").build().unwrap();
        pool.run(|_| println!("inner worker")).unwrap();
        unreachable!("this is a worker");
    }
    let run_inner = |name| {
        let mut command = Program::command("inner_pools", &[]);
        command.env("INNER", "yes");
        let builder = Pool::builder().name(name).workers(1).max_restarts(0);
        builder.exec(&command).build().unwrap().run(|_| ())
    };
    let result = match argument(0).as_str() {
        "exec" => Pool::builder().exec_self(),
        _ => Pool::builder(),
    }
    .workers(1)
    .max_restarts(0)
    .build()
    .unwrap()
    .run(|_| {
        assert_eq!(run_inner(""), Err(Error::Os(ELOOP)));
        assert_eq!(run_inner("inner"), Ok(()));
    });
    assert_eq!(result, Ok(()));
    println!("all as expected");
}

pub fn run_another_program() {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo $GREETING $1 ${GONE-gone} $HOME", "sh", "you"]);
    command.env("GREETING", "hello").env_remove("GONE");
    let mut pool = Pool::builder().workers(2).exec(&command).build().unwrap();
    assert_eq!(pool.run(|_| ()), Ok(()));
}

pub fn one_call() {
    let _guard = Guard("in each process");
    let tell = |event: &Event| {
        if let EventKind::Starting = event.kind {
            println!("told: {}", event.message);
        }
    };
    // SAFETY: there is no other thread, and nothing in it panics.
    unsafe { libprefork::set_event_callback(Some(tell)) };
    // SAFETY: the guard only prints.
    let task = unsafe { libprefork::fork_processes(2, 1) };
    match task {
        Ok(task) if argument(0) == "fail" => process::exit(task.id() as i32),
        Ok(task) => println!("task {}", task.id()),
        Err(error) => println!("error {error:?}"),
    }
}

// ---- Tests ----

pub fn workers_work_as_usual() {
    let mut program = Program::start("work_as_usual", &[]);
    program.ends_well("all as expected");
    assert_eq!(program.count(|line| line.starts_with("worked")), 20);
}

pub fn partial_lines_are_written_once() {
    let mut program = Program::start("print_partly", &[]);
    assert!(program.end().success());
    let text = program.seen.concat();
    assert_eq!(text.matches("before ").count(), 1, "{text}");
    assert_eq!(text.matches("event ").count(), 1, "{text}");
    assert_eq!(text.matches("worker ").count(), 3, "{text}");
    assert!(text.ends_with("after"), "{text}");
}

pub fn guards_are_dropped_once() {
    let mut program = Program::start("hold_guards", &[]);
    assert!(program.end().success());
    assert_eq!(program.count(|line| line == "dropped outer"), 1);
    assert_eq!(program.count(|line| line == "dropped own"), 3);
    // The closure is used up in each worker, and dropped in the supervisor.
    assert_eq!(program.count(|line| line == "dropped captured"), 4);
}

pub fn a_panic_in_the_event_callback_goes_on_in_the_caller() {
    runs_well("panic_in_event");
}

pub fn workers_may_have_pools() {
    let mut program = Program::start("pool_in_worker", &[]);
    program.ends_well("all as expected");
    assert_eq!(program.count(|line| line.contains(" in ")), 4);
}

pub fn a_pool_by_exec_in_a_worker_needs_another_name() {
    for way in ["fork", "exec"] {
        let mut program = Program::start("inner_pools", &[way]);
        program.ends_well("all as expected");
        let inner = program.count(|line| line == "inner worker");
        assert_eq!(inner, 1, "{way}: {:?}", program.seen);
    }
}

pub fn exec_takes_a_command() {
    let mut command = Program::command("run_another_program", &[]);
    command.env("GONE", "still there").env("HOME", "/home");
    let mut program = Program::spawn(&mut command);
    assert!(program.end().success(), "{:?}", program.seen);
    assert_eq!(
        program.seen,
        ["hello you gone /home", "hello you gone /home"]
    );
}

pub fn fork_processes_returns_in_each_worker() {
    let mut program = Program::start("one_call", &["well"]);
    assert!(program.end().success());
    program.seen.sort();
    let guard = "dropped in each process"; // the reason why the call is unsafe
    assert_eq!(
        program.seen,
        [
            guard,
            guard,
            "task 0",
            "task 1",
            "told: Starting 2 processes"
        ]
    );

    let mut program = Program::start("one_call", &["fail"]);
    assert!(program.end().success());
    assert_eq!(
        program.count(|line| line == "error GaveUp"),
        1,
        "{:?}",
        program.seen
    );
}
