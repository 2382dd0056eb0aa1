//! The DSL's results are those of Kafka Streams: each topology of `data/golden_topologies.tsv`
//! gets the same inputs here, and must give the same outputs after each of them.
//!
//! What a driver of another shape would hide (several partitions, a commit interval, a restart)
//! is tested by hand below.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::hash::Hash;
use std::time::Duration;

use oncestream_core::error::BoxError;
use oncestream_core::graph::Topology;
use oncestream_core::state::ValueAndTimestamp;
use oncestream_core::task::PunctuationType;
use oncestream_core::{Header, Headers, Record, TimestampMs};
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{
    Branched, Consumed, KStream, KTable, Materialized, Produced, StreamsBuilder,
};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{DriverError, TestOutput};

type Text = Option<String>;

const GOLDEN: &str = include_str!("data/golden_topologies.tsv");

// ---- the topologies, by the names of GoldenTopologies.java ----

fn topology(case: &str) -> Topology {
    let b = StreamsBuilder::new();
    match case {
        "stateless" => stateless(&b),
        "word_count" => word_count(&b),
        "count_same_key" => count_same_key(&b),
        "aggregate" => aggregate(&b),
        "group_by_null_key" => group_by_null_key(&b),
        "dynamic_topic" => dynamic_topic(&b),
        "table_source" => table_source(&b),
        "table_group_by" => table_group_by(&b),
        "table_operators" => table_operators(&b),
        "to_table" => to_table(&b),
        "bare_tables" => bare_tables(&b),
        "generated_stores" => generated_stores(&b),
        "reduce" => reduce(&b),
        "merge_and_split" => merge_and_split(&b),
        "punctuation" => punctuation(&b),
        other => panic!("no topology for the golden case {other}"),
    }
    b.build().unwrap()
}

fn upper(v: Text) -> String {
    v.map_or_else(|| "was null".to_owned(), |v| v.to_uppercase())
}

/// Java's `split(" ")` of a text without trailing blanks, with null for null.
fn words(v: Text) -> Vec<Text> {
    match v {
        None => vec![None],
        Some(v) => v.split(' ').map(|w| Some(w.to_owned())).collect(),
    }
}

fn show(count: Option<i64>) -> Text {
    count.map(|n| n.to_string())
}

fn stateless(b: &StreamsBuilder) {
    let long = |_: &Text, v: &Text| v.as_ref().is_none_or(|v| v.len() > 1);
    let input: KStream<Text, Text> = b.stream("in");
    input.filter(long).map_values(upper).to("kept");
    input
        .filter_not(long)
        .map_values_with_key(|k, v| {
            let null = || "null".to_owned();
            Some(format!("{}/{}", k.clone().unwrap_or_else(null), v.unwrap_or_else(null)))
        })
        .to("rest");
    input.flat_map_values(words).to("words");
}

fn word_count(b: &StreamsBuilder) {
    b.stream::<Text, String>("lines")
        .flat_map_values(|v| v.to_lowercase().split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("out");
}

fn count_same_key(b: &StreamsBuilder) {
    b.stream::<Text, Text>("in")
        .flat_map_values(words)
        .group_by_key()
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("out");
}

fn aggregate(b: &StreamsBuilder) {
    b.stream::<Text, Text>("in")
        .group_by_key()
        .aggregate(String::new, |_, v, agg| agg + &v.unwrap_or_default(), "agg")
        .to_stream()
        .to("out");
}

fn group_by_null_key(b: &StreamsBuilder) {
    b.stream::<Text, Text>("in")
        .group_by(|_, v| v.clone().filter(|v| v != "none"))
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("out");
}

fn dynamic_topic(b: &StreamsBuilder) {
    let choose = |r: &Record<String, String>, _: Option<&_>| {
        if r.value.starts_with('-') { "bad" } else { "good" }
    };
    b.stream::<String, String>("in").to(Produced::chosen(choose));
}

fn table(b: &StreamsBuilder) -> KTable<String, String> {
    b.table("in").materialized("table")
}

fn table_source(b: &StreamsBuilder) {
    table(b).to_stream().to("out");
}

fn table_group_by(b: &StreamsBuilder) {
    let grouped = table(b).group_by(|k, v| (v.clone(), k.clone())).grouped("by-value");
    grouped
        .aggregate(
            String::new,
            |_, v, agg| format!("{agg}+{v}"),
            |_, v, agg| format!("{agg}-{v}"),
            "agg",
        )
        .to_stream()
        .to("agg");
    grouped.count("count").to_stream().map_values(show).to("count");
}

fn table_operators(b: &StreamsBuilder) {
    let table = table(b);
    let long = |_: &String, v: &String| v.len() > 1;
    table.filter(long).to_stream().to("filtered");
    table.filter_not(long).to_stream().to("filtered-not");
    table.map_values(|v| v.repeat(2)).to_stream().to("mapped");
    table.filter(long).materialized("long").to_stream().to("filtered-stored");
}

fn bare_tables(b: &StreamsBuilder) {
    let long = |_: &String, v: &String| v.len() > 1;
    let table = b.table::<String, String>("in");
    table.to_stream().to("all");
    table.filter(long).to_stream().to("filtered");
    table.filter_not(long).map_values(|v| v.repeat(2)).to_stream().to("mapped");
    let needed = b.table::<String, String>("other");
    needed.filter(long).to_stream().to("other-filtered");
    let grouped = needed.filter(long).group_by(|k, v| (v.clone(), k.clone()));
    grouped.count(Materialized::new()).to_stream().map_values(show).to("counts");
    needed.filter(long).to_stream().to("filtered-later");
    let stream = b.stream::<Text, Text>("stream");
    stream.to_table::<String>().filter(|_, v| v.len() > 1).to_stream().to("last");
}

fn generated_stores(b: &StreamsBuilder) {
    let grouped = b.stream::<Text, String>("in").group_by(|_, v| v.clone());
    grouped.count(Materialized::new()).to_stream().map_values(show).to("counts");
    grouped.reduce(|a, v| a + &v, Materialized::new()).to_stream().to("reduced");
}

fn to_table(b: &StreamsBuilder) {
    b.stream::<Text, Text>("in")
        .map_values(|v| v.map(|v| v + "!"))
        .to_table::<String>()
        .materialized("table")
        .to_stream()
        .to("out");
}

fn reduce(b: &StreamsBuilder) {
    b.stream::<Text, String>("in")
        .select_key(|_, v| v[..1].to_owned())
        .group_by_key()
        .reduce(|a, c| a + "," + &c, "reduced")
        .to_stream()
        .to("out");
}

fn merge_and_split(b: &StreamsBuilder) {
    let one = b.stream::<Text, String>("one");
    let two = b.stream::<Text, String>("two");
    let mut split = one.map_values(|v| format!("1:{v}")).merge(&two).split();
    split.branch(|_, v| v.ends_with('a'), "a").to("a");
    split.branch(|_, v| v.starts_with('1'), Branched::new()).to("first");
    split.default_branch(Branched::new()).to("rest");
}

/// The `Counter` of `GoldenTopologies.java`.
struct Counter {
    seen: StoreHandle<String, String>,
}

type Context<'a> = ProcessorContext<'a, Counter>;

impl Processor for Counter {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut Context<'_>) -> Result<(), BoxError> {
        ctx.schedule(Duration::from_millis(10), PunctuationType::StreamTime, Self::stream_time);
        let wall_clock = |counter: &mut Self, ctx: &mut Context<'_>, timestamp| {
            counter.tell_all(ctx, "wall", timestamp)
        };
        ctx.schedule(Duration::from_millis(100), PunctuationType::WallClockTime, wall_clock);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<String, String>,
    ) -> Result<(), BoxError> {
        self.seen.update(&record.key, |old| old.unwrap_or_default() + &record.value)?;
        ctx.forward(record.map_value(|v| format!("got{v}")))?;
        Ok(())
    }
}

impl Counter {
    fn stream_time(
        &mut self,
        ctx: &mut Context<'_>,
        timestamp: TimestampMs,
    ) -> Result<(), BoxError> {
        self.tell_all(ctx, "stream", timestamp)
    }

    fn tell_all(
        &mut self,
        ctx: &mut Context<'_>,
        clock: &str,
        timestamp: TimestampMs,
    ) -> Result<(), BoxError> {
        for entry in self.seen.all() {
            let (key, value) = entry?;
            ctx.forward(Record::new(key, format!("{clock}{value}"), timestamp))?;
        }
        Ok(())
    }
}

fn punctuation(b: &StreamsBuilder) {
    let seen = b.add_state_store("seen");
    b.stream::<String, String>("in").process(&seen, |seen| Counter { seen }).to("out");
}

// ---- the comparison ----

/// What may change without changing a result.
#[derive(Clone, Copy, PartialEq)]
enum Variant {
    /// As in Kafka Streams' driver: one partition.
    Same,
    /// Three partitions. What one input led to may come in another order.
    Partitioned,
    /// A crash after each input.
    Crashing,
    /// A crash after each input that takes the disk with it.
    LosingDisk,
}

/// Runs one golden case and gives the lines that the Java program printed for it, as they come
/// out here.
fn replay(lines: &[&str], variant: Variant) -> Vec<String> {
    let header: Vec<&str> = lines[0].split('\t').collect();
    let mut builder = TopologyTestDriver::builder(topology(header[1])).application_id("golden");
    if header[2] == "no-cache" {
        builder = builder.cache_max_bytes(0);
    }
    if variant == Variant::Partitioned {
        builder = builder.default_partitions(3);
    }
    let mut driver = builder.build().unwrap();
    let mut outputs: Vec<(String, TestOutput<Text, Text>)> =
        header[3].split(',').map(|topic| (topic.to_owned(), driver.output(topic))).collect();
    let mut actual = vec![lines[0].to_owned()];
    let mut stores: Vec<String> = Vec::new();
    for line in &lines[1..] {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[0] {
            "in" => {
                let input = driver.input::<Text, Text>(fields[1]);
                let record = Record {
                    key: text(fields[2]),
                    value: text(fields[3]),
                    timestamp: fields[4].parse().unwrap(),
                    headers: headers(fields[5]),
                };
                driver.pipe_record(&input, record).unwrap();
            }
            "wall" => driver.advance_wall_clock(fields[1].parse().unwrap()).unwrap(),
            "store" if !stores.iter().any(|s| s == fields[1]) => stores.push(fields[1].to_owned()),
            _ => continue,
        }
        if fields[0] != "store" {
            actual.push((*line).to_owned());
        }
        match variant {
            Variant::Same | Variant::Partitioned => {}
            Variant::Crashing => driver.recover().unwrap(),
            Variant::LosingDisk => {
                driver.crash_and_lose_disk().unwrap();
                driver.recover().unwrap();
            }
        }
        for (topic, output) in &mut outputs {
            for r in output.read_all().unwrap() {
                let (key, value) = (untext(&r.key), untext(&r.value));
                let headers = unheaders(&r.headers);
                actual.push(format!("out\t{topic}\t{key}\t{value}\t{}\t{headers}", r.timestamp));
            }
        }
    }
    for store in stores {
        actual.extend(dump(&driver, &store));
    }
    actual
}

fn text(field: &str) -> Text {
    (field != "\\N").then(|| field.to_owned())
}

fn untext(value: &Text) -> &str {
    value.as_deref().unwrap_or("\\N")
}

fn headers(field: &str) -> Headers {
    let pairs = field.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(k, v)| Header::new(k, v.as_bytes().to_vec())).collect()
}

fn unheaders(headers: &Headers) -> String {
    let one = |h: &Header| {
        let value = h.value.as_deref().unwrap_or(b"\\N");
        format!("{}={}", h.key, String::from_utf8_lossy(value))
    };
    headers.iter().map(one).collect::<Vec<_>>().join(",")
}

fn dump(driver: &TopologyTestDriver, store: &str) -> Vec<String> {
    fn lines<K, V>(
        driver: &TopologyTestDriver,
        store: &str,
        key: impl Fn(&K) -> String,
        value: impl Fn(&V) -> String,
    ) -> Result<Vec<String>, DriverError>
    where
        K: Hash + Eq + Clone + 'static,
        V: Clone + 'static,
    {
        let line = |(k, v): (K, ValueAndTimestamp<V>)| {
            format!("store\t{store}\t{}\t{}\t{}", key(&k), value(&v.value), v.timestamp)
        };
        Ok(driver.store::<K, V>(store)?.all()?.into_iter().map(line).collect())
    }
    let nullable = |k: &Text| untext(k).to_owned();
    lines(driver, store, String::clone, i64::to_string)
        .or_else(|_| lines(driver, store, String::clone, String::clone))
        .or_else(|_| lines(driver, store, nullable, i64::to_string))
        .or_else(|_| lines(driver, store, nullable, String::clone))
        .unwrap()
}

/// Sorts what came out between two inputs.
fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut steps: Vec<Vec<String>> = vec![vec![]];
    for line in lines {
        if !line.starts_with("out") && !line.starts_with("store") {
            steps.push(vec![]);
        }
        if let Some(step) = steps.last_mut() {
            step.push(line);
        }
    }
    for step in &mut steps {
        step.sort();
    }
    steps.concat()
}

/// Compares every case but those named.
fn compare(variant: Variant, but: &[&str]) {
    let lines: Vec<&str> = GOLDEN.lines().collect();
    let cases: Vec<&[&str]> = lines.chunk_by(|_, line| !line.starts_with("case\t")).collect();
    assert!(cases.len() >= 18, "the golden file is there");
    let mut faults = Vec::new();
    for case in cases {
        if but.iter().any(|name| case[0].split('\t').nth(1) == Some(name)) {
            continue;
        }
        let mut expected: Vec<String> = case.iter().map(|line| (*line).to_owned()).collect();
        let mut actual = replay(case, variant);
        if variant == Variant::Partitioned {
            expected = sorted(expected.into_iter());
            actual = sorted(actual.into_iter());
        }
        if actual != expected {
            let differ = |i: &usize| actual.get(*i) != expected.get(*i);
            let at = (0..expected.len()).find(differ).unwrap_or(expected.len());
            let (expected, got) = (expected.get(at), actual.get(at));
            faults.push(format!("{}: line {at}: expected {expected:?}, got {got:?}", case[0]));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_golden_topology_gives_what_kafka_streams_gives() {
    compare(Variant::Same, &[]);
}

#[test]
fn partitions_change_no_result() {
    // Each task has its own clock: punctuations differ by partition, as they should.
    compare(Variant::Partitioned, &["punctuation"]);
}

#[test]
fn a_crash_after_each_input_changes_no_result() {
    // Schedules start anew with their task, as in Kafka Streams.
    compare(Variant::Crashing, &["punctuation"]);
}

#[test]
fn a_lost_disk_after_each_input_changes_no_result() {
    compare(Variant::LosingDisk, &["punctuation"]);
}

// ---- by hand ----

#[test]
fn caching_emits_one_update_per_key_and_commit() {
    let run = |cache| {
        let b = StreamsBuilder::new();
        count_same_key(&b);
        let mut driver = TopologyTestDriver::builder(b.build().unwrap())
            .commit_interval_ms(100)
            .cache_max_bytes(cache)
            .build()
            .unwrap();
        let input = driver.input::<Text, Text>("in");
        let mut out = driver.output::<String, Text>("out");
        for ts in [5, 9, 7] {
            driver.pipe(&input, Some("a".into()), Some("x".into()), ts).unwrap();
        }
        assert!(out.is_empty(), "nothing is visible before the commit");
        driver.advance_wall_clock(99).unwrap();
        assert!(out.is_empty(), "the interval is not over");
        driver.advance_wall_clock(1).unwrap();
        let all = out.read_all().unwrap();
        all.into_iter().map(|r| (r.value.unwrap(), r.timestamp)).collect::<Vec<_>>()
    };
    assert_eq!(run(10 << 20), [("3".to_owned(), 9)]);
    assert_eq!(run(0), [("1".into(), 5), ("2".into(), 9), ("3".into(), 9)]);
}

#[test]
fn several_inputs_are_taken_by_the_smallest_timestamp() {
    let b = StreamsBuilder::new();
    b.stream::<Text, String>(&["one", "two"]).to("out");
    let mut driver = TopologyTestDriver::builder(b.build().unwrap()).build().unwrap();
    let (one, two) = (driver.input::<Text, String>("one"), driver.input::<Text, String>("two"));
    for (input, value, ts) in [(&one, "1", 10), (&one, "2", 40), (&two, "3", 20), (&two, "4", 30)] {
        driver.produce(input, Record::new(None, value.to_owned(), ts)).unwrap();
    }
    driver.run().unwrap();
    let values: Vec<_> = driver
        .output::<Text, String>("out")
        .read_pairs()
        .unwrap()
        .into_iter()
        .map(|p| p.1)
        .collect();
    assert_eq!(values, ["1", "3", "4", "2"]);
}

#[test]
fn a_task_with_an_empty_input_waits_as_long_as_max_task_idle_says() {
    let b = StreamsBuilder::new();
    b.stream::<Text, String>(&["one", "two"]).to("out");
    let topology = b.build().unwrap();
    let mut driver = TopologyTestDriver::builder(topology).max_task_idle_ms(50).build().unwrap();
    let (one, two) = (driver.input::<Text, String>("one"), driver.input::<Text, String>("two"));
    let mut out = driver.output::<Text, String>("out");
    driver.pipe(&one, None, "late".into(), 20).unwrap();
    driver.advance_wall_clock(49).unwrap();
    assert!(out.is_empty());
    driver.pipe(&two, None, "early".into(), 10).unwrap();
    assert_eq!(out.read_record().unwrap().unwrap().value, "early");
    driver.advance_wall_clock(50).unwrap();
    assert_eq!(out.read_record().unwrap().unwrap().value, "late");
}

#[test]
fn stream_time_survives_a_restart() {
    let b = StreamsBuilder::new();
    let consumed =
        Consumed::<Text, i64>::new("in").timestamp_extractor(|r, seen| seen.max(r.value));
    b.stream(consumed).to("out");
    let mut driver = TopologyTestDriver::builder(b.build().unwrap()).build().unwrap();
    let input = driver.input::<Text, i64>("in");
    driver.pipe(&input, None, 70, 0).unwrap();
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert_eq!(driver.tasks()[0].stream_time(), 70);
    driver.pipe(&input, None, 5, 0).unwrap();
    let out = driver.output::<Text, i64>("out").read_all().unwrap();
    assert_eq!(out[1].timestamp, 70, "the extractor is told the partition's time");
}

#[test]
fn records_that_no_aggregation_can_take_are_counted_as_dropped() {
    let b = StreamsBuilder::new();
    count_same_key(&b);
    let mut driver = TopologyTestDriver::builder(b.build().unwrap()).build().unwrap();
    let input = driver.input::<Text, Text>("in");
    driver.pipe(&input, None, Some("no key".into()), 0).unwrap();
    assert_eq!(driver.dropped_records(), 2, "both words");
    driver.pipe(&input, Some("k".into()), None, 0).unwrap();
    assert_eq!(driver.dropped_records(), 3);
    assert_eq!(driver.committed_offset("in", 0), Some(2));
}

#[test]
fn a_processor_sees_its_store_after_a_crash_and_its_schedules_start_anew() {
    let b = StreamsBuilder::new();
    punctuation(&b);
    let topology = b.build().unwrap();
    let mut driver =
        TopologyTestDriver::builder(topology).commit_interval_ms(1_000).build().unwrap();
    let input = driver.input::<String, String>("in");
    let mut out = driver.output::<String, String>("out");
    driver.pipe(&input, "a".into(), "1".into(), 5).unwrap();
    driver.commit().unwrap();
    driver.pipe(&input, "a".into(), "2".into(), 6).unwrap();
    driver.advance_wall_clock(60).unwrap();
    driver.crash();
    driver.recover().unwrap();
    driver.advance_wall_clock(60).unwrap();
    driver.commit().unwrap();
    let values = |out: &mut TestOutput<String, String>| -> Vec<String> {
        out.read_pairs().unwrap().into_iter().map(|(_, v)| v).collect()
    };
    assert_eq!(values(&mut out), ["got1", "stream1", "got2", "stream12"], "2 came once");
    driver.advance_wall_clock(40).unwrap();
    driver.commit().unwrap();
    assert_eq!(values(&mut out), ["wall12"], "100 ms after the restart");
}
