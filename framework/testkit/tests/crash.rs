//! A crash at every step of the worker changes nothing: crashes are enumerated, not guessed.
//!
//! Pass one runs a script without a crash, counts the steps that it takes and checks its results
//! against sums made by hand. Pass two runs it once for each step, crashes there, recovers, and
//! checks the same. The negative controls show that the checker sees each rule when it is broken.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashSet};

use oncestream_core::commit::Guarantee;
use oncestream_core::graph::Topology;
use oncestream_core::serde::HasSerde;
use oncestream_operators::{Materialized, Optimization, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{CommitStep, DriverError, Sabotage, TestInput};

type Text = Option<String>;
type Counts = BTreeMap<String, i64>;

/// One topology, with what its script must lead to.
struct Case {
    build: fn() -> Topology,
    store: Option<&'static str>,
    expected: fn() -> Counts,
}

/// The cases that keep exact results through every crash.
fn all_cases() -> [Case; 5] {
    [stateless(), count(), word_count(), table_group_by(), table_of_its_topic()]
}

#[derive(Clone, Copy)]
struct Setting {
    guarantee: Guarantee,
    commit_interval_ms: i64,
    cache_max_bytes: usize,
    /// How much may wait in memory; `None` writes with each commit.
    write_behind: Option<usize>,
    sabotage: Option<Sabotage>,
}

const EXACTLY_ONCE: Setting = Setting {
    guarantee: Guarantee::ExactlyOnce,
    commit_interval_ms: 0,
    cache_max_bytes: 10 << 20,
    write_behind: None,
    sabotage: None,
};

const SCRIPT: [(Option<&str>, &str); 7] = [
    (Some("a"), "x y"),
    (Some("b"), "y"),
    (None, "z x"),
    (Some("a"), "x"),
    (Some("c"), "z z y"),
    (Some("b"), "y x"),
    (Some("a"), "w"),
];

/// Each word goes out as its own key with the value 1: the sum over all records of a key counts
/// losses and duplicates.
fn stateless() -> Case {
    Case {
        build: || {
            let b = StreamsBuilder::new();
            b.stream::<Text, String>("in")
                .filter(|_, v| v != "w")
                .map_values(|_| Some(1_i64))
                .to("out");
            b.build().unwrap()
        },
        store: None,
        expected: || by_key(|_, v| i64::from(v != "w")),
    }
}

fn count() -> Case {
    Case {
        build: || {
            let b = StreamsBuilder::new();
            b.stream::<Text, String>("in").group_by_key().count("counts").to_stream().to("out");
            b.build().unwrap()
        },
        store: Some("counts"),
        expected: || {
            let mut counts = by_key(|_, _| 1);
            counts.remove("-");
            counts
        },
    }
}

/// Two sub-topologies with a repartition topic in between.
fn word_count() -> Case {
    Case {
        build: || {
            let b = StreamsBuilder::new();
            b.stream::<Text, String>("in")
                .flat_map_values(|v| v.split(' ').map(str::to_owned).collect::<Vec<_>>())
                .group_by(|_, word| Some(word.clone()))
                .count("counts")
                .to_stream()
                .to("out");
            b.build().unwrap()
        },
        store: Some("counts"),
        expected: || {
            let mut counts = Counts::new();
            for word in SCRIPT.iter().flat_map(|(_, v)| v.split(' ')) {
                *counts.entry(word.to_owned()).or_default() += 1;
            }
            counts
        },
    }
}

/// A table regrouped: each change takes a value out of one group and adds it to another, in two
/// partitions. A lost or doubled half shows as a wrong count for ever.
fn table_group_by() -> Case {
    Case {
        build: || regrouped(Optimization::none()),
        store: Some("counts"),
        expected: || {
            let mut table = BTreeMap::new();
            let mut counts = Counts::new();
            for (key, value) in SCRIPT {
                let Some(key) = key else { continue };
                if let Some(old) = table.insert(key, &value[..1]) {
                    *counts.entry(old.to_owned()).or_default() -= 1;
                }
                *counts.entry(value[..1].to_owned()).or_default() += 1;
            }
            without_zeros(counts)
        },
    }
}

/// The same with a table that has no changelog: its topic brings it back.
fn table_of_its_topic() -> Case {
    Case { build: || regrouped(Optimization::all()), ..table_group_by() }
}

fn regrouped(optimization: Optimization) -> Topology {
    let b = StreamsBuilder::new().optimization(optimization);
    b.table::<String, String>("in")
        .materialized("table")
        .group_by(|key, value| (Some(value[..1].to_owned()), key.clone()))
        .count("counts")
        .to_stream()
        .to("out");
    b.build().unwrap()
}

/// A group that a key entered and left within one commit may have been seen or not.
fn without_zeros(mut counts: Counts) -> Counts {
    counts.retain(|_, count| *count != 0);
    counts
}

fn by_key(weight: impl Fn(Option<&str>, &str) -> i64) -> Counts {
    let mut counts = Counts::new();
    for (key, value) in SCRIPT {
        *counts.entry(key.unwrap_or("-").to_owned()).or_default() += weight(key, value);
    }
    counts
}

/// Where a run crashed, and what recovering read back.
struct Crash {
    step: CommitStep,
    restored: u64,
}

struct Run<'a> {
    case: &'a Case,
    driver: TopologyTestDriver,
    /// Nothing waits in memory, so a crash leaves little to restore.
    writes_at_once: bool,
    crashes: Vec<Crash>,
    faults: Vec<String>,
    /// A second crash so many steps after the first.
    again_after: Option<u64>,
}

impl<'a> Run<'a> {
    fn new(case: &'a Case, setting: Setting) -> Self {
        let mut builder = TopologyTestDriver::builder((case.build)())
            .partitions("in", 3)
            .guarantee(setting.guarantee)
            .commit_interval_ms(setting.commit_interval_ms)
            .cache_max_bytes(setting.cache_max_bytes);
        if let Some(sabotage) = setting.sabotage {
            builder = builder.sabotage(sabotage);
        }
        if let Some(max_bytes) = setting.write_behind {
            builder = builder.write_behind(max_bytes);
        }
        let driver = builder.build().unwrap();
        let writes_at_once = setting.write_behind.is_none();
        Self { case, driver, writes_at_once, crashes: vec![], faults: vec![], again_after: None }
    }

    fn changelog_len(&self) -> usize {
        self.case.store.map_or(0, |store| self.driver.changelog(store).len())
    }

    /// Makes a call; after a crash recovers until it stands.
    fn call(&mut self, f: impl FnOnce(&mut TopologyTestDriver) -> Result<(), DriverError>) {
        let mut result = f(&mut self.driver);
        while let Err(error) = result {
            let DriverError::Crashed { step } = error else { panic!("{error}") };
            if let Some(more) = self.again_after.take() {
                self.driver.crash_at_count(self.driver.commit_steps() + more);
            }
            result = self.driver.recover();
            let restored = self.driver.restored_records().values().sum();
            self.crashes.push(Crash { step, restored });
        }
    }

    fn script(&mut self, input: &TestInput<Text, String>) {
        for (at, (key, value)) in SCRIPT.into_iter().enumerate() {
            let key = key.map(str::to_owned);
            self.call(|d| d.pipe(input, key, value.to_owned(), at as i64));
            if at % 3 == 2 {
                self.call(|d| d.advance_wall_clock(100));
            }
        }
        loop {
            let before = self.crashes.len();
            self.call(TopologyTestDriver::commit_all);
            if self.crashes.len() == before {
                break;
            }
        }
    }

    fn fault(&mut self, what: &str, expected: &impl std::fmt::Debug, got: &impl std::fmt::Debug) {
        self.faults.push(format!("{what}: expected {expected:?}, got {got:?}"));
    }

    /// Committed output, stores, changelogs and a fresh start must all say the same.
    fn check(&mut self) {
        let expected = (self.case.expected)();
        let output = self.output();
        if output != expected {
            self.fault("output", &expected, &output);
        }
        let Some(store) = self.case.store else { return };
        let stored = self.stored(store);
        if stored != expected {
            self.fault("store", &expected, &stored);
        }
        let folded = self.changelog(store);
        if folded != expected {
            self.fault("changelog", &expected, &folded);
        }
        // What is in memory only must not be what made the checks above pass.
        self.driver.recover().unwrap();
        let applied = self.stored(store);
        if applied != expected {
            self.fault("store on disk", &expected, &applied);
        }
        let restored = self.driver.restored_records();
        if self.writes_at_once && !restored.is_empty() {
            self.fault("restored after the last commit", &"nothing", &restored);
        }
        self.driver.crash_and_lose_disk().unwrap();
        self.driver.recover().unwrap();
        let rebuilt = self.stored(store);
        if rebuilt != expected {
            self.fault("store out of the changelog alone", &expected, &rebuilt);
        }
    }

    /// With a store: the last value of each key. Without: the sum of all values of each key.
    fn output(&self) -> Counts {
        let mut counts = Counts::new();
        for r in self.driver.output::<Text, Option<i64>>("out").read_all().unwrap() {
            let total = counts.entry(r.key.unwrap_or_else(|| "-".into())).or_default();
            let value = r.value.unwrap();
            *total = if self.case.store.is_some() { value } else { *total + value };
        }
        without_zeros(counts)
    }

    fn stored(&self, store: &str) -> Counts {
        let entries = self.driver.store::<Text, i64>(store).unwrap().to_map().unwrap();
        without_zeros(entries.into_iter().map(|(k, v)| (k.unwrap(), v)).collect())
    }

    fn changelog(&self, store: &str) -> Counts {
        let mut counts = Counts::new();
        for r in self.driver.changelog(store) {
            let key = String::serde().deserialize(&r.key.unwrap()).unwrap();
            counts.insert(key, i64::serde().deserialize(&r.value.unwrap()).unwrap());
        }
        without_zeros(counts)
    }
}

/// What one run of the script led to.
struct Outcome {
    faults: Vec<String>,
    /// The steps it went through.
    steps: u64,
    crashed_at: Vec<CommitStep>,
}

/// Runs the script with a crash at the n-th step, if any, and checks it.
fn run(case: &Case, setting: Setting, crash: Option<u64>, again: Option<u64>) -> Outcome {
    let mut run = Run::new(case, setting);
    run.again_after = again;
    if let Some(n) = crash {
        run.driver.crash_at_count(n);
    }
    let input = run.driver.input("in");
    run.script(&input);
    let steps = run.driver.commit_steps();
    assert_eq!(crash.is_some(), !run.crashes.is_empty(), "the crash happens");
    let mut owed = false;
    for crash in &run.crashes {
        // Only a crash between the commit and its apply leaves something to restore. A second one may
        // come before it is restored.
        owed |= crash.step == CommitStep::AfterCommit;
        if run.writes_at_once && !owed && crash.restored > 0 {
            run.faults.push(format!("{:?}: restored {}", crash.step, crash.restored));
        }
    }
    run.check();
    let crashed_at = run.crashes.iter().map(|crash| crash.step).collect();
    Outcome { faults: run.faults, steps, crashed_at }
}

/// Both passes. Gives every fault, with the step that was crashed at.
fn enumerate(case: &Case, setting: Setting) -> Vec<String> {
    let whole = run(case, setting, None, None);
    assert_eq!(whole.faults, none(), "without a crash");
    let (steps, mut seen, mut all) = (whole.steps, HashSet::new(), Vec::new());
    for n in 1..=steps {
        let outcome = run(case, setting, Some(n), None);
        seen.extend(outcome.crashed_at);
        all.extend(outcome.faults.into_iter().map(|f| format!("step {n} of {steps}: {f}")));
    }
    let mut kinds = EACH_COMMIT.to_vec();
    kinds.extend(case.store.map(|_| CommitStep::BeforeChangelog));
    kinds.retain(|kind| !seen.contains(kind));
    assert_eq!(kinds, [], "every kind of step was crashed at");
    all
}

/// What every commit of a transaction goes through.
const EACH_COMMIT: [CommitStep; 6] = [
    CommitStep::BeforeBegin,
    CommitStep::BeforeSend,
    CommitStep::BeforeOffsets,
    CommitStep::BeforeCommit,
    CommitStep::AfterCommit,
    CommitStep::AfterApply,
];

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_crash_at_any_step_of_a_commit_changes_no_result() {
    for case in all_cases() {
        for commit_interval_ms in [0, 100] {
            for cache_max_bytes in [0, 10 << 20] {
                let setting = Setting { commit_interval_ms, cache_max_bytes, ..EXACTLY_ONCE };
                assert_eq!(enumerate(&case, setting), none());
            }
        }
    }
}

/// The bounds: two or three commits wait, about ten, and all of them.
#[test]
fn a_crash_changes_no_result_where_what_is_committed_waits_in_memory() {
    for case in [count(), word_count(), table_group_by()] {
        for (max_bytes, commit_interval_ms) in [(400, 0), (1500, 0), (1 << 20, 100)] {
            let write_behind = Some(max_bytes);
            let setting = Setting { commit_interval_ms, write_behind, ..EXACTLY_ONCE };
            assert_eq!(enumerate(&case, setting), none(), "{max_bytes}");
        }
    }
}

#[test]
fn a_second_crash_soon_after_the_first_changes_no_result() {
    for case in [word_count(), table_group_by()] {
        let setting = Setting { commit_interval_ms: 100, ..EXACTLY_ONCE };
        let steps = run(&case, setting, None, None).steps;
        for n in 1..=steps {
            for again in 1..=8 {
                let faults = run(&case, setting, Some(n), Some(again)).faults;
                assert_eq!(faults, none(), "steps {n} and {again} later");
            }
        }
    }
}

#[test]
fn a_crash_between_any_two_records_changes_no_result() {
    for case in all_cases() {
        for crash_after in 0..SCRIPT.len() {
            let mut run = Run::new(&case, Setting { commit_interval_ms: 100, ..EXACTLY_ONCE });
            let input = run.driver.input::<Text, String>("in");
            for (at, (key, value)) in SCRIPT.into_iter().enumerate() {
                let key = key.map(str::to_owned);
                run.driver.pipe(&input, key, value.to_owned(), at as i64).unwrap();
                if at == crash_after {
                    run.driver.crash();
                }
                if at == crash_after + 1 {
                    run.driver.recover().unwrap();
                }
            }
            if run.driver.is_down() {
                run.driver.recover().unwrap();
            }
            run.driver.commit_all().unwrap();
            run.check();
            assert_eq!(run.faults, none(), "crash after record {crash_after}");
        }
    }
}

#[test]
fn a_restore_reads_only_what_lies_after_the_checkpoint() {
    let case = count();
    let setting = Setting { commit_interval_ms: 100, ..EXACTLY_ONCE };
    let mut seen = 0;
    let steps = run(&case, setting, None, None).steps;
    for n in 1..=steps {
        let mut run = Run::new(&case, setting);
        run.driver.crash_at_count(n);
        let input = run.driver.input::<Text, String>("in");
        for (at, (key, value)) in SCRIPT.into_iter().enumerate() {
            let key = key.map(str::to_owned);
            let applied = run.changelog_len();
            let piped = run.driver.pipe(&input, key, value.to_owned(), at as i64);
            let Err(error) = piped.and_then(|()| run.driver.commit()) else { continue };
            let DriverError::Crashed { step } = error else { panic!("{error}") };
            let committed = run.changelog_len();
            run.driver.recover().unwrap();
            let restored: u64 = run.driver.restored_records().values().sum();
            let is_committed = matches!(step, CommitStep::AfterCommit | CommitStep::AfterApply);
            assert_eq!(committed > applied, is_committed && key_counts(at), "{step:?}");
            let missing = if step == CommitStep::AfterApply { 0 } else { committed - applied };
            assert_eq!(restored, missing as u64, "{step:?}");
            seen += restored;
        }
    }
    assert!(seen > 0, "some crash left something to restore");
}

/// A record without a key is not counted, so that its commit writes no changelog record.
fn key_counts(at: usize) -> bool {
    SCRIPT[at].0.is_some()
}

// ---- negative controls: the checker must see what is broken ----

#[test]
fn at_least_once_counts_some_records_twice_and_loses_none() {
    for case in [stateless(), count(), word_count()] {
        let setting = Setting { guarantee: Guarantee::AtLeastOnce, ..EXACTLY_ONCE };
        let expected = (case.expected)();
        let steps = run(&case, setting, None, None).steps;
        let mut over = 0;
        for n in 1..=steps {
            let mut run = Run::new(&case, setting);
            run.driver.crash_at_count(n);
            let input = run.driver.input("in");
            run.script(&input);
            let output = run.output();
            for (key, count) in &expected {
                assert!(output[key] >= *count, "step {n}: {key} was lost");
                over += i64::from(output[key] > *count);
            }
        }
        assert!(over > 0, "exactly once is not what makes these crashes harmless");
    }
}

/// Nothing but its disk has what such a store holds, so the disk must have it before the offsets say
/// that it is done.
#[test]
fn at_least_once_a_store_without_a_changelog_has_all_that_its_committed_offsets_say() {
    let case = Case {
        build: || {
            let b = StreamsBuilder::new();
            b.stream::<Text, String>("in")
                .group_by_key()
                .count(Materialized::named("counts").logging_disabled())
                .to_stream()
                .to("out");
            b.build().unwrap()
        },
        store: None,
        expected: count().expected,
    };
    let wait = Some(1 << 20);
    for (commit_interval_ms, write_behind) in [(0, None), (100, None), (0, wait), (100, wait)] {
        let guarantee = Guarantee::AtLeastOnce;
        let setting = Setting { guarantee, commit_interval_ms, write_behind, ..EXACTLY_ONCE };
        let expected = (case.expected)();
        let mut whole = Run::new(&case, setting);
        let input = whole.driver.input("in");
        whole.script(&input);
        assert_eq!(whole.stored("counts"), expected, "without a crash");
        let (steps, mut seen, mut over) = (whole.driver.commit_steps(), HashSet::new(), 0);
        for n in 1..=steps {
            let mut run = Run::new(&case, setting);
            run.driver.crash_at_count(n);
            let input = run.driver.input("in");
            run.script(&input);
            // What is in memory only is no proof.
            run.driver.recover().unwrap();
            let stored = run.stored("counts");
            let step = run.crashes[0].step;
            for (key, count) in &expected {
                let has = stored.get(key).copied().unwrap_or_default();
                assert!(has >= *count, "{step:?}, step {n}: {key} has {has} of {count}");
                over += i64::from(has > *count);
            }
            seen.insert(step);
        }
        // There is no transaction to commit.
        let mut kinds = EACH_COMMIT.to_vec();
        let of_transactions = [CommitStep::BeforeBegin, CommitStep::BeforeCommit];
        kinds.retain(|kind| !of_transactions.contains(kind) && !seen.contains(kind));
        assert_eq!(kinds, [], "every kind of step was crashed at");
        assert!(over > 0, "no crash lay between the store and the offsets");
    }
}

#[test]
fn offsets_outside_the_transaction_are_noticed() {
    let sabotage = Some(Sabotage::OffsetsOutsideTransaction);
    for case in all_cases() {
        assert_ne!(enumerate(&case, Setting { sabotage, ..EXACTLY_ONCE }), none());
    }
}

#[test]
fn stores_applied_before_the_commit_are_noticed() {
    let sabotage = Some(Sabotage::ApplyBeforeCommit);
    for case in [count(), word_count()] {
        assert_ne!(enumerate(&case, Setting { sabotage, ..EXACTLY_ONCE }), none());
    }
}

#[test]
fn restores_without_checkpoints_are_noticed() {
    let sabotage = Some(Sabotage::NoCheckpoints);
    let faults = run(&count(), Setting { sabotage, ..EXACTLY_ONCE }, None, None).faults;
    assert!(faults.iter().any(|f| f.contains("restored after the last commit")), "{faults:?}");
}
