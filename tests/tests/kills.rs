//! Processes of an application are killed, added and stopped while records flow.
//! What comes out must be exact, and a run without exactly once must not be.
//!
//! Run with `cargo test -p oncestream-tests --test kills`, on the embedded broker, and with
//! `ONCESTREAM_TEST_BROKER=apache` on Apache Kafka, which needs Java, and Maven once.
//! `ONCESTREAM_TEST_SEED` repeats the choices of a run, though not its timing; `-- --nocapture`
//! shows what was done.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use oncestream_tests::app::{App, Guarantee, seed};
use oncestream_tests::check::{
    Shown, assert_exact, count_words, differences, last_counts, steps_back,
};
use oncestream_tests::feed::{Feeder, lines};
use oncestream_tests::instance::Instance;
use oncestream_tests::kafka::{Read, count_aborted, read_committed};
use oncestream_tests::stores::read_stores;

const INSTANCE: &str = env!("CARGO_BIN_EXE_instance");
const KILLS: usize = 10;
const LINES_PER_SECOND: usize = 2000;
const VOCABULARY: usize = 400;

/// Runs two instances through all kills while lines flow, lets them finish and stops them. What
/// was written comes back.
fn run_with_kills(
    app: &App,
    seed: u64,
    next: impl FnMut() -> String + Send + 'static,
) -> Vec<String> {
    let mut instances = [app.start(0), app.start(1)];
    let feeder = Feeder::start(&app.input, LINES_PER_SECOND, usize::MAX, next);
    app.kill_again_and_again(&mut instances, KILLS, seed);
    let written = feeder.stop();
    app.await_all_committed();
    app.stop(&mut instances);
    let aborted: BTreeMap<String, usize> =
        app.topics().into_iter().map(|t| (t.clone(), count_aborted(&t))).collect();
    println!("{}: {} values, {KILLS} kills, hidden: {aborted:?}", app.id, written.len());
    for (topic, count) in aborted.into_iter().filter(|(topic, _)| *topic != app.input) {
        let transactional = app.guarantee == Guarantee::ExactlyOnce;
        assert_eq!(count > 0, transactional, "aborted records on {topic}: {count}");
    }
    written
}

#[test]
fn counts_are_exact_after_ten_kills_of_two_instances() {
    let seed = seed("word count");
    let app = App::new(INSTANCE, "kills-exact", "word_count", Guarantee::ExactlyOnce);
    let written = run_with_kills(&app, seed, lines(seed, VOCABULARY));
    assert_exact(&app, &count_words(&written), 2);
}

#[test]
fn without_exactly_once_the_same_kills_are_seen_as_counts_too_high() {
    let seed = seed("at least once");
    let app = App::new(INSTANCE, "kills-at-least", "word_count", Guarantee::AtLeastOnce);
    let written = run_with_kills(&app, seed, lines(seed, VOCABULARY));
    let output = read_committed(&app.output);
    let found = differences(&count_words(&written), &last_counts(&output));
    println!("{}: {}; {} steps back", app.id, Shown(&found), steps_back(&output).len());
    assert!(
        !found.is_empty(),
        "ten kills repeated nothing: then the check of exactly once is blind"
    );
    let lost: Vec<_> = found.iter().filter(|d| d.actual < d.expected).cloned().collect();
    assert!(lost.is_empty(), "at least once lost something: {}", Shown(&lost));
}

#[test]
fn every_value_passes_once_through_ten_kills_of_two_instances() {
    let seed = seed("pass through");
    let app = App::new(INSTANCE, "kills-pass", "pass_through", Guarantee::ExactlyOnce);
    let mut number = 0_u64;
    let written = run_with_kills(&app, seed, move || {
        number += 1;
        number.to_string()
    });
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for record in read_committed(&app.output) {
        let value = String::from_utf8(record.value.expect("a value")).unwrap();
        *times.entry(value).or_default() += 1;
    }
    let lost: Vec<_> = written.iter().filter(|v| !times.contains_key(*v)).take(10).collect();
    let twice: Vec<_> = times.iter().filter(|(_, n)| **n > 1).take(10).collect();
    assert!(lost.is_empty() && twice.is_empty(), "lost {lost:?}, repeated {twice:?}");
    assert_eq!(times.len(), written.len(), "nothing that was not written");
}

/// How many changelog records each partition has from an offset on.
fn tail(changelog: &[Read], from: &BTreeMap<i32, i64>) -> BTreeMap<String, u64> {
    let mut tail: BTreeMap<String, u64> = from.keys().map(|p| (format!("counts-{p}"), 0)).collect();
    for r in changelog.iter().filter(|r| r.offset >= from[&r.partition]) {
        *tail.get_mut(&format!("counts-{}", r.partition)).unwrap() += 1;
    }
    tail
}

/// The checkpoints in a slot whose instance has ended.
fn checkpoints(app: &App, slot: usize) -> BTreeMap<i32, i64> {
    let stores = read_stores(&app.state_dir(slot), &app.id, "counts");
    stores.into_iter().map(|s| (s.partition, s.checkpoint)).collect()
}

/// Starts an instance and tells what it had restored when it ran; partitions without are 0.
fn restart(
    app: &App,
    slot: usize,
    partitions: &BTreeMap<i32, i64>,
) -> (Instance, BTreeMap<String, u64>) {
    let instance = app.start(slot);
    let mut restored = instance.await_running();
    for p in partitions.keys() {
        restored.entry(format!("counts-{p}")).or_default();
    }
    (instance, restored)
}

#[test]
fn a_killed_instance_restores_only_what_its_checkpoint_lacks() {
    let seed = seed("restore");
    let app = App::new(INSTANCE, "kills-restore", "word_count", Guarantee::ExactlyOnce);
    // A kill takes what waits in memory: here nothing does, so that it is known what is left.
    let app = app.set("statestore.write.interval.ms=0");
    let changelog = app.changelog("counts");
    let mut first = app.start(0);
    let mut written = Feeder::start(&app.input, 20_000, 50_000, lines(seed, 5000)).finish();
    app.await_all_committed();
    first.kill();
    let reached = checkpoints(&app, 0);
    assert_eq!(reached.len(), 4);

    // Killed at rest: next to nothing is left to restore.
    let records = read_committed(&changelog);
    let (mut again, restored) = restart(&app, 0, &reached);
    assert_eq!(restored, tail(&records, &reached), "after a kill at rest");
    again.kill();
    let reached = checkpoints(&app, 0);

    // An empty state directory: everything is restored. And this instance moves on.
    let from_start: BTreeMap<i32, i64> = reached.keys().map(|p| (*p, 0)).collect();
    let (mut second, restored) = restart(&app, 1, &from_start);
    assert_eq!(restored, tail(&records, &from_start), "on an empty state directory");
    written.extend(Feeder::start(&app.input, 20_000, 300, lines(seed + 1, 5000)).finish());
    app.await_all_committed();
    second.kill();

    // What the second one wrote is what the first one lacks.
    let records = read_committed(&changelog);
    let lacks = tail(&records, &reached);
    let (last, restored) = restart(&app, 0, &reached);
    assert_eq!(restored, lacks, "after another instance moved on");
    let (lacks, all): (u64, u64) =
        (lacks.values().sum(), tail(&records, &from_start).values().sum());
    assert!(lacks > 0 && lacks * 10 < all, "{lacks} of {all} restored");
    println!("{}: restored {lacks} of {all} changelog records after a kill", app.id);

    app.stop(&mut [last]);
    assert_exact(&app, &count_words(&written), 2);
}

#[test]
fn counts_are_exact_while_instances_come_and_go() {
    let seed = seed("come and go");
    let app = App::new(INSTANCE, "come-and-go", "word_count", Guarantee::ExactlyOnce);
    let feeder = Feeder::start(&app.input, LINES_PER_SECOND, usize::MAX, lines(seed, VOCABULARY));
    let mut instances = Vec::new();
    for slot in 0..3 {
        instances.push(app.start(slot));
        instances[slot].await_progress(0);
        println!("{}: {} instances", app.id, slot + 1);
    }
    for slot in [0, 2] {
        let heard: Vec<usize> = instances.iter().map(Instance::heard).collect();
        let end = instances[slot].terminate();
        println!("{}: instance {slot} ended: {}", app.id, end["counters"]);
        instances[1].await_progress(heard[1]);
    }
    instances[0] = app.start(0);
    instances[0].await_progress(0);
    let written = feeder.stop();
    app.await_all_committed();
    instances.truncate(2);
    app.stop(&mut instances);
    println!("{}: {} lines", app.id, written.len());
    assert_exact(&app, &count_words(&written), 3);
}
