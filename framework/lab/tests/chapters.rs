//! Each chapter is a test: its claims hold, and each of them fails when something is changed.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Instant;

use oncestream_lab::{Chapter, Lab, Language, Report, Scene, Terminal, chapters};

/// The processes of chapters are this program, started again for this test.
#[test]
fn worker() {
    oncestream_lab::run_if_worker();
}

fn lab() -> Lab {
    Lab::default().worker_arguments(["--exact", "worker", "--nocapture"])
}

fn run(lab: Lab, chapter: &'static Chapter) -> Report {
    let begun = Instant::now();
    let mut shown = Vec::new();
    let report = lab
        .run(chapter, &mut Terminal::new(&mut shown, Language::English))
        .unwrap_or_else(|error| panic!("{}: {error}", chapter.name));
    println!("{}\n{} took {:?}", String::from_utf8_lossy(&shown), chapter.name, begun.elapsed());
    report
}

/// All claims hold, and with each mutation those fail that it is there for. Each claim has one.
fn claims_hold_and_can_fail(name: &str) {
    let chapter = oncestream_lab::find(name).unwrap();
    let report = run(lab(), chapter);
    let failed: Vec<_> = report.claims.iter().filter(|claim| !claim.holds).collect();
    assert!(failed.is_empty(), "{name}: {failed:#?}");
    assert!(
        report.scenes.iter().any(|scene| matches!(scene, Scene::Wire(d) if !d.steps.is_empty())),
        "{name} shows nothing of what went over the wire"
    );

    let mut can_fail = BTreeSet::new();
    for mutation in chapter.mutations {
        let report = run(lab().with(mutation.setting, mutation.value), chapter);
        let failed: BTreeSet<_> =
            report.claims.iter().filter(|claim| !claim.holds).map(|claim| claim.name).collect();
        for claim in mutation.breaks {
            assert!(
                failed.contains(claim),
                "{name} with {}={}: {claim} holds, {failed:?} fail",
                mutation.setting,
                mutation.value
            );
        }
        can_fail.extend(mutation.breaks.iter().copied());
    }
    let claims: BTreeSet<_> = report.claims.iter().map(|claim| claim.name).collect();
    assert_eq!(can_fail, claims, "{name}: claims that no mutation breaks, or that are not there");
}

macro_rules! chapters {
    ($($test:ident = $name:literal,)*) => {
        const TESTED: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                claims_hold_and_can_fail($name);
            }
        )*
    };
}

chapters! {
    at_most_once = "at-most-once",
    at_least_once = "at-least-once",
    idempotent_producer = "idempotent-producer",
    idempotence_limits = "idempotence-limits",
    five_in_flight = "five-in-flight",
    new_leader = "new-leader",
    producer_snapshot = "producer-snapshot",
    all_or_nothing = "all-or-nothing",
    zombie = "zombie",
    read_committed = "read-committed",
    crash_before_commit = "crash-before-commit",
    thought_dead = "thought-dead",
    consume_transform_produce = "consume-transform-produce",
    side_effect = "side-effect",
    database = "database",
    another_cluster = "another-cluster",
    uncommitted_reader = "uncommitted-reader",
}

#[test]
fn each_chapter_is_tested() {
    let all: Vec<_> = chapters().iter().map(|chapter| chapter.name).collect();
    assert_eq!(all, TESTED);
}
