// What the build script says if the library is missing or too old.
//
// SPDX-License-Identifier: MIT
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

/// Runs the script where pkg-config knows this directory only.
fn run(script: &Path, packages: &Path) -> (bool, String) {
    let mut command = Command::new(script);
    command
        .env("PKG_CONFIG_LIBDIR", packages)
        .env_remove("PKG_CONFIG_PATH")
        .env_remove("DOCS_RS");
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn library_missing_or_too_old() {
    let directory =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("script-{}", process::id()));
    fs::create_dir_all(&directory).unwrap();
    let script = directory.join("script");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/build.rs");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition=2021", source, "-o"])
        .arg(&script)
        .status();
    assert!(built.unwrap().success());

    let (good, text) = run(&script, &directory);
    assert!(!good && text.contains("libprefork is missing"), "{text}");
    assert!(text.contains("PKG_CONFIG_PATH"), "{text}");

    for (version, is_right) in [
        ("0.0.9", false),
        ("0.3.0", false),
        ("0.2.0", true),
        ("0.2.7", true),
    ] {
        let package = format!(
            "includedir=/some/include\nName: prefork\nDescription: -\nVersion: {version}\n\
             Libs: -L/some/lib -lprefork\n"
        );
        fs::write(directory.join("prefork.pc"), package).unwrap();
        let (good, text) = run(&script, &directory);
        assert_eq!(good, is_right, "{text}");
        if is_right {
            assert!(
                text.contains("cargo:rustc-link-search=native=/some/lib\n"),
                "{text}"
            );
            assert!(text.contains("cargo:rustc-link-lib=prefork\n"), "{text}");
            assert!(text.contains("cargo:include=/some/include\n"), "{text}");
        } else {
            let wanted = format!("libprefork {version} is not the one that this crate needs");
            assert!(text.contains(&wanted), "{text}");
        }
    }

    let mut command = Command::new(&script);
    let output = command
        .env("PKG_CONFIG", "/there/is/none")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr)
        .unwrap()
        .contains("cannot run /there/is/none"));
    fs::remove_dir_all(&directory).unwrap();
}
