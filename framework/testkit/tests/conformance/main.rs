//! The cases of the golden files, played here: the same topology gets the same inputs, and must give the
//! lines that Kafka Streams printed.
//!
//! README.md says what the files are. Each group of topologies is a module.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod caching;
mod closing;
mod cogroup;
mod commits;
mod compared;
mod differences;
mod foreign_key_names;
mod foreign_keys;
mod format;
mod functions;
mod global_tables;
mod held;
mod names;
mod optimized;
mod outputs;
mod play;
mod processors;
mod session_stores;
mod session_windows;
mod sliding_windows;
mod stores;
mod stream_join_names;
mod stream_joins;
mod stream_table_joins;
mod streams;
mod suppress;
mod table_join_names;
mod table_joins;
mod tables;
mod time_windows;
mod versioned;
mod versioned_joins;
mod versioned_names;
mod waiting;
mod window_stores;
mod windowed;
mod windowed_keys;
mod windowed_names;

use differences::{REFUSED, unforeseen, unforeseen_in_any_seed};
use format::{Case, golden, read};
use play::{Setup, Variant, fault};

/// The topology of a case that has inputs, if it is here.
fn setup(case: &Case) -> Option<Setup> {
    match &*case.group {
        "streams" => streams::setup(&case.name),
        "tables" => tables::setup(&case.name),
        "table_joins" => table_joins::setup(case),
        "foreign_keys" => foreign_keys::setup(&case.name),
        "processors" => processors::setup(&case.name),
        "global_tables" => global_tables::setup(&case.name),
        "stores" => stores::setup(&case.name)
            .or_else(|| window_stores::setup(&case.name))
            .or_else(|| session_stores::setup(&case.name)),
        "time_windows" => time_windows::setup(case),
        "sliding_windows" => sliding_windows::setup(case),
        "session_windows" => session_windows::setup(case),
        "closing" => closing::setup(case),
        "cogroup" => cogroup::setup(case),
        "suppress" => suppress::setup(&case.name),
        "windowed_keys" => windowed_keys::setup(case),
        "commits" => commits::setup(case),
        "stream_joins" => stream_joins::setup(case),
        "versioned" => versioned::setup(case),
        "optimized" => optimized::setup(&case.name),
        _ => None,
    }
}

/// Plays every case of these seeds.
fn compare(variant: Variant, seeds: &[&str]) {
    let mut cases = golden();
    cases.retain(|case| seeds.contains(&&*case.seed));
    let played = play_all(variant, &cases);
    assert!(played >= 100 * seeds.len(), "the golden files are there: {played} cases were played");
}

fn play_all(variant: Variant, cases: &[Case]) -> usize {
    let (mut played, mut faults) = (0, Vec::new());
    for case in cases {
        let Some(setup) = setup(case) else { continue };
        if setup.schedules && variant != Variant::Undisturbed {
            continue;
        }
        played += 1;
        faults.extend(unforeseen(case, cases, setup, variant));
    }
    assert!(faults.is_empty(), "{} of {played} cases:\n{}", faults.len(), faults.join("\n"));
    played
}

/// Where golden files of other seeds lie, in a folder for each.
const FRESH: &str = "ONCESTREAM_CONFORMANCE_SEEDS";

#[test]
#[ignore = "needs golden files of other seeds, in the folder that ONCESTREAM_CONFORMANCE_SEEDS names"]
fn other_seeds_give_what_kafka_streams_gives() {
    let folder = std::env::var_os(FRESH).expect("ONCESTREAM_CONFORMANCE_SEEDS names a folder");
    let seeds: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|seed| seed.unwrap().path()).collect();
    assert!(!seeds.is_empty(), "there are golden files");
    let mut faults = Vec::new();
    for seed in seeds {
        let cases = read(&seed);
        let played = cases.iter().filter(|case| setup(case).is_some());
        faults.extend(
            played
                .clone()
                .filter_map(|case| unforeseen_in_any_seed(case, &cases, || setup(case).unwrap())),
        );
        let played = played.count();
        assert!(played >= 100, "{}: {played} cases were played", seed.display());
    }
    assert!(faults.is_empty(), "{} cases:\n{}", faults.len(), faults.join("\n"));
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
fn every_case_is_played() {
    let is_here = |case: &&Case| {
        let name = (&*case.group, &*case.name);
        setup(case).is_some()
            || names::build(name.0, name.1).is_some()
            || windowed_names::cannot_be_written(name.0, name.1)
            || stream_join_names::cannot_be_written(name.0, name.1)
            || versioned_names::cannot_be_written(name.0, name.1)
            || REFUSED.contains(&name)
    };
    let missing: Vec<String> =
        golden().iter().filter(|case| !is_here(case)).map(Case::title).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The control of the tests above.
#[test]
fn each_field_of_a_golden_line_counts() {
    let found = |case: &Case| fault(case, setup(case).unwrap(), Variant::Undisturbed).is_some();
    let is_it = |case: &Case| case.group == "streams" && case.name == "aggregations";
    let case = golden().into_iter().find(is_it).unwrap();
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
