// Finds the installed library with pkg-config, and says what is wrong if it cannot.
//
// SPDX-License-Identifier: MIT
use std::env;
use std::process::{exit, Command};

const NEEDED: [&str; 2] = ["prefork >= 0.2.0", "prefork < 0.3"];

fn pkg_config(arguments: &[&str]) -> Result<String, String> {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = Command::new(&program)
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot run {}: {error}", program.to_string_lossy()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

fn link() -> Result<(), String> {
    let version = pkg_config(&["--modversion", "prefork"])
        .map_err(|error| format!("libprefork is missing: {error}"))?;
    pkg_config(&["--exists", NEEDED[0], NEEDED[1]])
        .map_err(|_| format!("libprefork {version} is not the one that this crate needs"))?;
    for word in pkg_config(&["--libs", "prefork"])?.split_whitespace() {
        if let Some(directory) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={directory}");
        } else if let Some(library) = word.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={library}");
        }
    }
    // For dependents as DEP_PREFORK_VERSION and DEP_PREFORK_INCLUDE.
    let include = pkg_config(&["--variable=includedir", "prefork"])?;
    println!("cargo:version={version}");
    println!("cargo:include={include}");
    println!("cargo:rustc-env=PREFORK_INCLUDE={include}");
    Ok(())
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in [
        "PKG_CONFIG",
        "PKG_CONFIG_PATH",
        "PKG_CONFIG_LIBDIR",
        "PKG_CONFIG_SYSROOT_DIR",
    ] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    if env::var_os("DOCS_RS").is_some() {
        return; // only documentation is built there, and nothing linked
    }
    if let Err(error) = link() {
        eprintln!(
            "error: {error}\n\
             note: needed is {} and {}: its README.md tells how it is installed.\n\
             note: if its prefork.pc is in an unusual place, put that directory into \
             PKG_CONFIG_PATH.",
            NEEDED[0], NEEDED[1]
        );
        exit(1);
    }
}
