//! The cases of the golden files, played here: the same topology gets the same inputs, and must give the
//! lines that Kafka Streams printed.
//!
//! README.md says what the files are. Each group of topologies is a module; a case that no module has stands in
//! `waiting`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod differences;
mod format;
mod functions;
mod names;
mod play;
mod processors;
mod stores;
mod streams;
mod tables;
mod waiting;
mod window_stores;

use std::collections::BTreeSet;

use differences::unforeseen;
use format::{Case, golden};
use play::{Setup, Variant, fault};
use waiting::WAITING;

/// The topology of a case that has inputs, if it is here.
fn setup(case: &Case) -> Option<Setup> {
    match &*case.group {
        "streams" => streams::setup(&case.name),
        "tables" => tables::setup(&case.name),
        "processors" => processors::setup(&case.name),
        "stores" => stores::setup(&case.name).or_else(|| window_stores::setup(&case.name)),
        _ => None,
    }
}

/// Plays every case of these seeds that is here.
fn compare(variant: Variant, seeds: &[&str]) {
    let (mut played, mut faults) = (0, Vec::new());
    let cases = golden();
    for case in &cases {
        let Some(setup) = setup(case).filter(|_| seeds.contains(&&*case.seed)) else { continue };
        if setup.schedules && variant != Variant::Undisturbed {
            continue;
        }
        played += 1;
        faults.extend(unforeseen(case, &cases, setup, variant));
    }
    assert!(played >= 25 * seeds.len(), "the golden files are there: {played} cases were played");
    assert!(faults.is_empty(), "{} of {played} cases:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_case_gives_what_kafka_streams_gives() {
    compare(Variant::Undisturbed, &["1", "2", "3"]);
}

#[test]
fn a_crash_after_each_input_changes_no_case() {
    compare(Variant::Crashing, &["1", "2", "3"]);
}

#[test]
fn a_lost_disk_after_each_input_changes_no_case() {
    // One seed: each restart reads every changelog from its beginning.
    compare(Variant::LosingDisk, &["1"]);
}

#[test]
fn names_and_refusals_are_those_of_kafka_streams() {
    let cases: Vec<Case> = golden();
    let built =
        cases.iter().filter_map(|case| Some((case, names::build(&case.group, &case.name)?)));
    let faults: Vec<String> = built.filter_map(|(case, built)| names::fault(case, built)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_case_is_played_or_known_to_wait() {
    let mut waiting: BTreeSet<(&str, &str)> = WAITING
        .iter()
        .flat_map(|(group, names)| names.iter().map(move |name| (*group, *name)))
        .collect();
    let cases = golden();
    let mut faults = Vec::new();
    let mut met = BTreeSet::new();
    for case in &cases {
        let name = (&*case.group, &*case.name);
        let is_here = setup(case).is_some() || names::build(name.0, name.1).is_some();
        met.insert(name);
        match (is_here, waiting.contains(&name)) {
            (true, true) => faults.push(format!("{name:?} is played: take it off the list")),
            (false, false) => faults.push(format!("{name:?} is neither played nor on the list")),
            _ => {}
        }
    }
    waiting.retain(|name| !met.contains(name));
    faults.extend(waiting.iter().map(|name| format!("{name:?} waits, but no file has it")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The control of the tests above.
#[test]
fn each_field_of_a_golden_line_counts() {
    let found = |case: &Case| fault(case, setup(case).unwrap(), Variant::Undisturbed).is_some();
    let case = golden().into_iter().find(|case| case.name == "aggregations").unwrap();
    assert!(!found(&case), "as it is, it fits");
    for (kind, fields) in [("out", 1..6), ("store", 1..5), ("dropped", 1..2)] {
        let at = case.lines.iter().rposition(|line| line.starts_with(kind)).unwrap();
        for field in fields {
            let mut changed = case.clone();
            let mut parts: Vec<&str> = changed.lines[at].split('\t').collect();
            parts[field] = "another";
            changed.lines[at] = parts.join("\t");
            assert!(found(&changed), "field {field} of a line `{kind}`");
        }
        let mut shorter = case.clone();
        shorter.lines.remove(at);
        assert!(found(&shorter), "a line `{kind}` that is missing");
    }
    let at = case.lines.iter().position(|line| line.starts_with("out")).unwrap();
    let mut swapped = case;
    swapped.lines.swap(at, at + 1);
    assert!(found(&swapped), "two outputs the other way round");

    let ticker = golden().into_iter().find(|case| case.name == "schedules").unwrap();
    let crashed = fault(&ticker, setup(&ticker).unwrap(), Variant::Crashing);
    assert!(crashed.is_some(), "a crash is played: a processor's own fields begin anew");

    let of_names = |case: &Case| names::fault(case, names::build(&case.group, &case.name).unwrap());
    for name in ["count", "a_name_with_a_slash"] {
        let mut case = golden().into_iter().find(|case| case.name == name).unwrap();
        case.lines[0] = "built".to_owned();
        assert!(of_names(&case).is_some(), "{name}");
    }
}
