//! What cannot work does not compile, and the compiler says what to do: the files `*.stderr` beside
//! the programs in `compile_fail` are what a user reads.
//!
//! The compiler's words change with its version, so they are looked at with the minimum version alone.
//! To write them anew: `TRYBUILD=overwrite cargo test -p oncestream-operators --test compile_fail`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

#[test]
fn what_cannot_work_does_not_compile_and_the_error_says_what_to_do() {
    let minimum = env!("CARGO_PKG_RUST_VERSION");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    if !version.starts_with(&format!("rustc {minimum}.")) {
        println!("the words are those of Rust {minimum}, and this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
