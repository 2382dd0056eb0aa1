//! A null deletes, whoever gives it: an aggregator, a reducer, a mapper, a stream, a processor.
//!
//! The topologies of `data/golden_nulls.tsv` give here what they gave in Kafka Streams; also when
//! what is clean is thrown out of the caches, with a crash after each input, with one at every
//! step of every commit, and when stores come back from their changelogs alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::graph::Topology;
use oncestream_core::serde::HasSerde;
use oncestream_operators::processor::{Entries, Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{KTable, StoreKey, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{DriverError, TestOutput};

type Text = Option<String>;

const GOLDEN: &str = include_str!("data/golden_nulls.tsv");

// ---- the topologies, by the names of GoldenNulls.java ----

/// A topology and its stores, in the order in which the Java program prints them.
fn topology(case: &str) -> (Topology, &'static [&'static str]) {
    let b = StreamsBuilder::new();
    let stores: &[&str] = match case {
        "aggregate" => aggregate(&b),
        "reduce" => reduce(&b),
        "table_map_values" => table_map_values(&b),
        "grouped_table" => grouped_table(&b),
        "to_table" => to_table(&b),
        "processor" => processor(&b),
        other => panic!("no topology for the golden case {other}"),
    };
    (b.build().unwrap(), stores)
}

fn plus(number: &str, more: i64) -> String {
    (number.parse::<i64>().unwrap() + more).to_string()
}

fn unless_reset(value: String) -> Text {
    (value != "reset").then_some(value)
}

fn long(value: &Text) -> bool {
    value.as_ref().is_some_and(|v| v.len() > 1)
}

fn count_by_value<K>(table: &KTable<K, Text>, store: &str, topic: &str)
where
    K: StoreKey + HasSerde,
{
    table
        .group_by(|key, value| (value.clone(), key.clone()))
        .count(store)
        .to_stream()
        .map_values(|n| n.map(|n| n.to_string()))
        .to(topic);
}

fn aggregate(b: &StreamsBuilder) -> &'static [&'static str] {
    let table = b.stream::<String, String>("in").group_by_key().aggregate(
        || Some("0".to_owned()),
        |_, v, n: Text| if v == "reset" { None } else { Some(plus(&n.unwrap(), 1)) },
        "agg",
    );
    // Not flattened: what is null at any depth is null in the topic.
    table.to_stream().to("out");
    table.filter(|_, n| !matches!(n.as_deref().unwrap(), "0" | "1")).to_stream().to("many");
    table.map_values(|n| n.unwrap() + "!").to_stream().to("mapped");
    table
        .map_values(|n| n.unwrap() + "?")
        .materialized("mapped-store")
        .to_stream()
        .to("mapped-too");
    &["agg", "mapped-store"]
}

fn reduce(b: &StreamsBuilder) -> &'static [&'static str] {
    let table = b.stream::<String, Text>("in").group_by_key().reduce(
        |all, v| if v.as_deref() == Some("reset") { None } else { Some(all? + &v?) },
        "reduced",
    );
    table.to_stream().to("out");
    table.filter(|_, v| long(v)).to_stream().to("long");
    table.filter(|_, v| long(v)).materialized("long-store").to_stream().to("long-too");
    count_by_value(&table, "counts", "counted");
    &["reduced", "long-store", "counts"]
}

fn table_map_values(b: &StreamsBuilder) -> &'static [&'static str] {
    let table = b.table::<String, String>("in").materialized("table");
    let mapped = table.map_values(unless_reset);
    mapped.to_stream().to("mapped");
    mapped.map_values(|v| v.map(|v| v + "+")).to_stream().to("mapped-again");
    mapped.filter(|_, v| long(v)).to_stream().to("filtered");
    mapped
        .filter(|_, v| v.as_ref().is_none_or(|v| v.len() != 1))
        .materialized("filtered-store")
        .to_stream()
        .to("filtered-too");
    count_by_value(&mapped, "counts", "counted");
    let stored = table.map_values(unless_reset).materialized("mapped-store");
    stored.to_stream().to("mapped-too");
    count_by_value(&stored, "counts-too", "counted-too");
    &["table", "filtered-store", "counts", "mapped-store", "counts-too"]
}

fn grouped_table(b: &StreamsBuilder) -> &'static [&'static str] {
    let table = b.table::<String, String>("in").materialized("table");
    let grouped = table.group_by(|_, v| (v[..1].to_owned(), Some(v.clone()))).grouped("by-letter");
    let marked = |v: &Text| v.as_ref().unwrap().ends_with('!');
    grouped
        .aggregate(
            || Some("0".to_owned()),
            move |_, v, n: Text| if marked(&v) { None } else { Some(plus(&n.unwrap(), 1)) },
            |_, _, n| if n.as_deref() == Some("1") { None } else { Some(plus(&n.unwrap(), -1)) },
            "agg",
        )
        .to_stream()
        .to("agg-out");
    grouped
        .reduce(
            move |all, v| if marked(&v) { None } else { Some(all? + &v?) },
            |all, v| if all == v { None } else { Some(all?.replace(&v?, "")) },
            "reduced",
        )
        .to_stream()
        .to("reduced-out");
    let count = grouped.count("count");
    count.to_stream().map_values(|n| n.map(|n| n.to_string())).to("count-out");
    &["table", "agg", "reduced", "count"]
}

fn to_table(b: &StreamsBuilder) -> &'static [&'static str] {
    let mapped = b.stream::<String, Text>("in").map_values(|v| unless_reset(v?));
    mapped.to_table::<Text>().materialized("table").to_stream().to("out");
    mapped
        .select_key(|k, _| k.repeat(2))
        .named("rekeyed")
        .to_table::<Text>()
        .materialized("rekeyed")
        .to_stream()
        .to("rekeyed-out");
    &["table", "rekeyed"]
}

/// The `Commands` of `GoldenNulls.java`.
struct Commands(StoreHandle<String, Text>);

impl Processor for Commands {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<String, String>,
    ) -> Result<(), BoxError> {
        let Self(store) = self;
        let key = record.key.clone();
        let (command, value) = record.value.split_once(' ').unwrap_or((&record.value, "null"));
        let value = (value != "null").then(|| value.to_owned());
        let answer = match command {
            "put" => store.put(key, value).map(|()| None)?,
            "put_if_absent" => store.put_if_absent(key, value)?,
            "delete" => store.delete(&key)?,
            _ => store.get(&key)?,
        };
        assert_ne!(answer, Some(None), "a null is no value");
        let answer = answer.flatten().unwrap_or_else(|| "null".to_owned());
        let all = entries(store.all())?;
        let some = entries(store.range(&"b".to_owned(), &"d".to_owned()))?;
        ctx.forward(record.map_value(|_| format!("{answer} {all} {some}")))?;
        Ok(())
    }
}

fn entries(entries: Entries<String, Text>) -> Result<String, TaskError> {
    let one = |(key, value): (String, Text)| format!("{key}={};", value.unwrap());
    let all: String = entries.map(|entry| entry.map(one)).collect::<Result<_, _>>()?;
    Ok(format!("[{all}]"))
}

fn processor(b: &StreamsBuilder) -> &'static [&'static str] {
    let store = b.add_state_store("store");
    b.stream::<String, String>("in").process(&store, Commands).to("out");
    &[]
}

// ---- the comparison ----

/// What may happen without changing a result.
#[derive(Clone, Copy, PartialEq)]
enum Variant {
    /// Nothing, as in Kafka Streams' driver.
    Same,
    /// Nothing clean stays in the caches.
    Evicting,
    /// A crash after each input.
    Crashing,
    /// A crash after each input that takes the disk with it.
    LosingDisk,
    /// A crash at one step of a commit.
    CrashingAt(u64),
}

/// Runs one golden case. Gives the lines that the Java program printed for it, as they come out
/// here, and the number of steps that its commits had.
fn replay(lines: &[&str], variant: Variant) -> (Vec<String>, u64) {
    let header: Vec<&str> = lines[0].split('\t').collect();
    let (topology, stores) = topology(header[1]);
    let cache = match (header[2], variant) {
        ("no-cache", _) => 0,
        (_, Variant::Evicting) => 1,
        _ => 10 << 20,
    };
    let mut driver = TopologyTestDriver::builder(topology).cache_max_bytes(cache).build().unwrap();
    if let Variant::CrashingAt(step) = variant {
        driver.crash_at_count(step);
    }
    let mut outputs: Vec<(&str, TestOutput<Text, Text>)> =
        header[3].split(',').map(|topic| (topic, driver.output(topic))).collect();
    let input = driver.input::<Text, Text>("in");
    let mut actual = vec![lines[0].to_owned()];
    for line in lines.iter().filter(|line| line.starts_with("in\t")) {
        let fields: Vec<&str> = line.split('\t').collect();
        let (key, value) = (text(fields[1]), text(fields[2]));
        let mut result = driver.pipe(&input, key, value, fields[3].parse().unwrap());
        while let Err(DriverError::Crashed { .. }) = result {
            result = driver.recover();
        }
        result.unwrap();
        match variant {
            Variant::Same | Variant::CrashingAt(_) => {}
            Variant::Evicting => stores.iter().for_each(|store| evict(&driver, store)),
            Variant::Crashing => driver.recover().unwrap(),
            Variant::LosingDisk => {
                driver.crash_and_lose_disk().unwrap();
                driver.recover().unwrap();
            }
        }
        actual.push((*line).to_owned());
        for (topic, output) in &mut outputs {
            for r in output.read_all().unwrap() {
                let (key, value) = (untext(&r.key), untext(&r.value));
                actual.push(format!("out\t{topic}\t{key}\t{value}\t{}", r.timestamp));
            }
        }
    }
    let steps = driver.commit_steps();
    for store in stores {
        actual.extend(dump(&driver, store));
        // Each entry is found by its key too, and nothing else: ranges look elsewhere.
        assert_eq!(dump(&driver, store), dump_by_key(&driver, store));
    }
    (actual, steps)
}

fn text(field: &str) -> Text {
    (field != "\\N").then(|| field.to_owned())
}

fn untext(value: &Text) -> &str {
    value.as_deref().unwrap_or("\\N")
}

/// A type of a key or value in some store.
trait Shown: Clone + 'static {
    fn show(&self) -> String;
}

impl Shown for String {
    fn show(&self) -> String {
        self.clone()
    }
}

impl Shown for Text {
    fn show(&self) -> String {
        untext(self).to_owned()
    }
}

impl Shown for i64 {
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Calls `$f` with the types of the store.
macro_rules! typed {
    ($f:ident, $driver:expr, $store:expr) => {
        $f::<String, Text>($driver, $store)
            .or_else(|_| $f::<String, String>($driver, $store))
            .or_else(|_| $f::<String, i64>($driver, $store))
            .or_else(|_| $f::<Text, i64>($driver, $store))
            .unwrap()
    };
}

trait Key: Shown + std::hash::Hash + Eq {
    fn of(text: &str) -> Self;
}

impl Key for String {
    fn of(text: &str) -> Self {
        text.to_owned()
    }
}

impl Key for Text {
    fn of(text: &str) -> Self {
        Some(text.to_owned())
    }
}

fn dump(driver: &TopologyTestDriver, store: &str) -> Vec<String> {
    fn lines<K: Key, V: Shown>(
        driver: &TopologyTestDriver,
        store: &str,
    ) -> Result<Vec<String>, DriverError> {
        let all = driver.store::<K, V>(store)?.all()?.into_iter();
        let line = |(k, v): (K, _)| line(store, &k.show(), &v);
        Ok(all.map(line).collect())
    }
    typed!(lines, driver, store)
}

fn line<V: Shown>(
    store: &str,
    key: &str,
    found: &oncestream_core::state::ValueAndTimestamp<V>,
) -> String {
    format!("store\t{store}\t{key}\t{}\t{}", found.value.show(), found.timestamp)
}

fn dump_by_key(driver: &TopologyTestDriver, store: &str) -> Vec<String> {
    fn lines<K: Key, V: Shown>(
        driver: &TopologyTestDriver,
        store: &str,
    ) -> Result<Vec<String>, DriverError> {
        let keys = driver.changelog(store).into_iter().map(|r| String::from_utf8(r.key.unwrap()));
        let keys: std::collections::BTreeSet<String> = keys.map(Result::unwrap).collect();
        let typed = driver.store::<K, V>(store)?;
        let mut lines = Vec::new();
        for key in keys {
            let found = typed.get_with_timestamp(&K::of(&key))?;
            lines.extend(found.map(|found| line(store, &key, &found)));
        }
        Ok(lines)
    }
    typed!(lines, driver, store)
}

/// Reads keys that are not there until nothing else is left in a cache that is over its bound.
fn evict(driver: &TopologyTestDriver, store: &str) {
    fn read<K: Key, V: Shown>(driver: &TopologyTestDriver, store: &str) -> Result<(), DriverError> {
        let store = driver.store::<K, V>(store)?;
        (0..50).try_for_each(|n| store.get(&K::of(&format!("absent-{n}"))).map(|_| ()))
    }
    typed!(read, driver, store);
}

fn cases() -> Vec<Vec<&'static str>> {
    let lines: Vec<&str> = GOLDEN.lines().collect();
    let cases = lines.chunk_by(|_, line| !line.starts_with("case\t")).map(<[_]>::to_vec);
    let cases: Vec<_> = cases.collect();
    assert_eq!(cases.len(), 11, "the golden file is there");
    cases
}

/// What a run gave that Kafka Streams did not, if anything.
fn difference(case: &[&str], actual: &[String]) -> Option<String> {
    let at = (0..case.len().max(actual.len()))
        .find(|i| actual.get(*i).map(String::as_str) != case.get(*i).copied())?;
    Some(format!("{}: line {at}: expected {:?}, got {:?}", case[0], case.get(at), actual.get(at)))
}

fn compare(variant: Variant) {
    let faults: Vec<String> =
        cases().iter().filter_map(|case| difference(case, &replay(case, variant).0)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_null_of_any_operator_deletes_as_in_kafka_streams() {
    compare(Variant::Same);
}

#[test]
fn a_null_deletes_what_is_no_longer_in_memory() {
    compare(Variant::Evicting);
}

#[test]
fn a_crash_after_each_input_brings_no_deleted_value_back() {
    compare(Variant::Crashing);
}

#[test]
fn a_deleted_value_does_not_come_back_from_the_changelog() {
    compare(Variant::LosingDisk);
}

#[test]
fn a_crash_at_any_step_of_a_commit_neither_undoes_nor_doubles_a_deletion() {
    for case in cases() {
        let (_, steps) = replay(&case, Variant::Same);
        assert!(steps > 0);
        for step in 1..=steps {
            let (actual, _) = replay(&case, Variant::CrashingAt(step));
            assert_eq!(difference(&case, &actual), None, "step {step} of {steps}");
        }
    }
}
