// Every declaration of the crate against the installed header: a C file is made from src/lib.rs
// that declares all of it once more, after the header, and asserts each size and constant. A C
// compiler accepts it only if both agree.
//
// SPDX-License-Identifier: MIT
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::mem::size_of;
use std::os::raw::{c_char, c_int, c_void};
use std::path::PathBuf;
use std::process::{self, Command, Output};

use libprefork_sys as sys;

const SOURCE: &str = include_str!("../src/lib.rs");

struct Declarations {
    constants: Vec<(String, String)>,
    functions: Vec<(String, String)>,
    callbacks: Vec<(String, String)>,
}

/// What C calls a type of the crate.
fn c_type(rust: &str) -> &'static str {
    match rust {
        "()" => "void",
        "c_int" => "int",
        "i32" => "int32_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "*const c_char" => "const char *",
        "*const *const c_char" => "const char *const *",
        "*mut c_char" => "char *",
        "*mut c_int" => "int *",
        "*mut c_void" => "void *",
        "*const pf_event" => "const pf_event *",
        "*mut *const pf_event" => "const pf_event **",
        "*mut pf_pool" => "pf_pool *",
        "*const pf_pool" => "const pf_pool *",
        "*mut *mut pf_pool" => "pf_pool **",
        "Option<pf_event_fn>" => "pf_event_fn",
        "Option<pf_worker_fn>" => "pf_worker_fn",
        "Option<pf_free_fn>" => "pf_free_fn",
        other => panic!("no C type is known for {other}"),
    }
}

/// `(a: c_int, b: u64) -> i32` as the words of C before and after the name.
fn c_signature(rust: &str) -> (&'static str, String) {
    let (parameters, result) = match rust.split_once("->") {
        Some((parameters, result)) => (parameters.trim(), result.trim()),
        None => (rust.trim(), "()"),
    };
    let parameters = parameters.trim_start_matches('(').trim_end_matches(')');
    let types: Vec<&str> = parameters
        .split(',')
        .filter(|parameter| !parameter.trim().is_empty())
        .map(|parameter| {
            c_type(
                parameter
                    .split_once(": ")
                    .expect("a name and a type")
                    .1
                    .trim(),
            )
        })
        .collect();
    let types = if types.is_empty() {
        "void".to_owned()
    } else {
        types.join(", ")
    };
    (c_type(result), types)
}

fn declarations(source: &str) -> Declarations {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| line.trim().to_owned() + " ")
        .collect();
    let mut found = Declarations {
        constants: vec![],
        functions: vec![],
        callbacks: vec![],
    };
    for statement in code.split([';', '{', '}']) {
        let statement = statement.trim();
        if let Some(rest) = statement.strip_prefix("pub const ") {
            let (name, rest) = rest.split_once(": ").expect("a constant has a type");
            let (kind, value) = rest.split_once(" = ").expect("a constant has a value");
            assert_eq!(
                kind, "c_int",
                "{name}: all constants of the header are of type int"
            );
            found.constants.push((name.to_owned(), value.to_owned()));
        } else if let Some(rest) = statement.strip_prefix("pub fn ") {
            let at = rest.find('(').expect("a function has parameters");
            found
                .functions
                .push((rest[..at].to_owned(), rest[at..].to_owned()));
        } else if let Some(rest) = statement.strip_prefix("pub type ") {
            let (name, kind) = rest
                .split_once(" = unsafe extern \"C\" fn")
                .expect("a callback");
            found.callbacks.push((name.to_owned(), kind.to_owned()));
        }
    }
    found
}

fn c_file(declared: &Declarations) -> String {
    let mut text = String::from("#include <stddef.h>\n#include <prefork.h>\n");
    for (name, kind) in &declared.callbacks {
        let (result, parameters) = c_signature(kind);
        writeln!(text, "typedef {result} (*{name})({parameters});").unwrap();
    }
    for (name, kind) in &declared.functions {
        let (result, parameters) = c_signature(kind);
        writeln!(text, "{result} {name}({parameters});").unwrap();
    }
    for (name, value) in &declared.constants {
        writeln!(text, "_Static_assert({name} == {value}, \"{name}\");").unwrap();
        writeln!(
            text,
            "_Static_assert(sizeof({name}) == sizeof(int), \"{name}\");"
        )
        .unwrap();
    }
    for (kind, size) in [
        ("int", size_of::<c_int>()),
        ("char", size_of::<c_char>()),
        ("int32_t", size_of::<i32>()),
        ("uint32_t", size_of::<u32>()),
        ("uint64_t", size_of::<u64>()),
        ("void *", size_of::<*mut c_void>()),
        ("pf_pool *", size_of::<*mut sys::pf_pool>()),
        ("const pf_event *", size_of::<*const sys::pf_event>()),
        ("pf_event_fn", size_of::<Option<sys::pf_event_fn>>()),
        ("pf_worker_fn", size_of::<Option<sys::pf_worker_fn>>()),
        ("pf_free_fn", size_of::<Option<sys::pf_free_fn>>()),
    ] {
        writeln!(
            text,
            "_Static_assert(sizeof({kind}) == {size}, \"size of {kind}\");"
        )
        .unwrap();
    }
    text
}

fn compile(name: &str, text: &str, options: &[&str]) -> Output {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join(format!("{name}-{}.c", process::id()));
    fs::write(&file, text).unwrap();
    let output = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-I",
            env!("PREFORK_INCLUDE"),
        ])
        .args(options)
        .arg(&file)
        .output()
        .expect("a C compiler can be run");
    fs::remove_file(&file).unwrap();
    output
}

fn agrees(name: &str, source: &str) -> Result<(), String> {
    let output = compile(name, &c_file(&declarations(source)), &["-fsyntax-only"]);
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The words of the preprocessed header that begin so.
fn words(text: &str, prefix: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(prefix))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_declaration_agrees_with_the_header() {
    agrees("agrees", SOURCE).unwrap();
}

#[test]
fn every_declaration_of_the_header_is_there() {
    let text = "#include <prefork.h>\n";
    let header = compile("header", text, &["-E", "-P"]);
    let macros = compile("macros", text, &["-E", "-dM"]);
    assert!(header.status.success() && macros.status.success());
    let header = String::from_utf8(header.stdout).unwrap();
    let macros: String = String::from_utf8(macros.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("#define PF_"))
        .filter(|rest| !rest.starts_with("API"))
        .map(|rest| format!("PF_{} ", rest.split(' ').next().unwrap()))
        .collect();

    let declared = declarations(SOURCE);
    let constants = declared
        .constants
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_same(&words(&header, "PF_") | &words(&macros, "PF_"), constants);

    let mut functions: BTreeSet<String> = declared
        .functions
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(
        functions.len() > 60,
        "only {} functions were read",
        functions.len()
    );
    functions.extend(["pf_pool", "pf_event", "pf_event_fn"].map(str::to_owned));
    assert_same(words(&header, "pf_"), functions);
}

fn assert_same(of_header: BTreeSet<String>, of_crate: BTreeSet<String>) {
    let missing: Vec<_> = of_header.difference(&of_crate).collect();
    let unknown: Vec<_> = of_crate.difference(&of_header).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing {missing:?}, unknown {unknown:?}"
    );
}

/// The comparison itself: one wrong word must be seen.
#[test]
fn a_wrong_declaration_is_found() {
    for (number, (right, wrong)) in [
        ("max_restarts: c_int", "max_restarts: u64"),
        (
            "pub fn pf_event_pid(event: *const pf_event) -> i32",
            "pub fn pf_event_pid() -> i32",
        ),
        (
            "pf_event_delay_ms(event: *const pf_event) -> u64",
            "pf_event_delay_ms() -> c_int",
        ),
        ("PF_EGAVEUP: c_int = -4097", "PF_EGAVEUP: c_int = -4098"),
        (
            "pub fn pf_pool_fd(pool: *const pf_pool)",
            "pub fn pf_pool_fd(pool: *mut pf_pool)",
        ),
        (
            "fn(event: *const pf_event, user: *mut c_void)",
            "fn(event: *const pf_event)",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(SOURCE.contains(right), "{right} is not in the source");
        let changed = SOURCE.replacen(right, wrong, 1);
        assert!(
            agrees(&format!("wrong{number}"), &changed).is_err(),
            "{wrong} was not noticed"
        );
    }
}

/// The library that was linked has them all.
#[test]
fn every_function_is_in_the_library() {
    extern "C" {
        fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    }
    // SAFETY: may be called at any time; it also makes the linker keep the library.
    assert!(!unsafe { sys::pf_version() }.is_null());
    for (name, _) in declarations(SOURCE).functions {
        let symbol = std::ffi::CString::new(name.clone()).unwrap();
        // SAFETY: a null handle means all that is loaded.
        let found = unsafe { dlsym(std::ptr::null_mut(), symbol.as_ptr()) };
        assert!(!found.is_null(), "{name} is not in the library");
    }
}
