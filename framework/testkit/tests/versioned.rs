//! Tables with versions: what an update out of order does, what joins find as of a time, what waits for a
//! grace, and that no crash changes any of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use oncestream_core::commit::Guarantee;
use oncestream_core::error::BoxError;
use oncestream_core::graph::Graph;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{Version, VersionPut, Versioned};
use oncestream_core::{Record, TimestampMs};
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{Joined, KTable, Materialized, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{DriverError, TopologyTestDriverBuilder};

type Text = Option<String>;
/// Value and time of what came out.
type Told = Vec<(Text, TimestampMs)>;

const HISTORY: Duration = Duration::from_millis(100);

fn builder(b: StreamsBuilder) -> TopologyTestDriverBuilder {
    let driver = TopologyTestDriver::builder(b.build().unwrap());
    driver.guarantee(Guarantee::ExactlyOnce).commit_interval_ms(0)
}

fn driver(b: StreamsBuilder) -> TopologyTestDriver {
    builder(b).build().unwrap()
}

fn versioned(b: &StreamsBuilder, topic: &str) -> KTable<String, String> {
    let store = Materialized::named(format!("{topic}-versions")).versioned(HISTORY);
    b.table::<String, String>(topic).materialized(store)
}

/// Pipes a value of the key `k`, or a null.
fn set(driver: &mut TopologyTestDriver, topic: &str, value: Option<&str>, time: TimestampMs) {
    let input = driver.input::<String, Text>(topic);
    driver.pipe(&input, "k".to_owned(), value.map(str::to_owned), time).unwrap();
}

fn told(driver: &TopologyTestDriver, topic: &str) -> Told {
    let records = driver.output::<String, Text>(topic).read_all().unwrap();
    records.into_iter().map(|r| (r.value, r.timestamp)).collect()
}

fn texts<const N: usize>(told: [(Option<&str>, TimestampMs); N]) -> Told {
    told.map(|(value, time)| (value.map(str::to_owned), time)).to_vec()
}

fn pair(left: Option<&String>, right: Option<&String>) -> String {
    let shown = |value: Option<&String>| value.map_or("-", |value| value.as_str()).to_owned();
    shown(left) + &shown(right)
}

fn as_of(driver: &TopologyTestDriver, store: &str, time: TimestampMs) -> Text {
    let store = driver.store_of_kind::<String, String, Versioned>(store).unwrap();
    store.get_as_of(&"k".to_owned(), time).unwrap().map(|found| found.value)
}

#[test]
fn an_update_out_of_order_is_a_version_and_not_the_newest_value() {
    let b = StreamsBuilder::new();
    versioned(&b, "in").to_stream().to("out");
    let mut driver = driver(b);
    for (value, time) in [(Some("b"), 20), (Some("a"), 10), (None, 30), (Some("c"), 25)] {
        set(&mut driver, "in", value, time);
    }
    let expected = [(Some("b"), 20), (Some("a"), 10), (None, 30), (Some("c"), 25)];
    assert_eq!(told(&driver, "out"), texts(expected), "each is forwarded, as in Kafka Streams");
    let found: Vec<_> =
        [9, 10, 19, 20, 25, 29, 30].map(|time| as_of(&driver, "in-versions", time)).to_vec();
    let text = |text: &str| Some(text.to_owned());
    let all = vec![None, text("a"), text("a"), text("b"), text("c"), text("c"), None];
    assert_eq!(found, all);
    let store = driver.store_of_kind::<String, String, Versioned>("in-versions").unwrap();
    let version = |value: &str, valid_from, valid_to| {
        ("k".to_owned(), Version { value: value.to_owned(), valid_from, valid_to: Some(valid_to) })
    };
    assert_eq!(
        store.all().unwrap(),
        [version("a", 10, 20), version("b", 20, 25), version("c", 25, 30)]
    );
}

#[test]
fn an_update_older_than_the_history_is_dropped_and_told_nobody() {
    let b = StreamsBuilder::new();
    versioned(&b, "in").to_stream().to("out");
    let mut driver = driver(b);
    for (value, time) in [("new", 200), ("late", 100), ("too late", 99)] {
        set(&mut driver, "in", Some(value), time);
    }
    assert_eq!(told(&driver, "out"), texts([(Some("new"), 200), (Some("late"), 100)]));
    assert_eq!(driver.dropped_records(), 1);
    assert_eq!(as_of(&driver, "in-versions", 150).as_deref(), Some("late"));
    set(&mut driver, "in", Some("newer"), 251);
    assert_eq!(as_of(&driver, "in-versions", 150), None, "before the history");
    assert_eq!(as_of(&driver, "in-versions", 151).as_deref(), Some("late"));
}

#[test]
fn the_changelog_is_compacted_a_day_later_than_the_history_lasts() {
    let b = StreamsBuilder::new();
    versioned(&b, "in");
    let given = Materialized::named("given").topic_setting("min.compaction.lag.ms", "7");
    b.table::<String, String>("other").materialized(given.versioned(HISTORY));
    let kind = Versioned::new(HISTORY);
    b.add_state_store(Materialized::of_kind("own", kind, String::serde(), i64::serde()));
    let topology = b.build().unwrap();
    let lag = |store: &str| {
        let changelog = Graph::of(&topology).store(store).unwrap().changelog.clone().unwrap();
        assert_eq!(changelog.retention_ms, None, "nothing is deleted by age");
        changelog.topic_settings["min.compaction.lag.ms"].clone()
    };
    assert_eq!([lag("in-versions"), lag("own")], ["86400100", "86400100"]);
    assert_eq!(lag("given"), "7");
}

#[test]
fn a_stream_finds_the_version_of_its_time_also_through_tables_without_a_store() {
    let b = StreamsBuilder::new();
    let table = versioned(&b, "table");
    let marked = table.filter(|_, v| v != "hidden").map_values(|v| v + "!");
    let stored = table.map_values(|v| v + "*").materialized("stored");
    let stream = b.stream::<String, String>("stream");
    stream.left_join_table(&table, |s, t| pair(Some(s), t)).to("plain");
    stream.left_join_table(&marked, |s, t| pair(Some(s), t)).to("marked");
    stream.left_join_table(&stored, |s, t| pair(Some(s), t)).to("stored");
    let mut driver = driver(b);
    for (value, time) in [(Some("a"), 10), (Some("hidden"), 20), (None, 30), (Some("d"), 40)] {
        set(&mut driver, "table", value, time);
    }
    for time in [5, 15, 25, 35, 45] {
        set(&mut driver, "stream", Some("s"), time);
    }
    let found = |topic| -> Vec<_> {
        told(&driver, topic).into_iter().map(|(value, _)| value.unwrap()).collect()
    };
    assert_eq!(found("plain"), ["s-", "sa", "shidden", "s-", "sd"]);
    assert_eq!(found("marked"), ["s-", "sa!", "s-", "s-", "sd!"]);
    assert_eq!(found("stored"), ["sd*"; 5], "its own store has no versions");
}

#[test]
fn groups_and_joins_of_tables_leave_out_what_is_out_of_order() {
    let b = StreamsBuilder::new();
    let (left, right) = (versioned(&b, "left"), versioned(&b, "right"));
    left.outer_join(&right, pair).to_stream().to("joined");
    left.map_values(|v| v)
        .group_by(|_, v| (v.clone(), 1_i64))
        .count(Materialized::named("counts").caching_disabled())
        .to_stream()
        .map(|key, count| ("k".to_owned(), count.map(|count| format!("{key}{count}"))))
        .to("counted");
    let mut driver = driver(b);
    set(&mut driver, "left", Some("b"), 20);
    set(&mut driver, "left", Some("a"), 10);
    set(&mut driver, "right", Some("y"), 30);
    set(&mut driver, "right", Some("x"), 5);
    set(&mut driver, "left", Some("c"), 40);
    let joined = [(Some("b-"), 20), (Some("by"), 30), (Some("cy"), 40)];
    assert_eq!(told(&driver, "joined"), texts(joined));
    let counted: Vec<_> = told(&driver, "counted").into_iter().filter_map(|(v, _)| v).collect();
    assert_eq!(counted, ["b1", "b0", "c1"]);
    assert_eq!(driver.dropped_records(), 2, "by the join");
}

#[test]
fn an_aggregation_with_versions_is_read_as_of_a_time() {
    let b = StreamsBuilder::new();
    let sums = b.stream::<String, String>("in").group_by_key().reduce(
        |all, new| all + &new,
        Materialized::named("sums").caching_disabled().versioned(HISTORY),
    );
    sums.to_stream().to("out");
    b.stream::<String, String>("stream")
        .join_table(&sums, |s, sum| pair(Some(s), Some(sum)))
        .to("asked");
    let mut driver = driver(b);
    for (value, time) in [("a", 10), ("b", 30), ("c", 20)] {
        set(&mut driver, "in", Some(value), time);
    }
    assert_eq!(told(&driver, "out"), texts([(Some("a"), 10), (Some("ab"), 30), (Some("abc"), 30)]));
    set(&mut driver, "stream", Some("s"), 29);
    set(&mut driver, "stream", Some("s"), 30);
    assert_eq!(told(&driver, "asked"), texts([(Some("sa"), 29), (Some("sabc"), 30)]));
}

/// A stream joined with a table after a grace of 50 ms, inner and left.
fn with_grace() -> StreamsBuilder {
    let b = StreamsBuilder::new();
    let table = versioned(&b, "table");
    let grace = Duration::from_millis(50);
    let stream = b.stream::<String, Text>("stream");
    let joined = |name: &str| Joined::with(&table).grace(grace).name(name);
    let text = |value: &Text| value.clone().unwrap_or_default();
    stream.join_table(joined("inner"), move |s, t| text(s) + t).to("inner");
    stream.left_join_table(joined("left"), move |s, t| text(s) + &pair(None, t)).to("left");
    b
}

#[test]
fn a_record_waits_for_the_grace_and_is_then_joined_as_of_its_time() {
    let mut driver = driver(with_grace());
    set(&mut driver, "stream", Some("s"), 10);
    set(&mut driver, "stream", Some("t"), 30);
    set(&mut driver, "table", Some("late"), 5);
    set(&mut driver, "table", Some("later"), 20);
    assert!(told(&driver, "inner").is_empty(), "both wait");
    set(&mut driver, "stream", Some("u"), 60);
    assert_eq!(told(&driver, "inner"), texts([(Some("slate"), 10)]));
    set(&mut driver, "stream", Some("v"), 100);
    let first = [(Some("slate"), 10), (Some("tlater"), 30)];
    assert_eq!(told(&driver, "inner"), texts(first));
    // Later than the grace: at once. Just within it: put in order, and due.
    set(&mut driver, "stream", Some("w"), 49);
    set(&mut driver, "stream", Some("x"), 50);
    let all = [first[0], first[1], (Some("wlater"), 49), (Some("xlater"), 50)];
    assert_eq!(told(&driver, "inner"), texts(all));
    let left = told(&driver, "left");
    let times: Vec<_> = left.iter().map(|(_, time)| *time).collect();
    assert_eq!(times, [10, 30, 49, 50]);
    assert_eq!(left[0], (Some("s-late".to_owned()), 10));
}

#[test]
fn records_of_one_time_come_out_in_their_order_also_after_a_crash() {
    let mut driver = driver(with_grace());
    set(&mut driver, "table", Some("!"), 0);
    for value in ["c", "a"] {
        set(&mut driver, "stream", Some(value), 10);
    }
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    set(&mut driver, "stream", Some("b"), 10);
    set(&mut driver, "stream", None, 1_000);
    assert!(told(&driver, "inner").is_empty(), "a null moves no time");
    set(&mut driver, "stream", Some("z"), 60);
    assert_eq!(
        told(&driver, "inner"),
        texts([(Some("c!"), 10), (Some("a!"), 10), (Some("b!"), 10)])
    );
    assert!(driver.changelog("inner-Buffer").len() >= 7);
}

/// Of the golden case `versioned_grace_bytes`.
#[test]
fn a_record_that_waits_has_the_bytes_of_kafka_streams() {
    let b = StreamsBuilder::new();
    let joined = Joined::with(&versioned(&b, "table")).grace(Duration::from_millis(10)).name("n");
    b.stream::<String, String>("in").join_table(joined, |s, t| pair(Some(s), Some(t))).to("out");
    let mut driver = driver(b);
    let input = driver.input::<String, String>("in");
    driver.pipe(&input, "c".to_owned(), "e1".to_owned(), 8).unwrap();
    let log = driver.changelog("n-Buffer");
    let hex = |bytes: &Option<Vec<u8>>| -> String {
        bytes.iter().flatten().map(|byte| format!("{byte:02x}")).collect()
    };
    assert_eq!(log.len(), 1);
    assert_eq!(hex(&log[0].key), "0000000000000000086300000001");
    let entry = "0000000000000008000000000000000000000002696e0000000000000000ffffffffffffffff\
                 0000000265310000000000000000";
    assert_eq!(hex(&log[0].value), entry);
}

#[test]
fn a_record_without_a_key_waits_for_nothing() {
    let b = StreamsBuilder::new();
    let table = b.table::<Text, String>("table");
    let table = table.materialized(Materialized::named("versions").versioned(HISTORY));
    let stream = b.stream::<Text, String>("stream");
    let joined = Joined::with(&table).grace(Duration::from_millis(50)).name("n");
    stream.left_join_table(joined, |s, t| pair(Some(s), t)).to("out");
    let mut driver = driver(b);
    let input = driver.input::<Text, String>("stream");
    driver.pipe(&input, None, "guest".to_owned(), 10).unwrap();
    let out = driver.output::<Text, String>("out").read_pairs().unwrap();
    assert_eq!(out, [(None, "guest-".to_owned())]);
}

struct Keeper(StoreHandle<String, String, Versioned>);

impl Processor for Keeper {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<String, String>,
    ) -> Result<(), BoxError> {
        let Record { key, value, timestamp, .. } = record;
        let said = match value.as_str() {
            "delete" => format!("{:?}", self.0.delete(key.clone(), timestamp)?.map(|v| v.value)),
            "get" => format!("{:?}", self.0.get(&key)?.map(|v| (v.value, v.valid_from))),
            "as of" => format!("{:?}", self.0.get_as_of(&key, timestamp)?.map(|v| v.valid_to)),
            "all" => format!("{}", self.0.versions(&key, 0..=timestamp)?.len()),
            _ => match self.0.put(key.clone(), value, timestamp)? {
                VersionPut::Newest => "newest".to_owned(),
                VersionPut::Older { valid_to } => format!("until {valid_to}"),
                VersionPut::Expired => "expired".to_owned(),
            },
        };
        ctx.forward(Record::new(key, said, timestamp))?;
        Ok(())
    }
}

#[test]
fn a_processor_writes_and_reads_versions() {
    let b = StreamsBuilder::new();
    let kind = Versioned::new(HISTORY);
    let store =
        b.add_state_store(Materialized::of_kind("own", kind, String::serde(), String::serde()));
    b.stream::<String, String>("in").process(&store, Keeper).to("out");
    // That of a table is the same kind.
    let table = versioned(&b, "table");
    b.stream::<String, String>("ask").process(&table.versioned_store(), Keeper).to("answers");
    let mut driver = driver(b);
    let script = [
        ("a", 100, "newest"),
        ("b", 50, "until 100"),
        ("delete", 70, "Some(\"b\")"),
        ("c", 60, "until 70"),
        ("as of", 55, "Some(Some(60))"),
        ("as of", 75, "None"),
        ("get", 0, "Some((\"a\", 100))"),
        ("all", 65, "2"),
        ("d", 150, "newest"),
        ("e", 49, "expired"),
    ];
    for (value, time, _) in script {
        set(&mut driver, "in", Some(value), time);
    }
    let said: Vec<_> = told(&driver, "out").into_iter().map(|(value, _)| value.unwrap()).collect();
    assert_eq!(said, script.map(|(_, _, said)| said));
    set(&mut driver, "table", Some("of the table"), 10);
    set(&mut driver, "ask", Some("get"), 20);
    assert_eq!(told(&driver, "answers"), texts([(Some("Some((\"of the table\", 10))"), 20)]));
}

fn refused(b: StreamsBuilder) -> String {
    b.build().unwrap_err().to_string()
}

#[test]
fn what_cannot_have_versions_is_refused_with_what_to_do() {
    let b = StreamsBuilder::new();
    let plain = b.table::<String, String>("table").materialized("plain");
    let grace = Joined::with(&plain).grace(Duration::from_millis(1)).name("n");
    b.stream::<String, String>("in").join_table(grace, |s, _| s.clone()).to("out");
    let error = refused(b);
    assert!(
        error.contains("the grace of `n`") && error.contains("Materialized::versioned"),
        "{error}"
    );

    let b = StreamsBuilder::new();
    let grace = Joined::with(&versioned(&b, "table")).grace(HISTORY + Duration::from_millis(1));
    b.stream::<String, String>("in").join_table(grace, |s, _| s.clone()).to("out");
    let error = refused(b);
    assert!(error.contains("a history of 100 ms") && error.contains("101 ms"), "{error}");

    let b = StreamsBuilder::new();
    let _ = versioned(&b, "table").store();
    let error = refused(b);
    assert!(error.contains("use versioned_store()"), "{error}");

    let b = StreamsBuilder::new();
    let _ = b.table::<String, String>("table").materialized("plain").versioned_store();
    assert!(refused(b).contains("use store()"));

    let b = StreamsBuilder::new();
    let both = Materialized::named("s").ttl(HISTORY).versioned(HISTORY);
    b.table::<String, String>("table").materialized(both);
    assert!(refused(b).contains("leave ttl() out"));

    let b = StreamsBuilder::new();
    let _ = b.add_state_store::<String, String, _>(Materialized::named("s").versioned(HISTORY));
    assert!(refused(b).contains("Materialized::of_kind"));
}

/// Everything that remembers versions, and a join that waits.
fn several() -> StreamsBuilder {
    let b = StreamsBuilder::new();
    let (left, right) = (versioned(&b, "left"), versioned(&b, "right"));
    let joined = left
        .left_join(&right, |l, r| pair(Some(l), r))
        .materialized(Materialized::named("joined").versioned(HISTORY));
    joined.to_stream().to("joined");
    left.group_by(|_, v| (v.clone(), 1_i64)).count("counts").to_stream().to("counted");
    let stream = b.stream::<String, String>("stream");
    stream.left_join_table(&joined, |s, t| pair(Some(s), t)).to("asked");
    let grace = Joined::with(&left).grace(Duration::from_millis(30)).name("n");
    stream.left_join_table(grace, |s, t| pair(Some(s), t)).to("waited");
    b
}

/// All that came out, and what the stores have.
#[derive(Debug, PartialEq)]
struct Outcome {
    told: Vec<Vec<(String, Text, TimestampMs)>>,
    counted: Vec<(String, Option<i64>)>,
    stores: Vec<Vec<(String, Version<String>)>>,
}

fn outcome(driver: &TopologyTestDriver) -> Outcome {
    let of_topic = |topic| {
        let records = driver.output::<String, Text>(topic).read_all().unwrap();
        records.into_iter().map(|r| (r.key, r.value, r.timestamp)).collect()
    };
    let of_store = |store| {
        let store = driver.store_of_kind::<String, String, Versioned>(store).unwrap();
        store.all().unwrap()
    };
    Outcome {
        told: ["joined", "asked", "waited"].map(of_topic).to_vec(),
        counted: driver.output::<String, Option<i64>>("counted").read_pairs().unwrap(),
        stores: ["left-versions", "right-versions", "joined"].map(of_store).to_vec(),
    }
}

/// Topics, keys, values and times that often go back, now and then by more than a history.
fn inputs(count: u64) -> Vec<(&'static str, String, Text, TimestampMs)> {
    let mut state = 7_u64;
    let mut below = |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut now = 200;
    (0..count)
        .map(|n| {
            now += below(40).cast_signed();
            let back = if below(9) == 0 { below(180) } else { below(50) };
            let topic = ["left", "right", "stream"][below(3) as usize];
            let value = (topic == "stream" || below(5) > 0).then(|| format!("{n},"));
            let key = ["a", "b"][below(2) as usize].to_owned();
            (topic, key, value, now - back.cast_signed())
        })
        .collect()
}

/// Each record once, also one that was handed in when a crash came.
fn run(driver: &mut TopologyTestDriver, mut after_each: impl FnMut(&mut TopologyTestDriver)) {
    for (topic, key, value, time) in inputs(36) {
        let input = driver.input::<String, Text>(topic).partition(0);
        driver.produce(&input, Record::new(key, value, time)).unwrap();
        while let Err(error) = driver.run() {
            assert!(matches!(error, DriverError::Crashed { .. } | DriverError::Down), "{error}");
            driver.recover().unwrap();
        }
        after_each(driver);
    }
}

#[test]
fn a_crash_at_any_step_and_a_lost_disk_after_any_input_change_nothing() {
    for (cache_bytes, every) in [(0, 5), (1 << 20, 11)] {
        let driver = || builder(several()).cache_max_bytes(cache_bytes).build().unwrap();
        let mut whole = driver();
        run(&mut whole, |_| {});
        let steps = whole.commit_steps();
        let expected = outcome(&whole);
        assert!(steps > 100 && expected.told.iter().all(|told| told.len() > 5), "{expected:?}");
        assert!(expected.stores.iter().flatten().count() > 5, "{expected:?}");
        for step in (0..steps).step_by(every) {
            let mut driver = driver();
            driver.crash_at_count(step);
            run(&mut driver, |_| {});
            if driver.is_down() {
                driver.recover().unwrap();
            }
            assert_eq!(outcome(&driver), expected, "after a crash at step {step}");
        }
        let mut losing = driver();
        run(&mut losing, |driver| {
            driver.crash_and_lose_disk().unwrap();
            driver.recover().unwrap();
        });
        assert_eq!(outcome(&losing), expected, "after losses of the disk");
    }
}
