//! What these tests are worth: with a bug planted into the worker they fail.

use std::process::Command;

/// Runs a test of this program with a bug, and gives what it printed when it failed.
fn noticed(bug: &str, test: &str) -> String {
    let program = std::env::current_exe().unwrap_or_else(|e| panic!("{e}"));
    let mut command = Command::new(program);
    let command = command.args(["--exact", test, "--nocapture"]);
    let ended = command.env("ONCESTREAM_SABOTAGE", bug).output();
    let ended = ended.unwrap_or_else(|e| panic!("{e}"));
    let printed = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
    assert!(printed.contains("running 1 test"), "{printed}");
    assert!(!ended.status.success(), "{bug} was not noticed: {printed}");
    printed
}

#[test]
fn a_restore_that_ends_too_early_is_noticed() {
    let test = "a_store_that_is_restored_from_a_broker_that_lags_is_exact";
    let printed = noticed("short_restore", test);
    assert!(printed.contains("counts"), "{printed}");
}

#[test]
fn stores_that_are_applied_before_the_commit_are_noticed() {
    let printed = noticed("apply_first", "every_end_of_a_transaction_leaves_counts_exact");
    assert!(printed.contains("counts"), "{printed}");
}

#[test]
fn tasks_that_start_again_without_an_abort_are_noticed() {
    let printed = noticed("no_abort", "a_few_aborts_leave_counts_exact");
    assert!(printed.contains("counts"), "{printed}");
}
