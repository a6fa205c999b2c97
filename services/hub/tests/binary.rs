//! The binary can be run. Cargo builds the binaries of a package for its integration tests only, so this
//! one is also what makes `cargo test --workspace` build the hub that the black-box tests in `tests/` run.

#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_binary_says_what_it_is() {
    let hub = env!("CARGO_BIN_EXE_hub");
    let output = Command::new(hub).arg("--version").output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.trim(), concat!("hub ", env!("CARGO_PKG_VERSION")));
}
