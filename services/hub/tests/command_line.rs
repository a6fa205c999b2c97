//! The binary as a command. (Having an integration test also makes `cargo test` build the binary, which the
//! black-box tests in `tests/` run.)

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

fn hub(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hub"))
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn help_names_every_command() {
    let (success, out, _) = hub(&["--help"]);
    assert!(success);
    for command in [
        "up", "serve", "services", "import", "openapi", "config", "sagas", "dlq",
    ] {
        assert!(
            out.contains(&format!("\n  {command} ")),
            "{command} in {out}"
        );
    }
}

#[test]
fn an_unknown_service_is_one_clear_line() {
    let (success, _, error) = hub(&["serve", "--only", "ordres"]);
    assert!(!success);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(
        error.contains("ordres") && error.contains("orders"),
        "{error}"
    );
}
