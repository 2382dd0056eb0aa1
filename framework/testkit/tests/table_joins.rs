//! Joins of tables, and of a stream with a table: what each update gives, what nulls do, and that no crash
//! changes any of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod crashes;
#[path = "crashes/unchanged.rs"]
mod unchanged;

use std::collections::BTreeMap;
use std::time::Duration;

use oncestream_core::serde::HasSerde;
use oncestream_core::{Record, TimestampMs};
use oncestream_operators::{
    BufferConfig, Joined, KTable, Materialized, StreamsBuilder, Suppressed, TimeWindows,
};
use oncestream_testkit::TopologyTestDriver;

use crashes::{builder, settle};
use unchanged::{AfterEach, unchanged_by_crashes};

type Text = Option<String>;
/// Key, value and time of what came out.
type Told = Vec<(String, Text, TimestampMs)>;

/// Without a cache, so that each update is told.
fn driver(b: StreamsBuilder) -> TopologyTestDriver {
    builder(b).cache_max_bytes(0).build().unwrap()
}

/// Pipes a value, or a null.
fn set(
    driver: &mut TopologyTestDriver,
    topic: &str,
    key: &str,
    value: Option<&str>,
    time: TimestampMs,
) {
    let input = driver.input::<String, Text>(topic);
    driver.pipe(&input, key.to_owned(), value.map(str::to_owned), time).unwrap();
}

fn told(driver: &TopologyTestDriver, topic: &str) -> Told {
    let records = driver.output::<String, Text>(topic).read_all().unwrap();
    records.into_iter().map(|r| (r.key, r.value, r.timestamp)).collect()
}

/// What came out under the key `k`.
fn of_k<const N: usize>(told: [(Option<&str>, TimestampMs); N]) -> Told {
    told.map(|(value, time)| ("k".to_owned(), value.map(str::to_owned), time)).to_vec()
}

/// Both values; a missing one shows as "-".
fn pair(left: Option<&String>, right: Option<&String>) -> String {
    let shown = |value: Option<&String>| value.map_or("-", |value| value.as_str()).to_owned();
    shown(left) + &shown(right)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Inner,
    Left,
    Outer,
}

const KINDS: [Kind; 3] = [Kind::Inner, Kind::Left, Kind::Outer];

fn join(kind: Kind, left: &KTable<String, String>, right: &KTable<String, String>) -> Strings {
    match kind {
        Kind::Inner => left.join(right, |l, r| pair(Some(l), Some(r))),
        Kind::Left => left.left_join(right, |l, r| pair(Some(l), r)),
        Kind::Outer => left.outer_join(right, pair),
    }
}

type Strings = KTable<String, String>;

fn tables(b: &StreamsBuilder) -> (Strings, Strings) {
    (b.table("left"), b.table("right"))
}

/// Topic, value and time of updates of one key.
const UPDATES: [(&str, Option<&str>, TimestampMs); 10] = [
    ("left", Some("a"), 1),
    ("right", Some("x"), 2),
    ("left", Some("b"), 5),
    ("right", Some("y"), 3),
    ("right", None, 6),
    ("left", None, 7),
    ("left", None, 8),
    ("right", Some("z"), 9),
    ("right", None, 10),
    ("right", None, 11),
];

#[test]
fn each_join_of_tables_tells_what_its_update_changes_with_the_later_time() {
    for kind in KINDS {
        let b = StreamsBuilder::new();
        let (left, right) = tables(&b);
        join(kind, &left, &right).to_stream().to("out");
        let mut driver = driver(b);
        for (topic, value, time) in UPDATES {
            set(&mut driver, topic, "k", value, time);
        }
        let expected = match kind {
            Kind::Inner => of_k([(Some("ax"), 2), (Some("bx"), 5), (Some("by"), 5), (None, 6)]),
            Kind::Left => of_k([
                (Some("a-"), 1),
                (Some("ax"), 2),
                (Some("bx"), 5),
                (Some("by"), 5),
                (Some("b-"), 6),
                (None, 7),
            ]),
            Kind::Outer => of_k([
                (Some("a-"), 1),
                (Some("ax"), 2),
                (Some("bx"), 5),
                (Some("by"), 5),
                (Some("b-"), 6),
                (None, 7),
                (Some("-z"), 9),
                (None, 10),
            ]),
        };
        assert_eq!(told(&driver, "out"), expected, "{kind:?}");
    }
}

/// The joined value of each key that has one.
fn model(
    kind: Kind,
    left: &BTreeMap<String, String>,
    right: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let keys = left.keys().chain(right.keys());
    let joined = keys.filter_map(|key| {
        let (l, r) = (left.get(key), right.get(key));
        let is_there = match kind {
            Kind::Inner => l.is_some() && r.is_some(),
            Kind::Left => l.is_some(),
            Kind::Outer => true,
        };
        is_there.then(|| (key.clone(), pair(l, r)))
    });
    joined.collect()
}

/// Numbers that look random, from a seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Topic, key, value and time, of two tables with a few keys.
fn inputs(seed: u64, count: i64) -> Vec<(&'static str, String, Text, TimestampMs)> {
    let mut numbers = Numbers(seed);
    let input = |at: i64| {
        let topic = ["left", "right"][numbers.below(2) as usize];
        let key = ["a", "b", "c"][numbers.below(3) as usize].to_owned();
        let value = ["p", "q", "r", "s"].get(numbers.below(6) as usize);
        let time = (at * 10 + numbers.below(40) as i64 - 20).max(0);
        (topic, key, value.map(|value| (*value).to_owned()), time)
    };
    (0..count).map(input).collect()
}

/// Whether, and how, the joined table has a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Store {
    None,
    Cached,
    Uncached,
}

fn with_store(table: Strings, store: Store) -> Strings {
    match store {
        Store::None => table,
        Store::Cached => table.materialized("joined"),
        Store::Uncached => table.materialized(Materialized::named("joined").caching_disabled()),
    }
}

/// The joined table, and how many keys have each of its values.
fn joined_and_counted(kind: Kind, store: Store) -> StreamsBuilder {
    let b = StreamsBuilder::new();
    let (left, right) = tables(&b);
    let joined = with_store(join(kind, &left, &right), store);
    joined.to_stream().to("out");
    let counts = joined.group_by(|key, value| (value.clone(), key.clone())).count("counts");
    counts.to_stream().map_values(|n| n.map(|n| n.to_string())).to("counted");
    b
}

fn last_of(driver: &TopologyTestDriver, topic: &str) -> BTreeMap<String, String> {
    let last = driver.output::<String, Text>(topic).read_last_per_key().unwrap();
    last.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn counted(joined: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut counts = BTreeMap::new();
    for value in joined.values() {
        *counts.entry(value.clone()).or_insert(0) += 1;
    }
    counts.into_iter().map(|(value, count)| (value, count.to_string())).collect()
}

/// With a cache a table is read before its change was told. Then only the store of the joined table knows
/// what was told of it.
#[test]
fn a_joined_table_ends_as_the_join_of_both_and_what_is_counted_of_it_is_right() {
    for kind in KINDS {
        for (store, cache, commit_ms) in [
            (Store::None, 0, 0),
            (Store::Uncached, 0, 0),
            (Store::Uncached, 1 << 20, 100),
            (Store::Cached, 1 << 20, 0),
            (Store::Cached, 1 << 20, 100),
        ] {
            for seed in 0..6 {
                let driver = builder(joined_and_counted(kind, store)).commit_interval_ms(commit_ms);
                let mut driver = driver.cache_max_bytes(cache).build().unwrap();
                let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
                for (at, (topic, key, value, time)) in inputs(seed, 60).into_iter().enumerate() {
                    set(&mut driver, topic, &key, value.as_deref(), time);
                    let table = if topic == "left" { &mut left } else { &mut right };
                    match value {
                        Some(value) => drop(table.insert(key, value)),
                        None => drop(table.remove(&key)),
                    }
                    if commit_ms > 0 && at % 7 == 0 {
                        driver.advance_wall_clock(commit_ms).unwrap();
                    }
                }
                driver.commit_all().unwrap();
                let expected = model(kind, &left, &right);
                let case = format!("{kind:?} {store:?} {cache} {commit_ms} {seed}");
                assert_eq!(last_of(&driver, "out"), expected, "{case}");
                let mut counts = last_of(&driver, "counted");
                counts.retain(|_, count| count != "0");
                assert_eq!(counts, counted(&expected), "{case}");
            }
        }
    }
}

#[test]
fn a_table_may_be_joined_with_itself_and_with_what_is_computed_of_it() {
    for kind in KINDS {
        let b = StreamsBuilder::new();
        let table = b.table::<String, String>("left");
        join(kind, &table, &table).materialized("twice").to_stream().to("twice");
        let upper = table.map_values(|value| value.to_uppercase());
        let early = upper.filter(|_, value| value.as_str() < "C");
        let both = join(kind, &table, &early).materialized("both");
        both.to_stream().to("both");
        both.group_by(|_, value| (value.clone(), 1_i64))
            .count("counts")
            .to_stream()
            .map_values(|n| n.filter(|n| *n > 0).map(|n| n.to_string()))
            .to("counted");
        let mut driver = driver(b);
        for (at, value) in [Some("a"), Some("b"), Some("c"), None, Some("b")].iter().enumerate() {
            set(&mut driver, "left", "k", *value, at as i64);
            let twice = value.map(|v| ("k".to_owned(), v.repeat(2)));
            assert_eq!(last_of(&driver, "twice"), twice.into_iter().collect(), "{kind:?}");
            let both = match (*value, kind) {
                (None, _) | (Some("c"), Kind::Inner) => None,
                (Some("c"), _) => Some("c-".to_owned()),
                (Some(v), _) => Some(v.to_owned() + &v.to_uppercase()),
            };
            let expected: BTreeMap<_, _> = both.into_iter().map(|v| ("k".to_owned(), v)).collect();
            assert_eq!(last_of(&driver, "both"), expected, "{kind:?}");
            assert_eq!(last_of(&driver, "counted"), counted(&expected), "{kind:?}");
        }
    }
}

/// Kafka Streams never tells it in an inner join: each side finds that the other has no value.
#[test]
fn a_commit_that_takes_both_values_deletes_the_result() {
    for kind in KINDS {
        for [first, second] in [["left", "right"], ["right", "left"]] {
            let b = StreamsBuilder::new();
            let (left, right) = tables(&b);
            let kept = right.filter(|_, v| v != "no").map_values(|v| v + "!");
            join(kind, &left, &kept).to_stream().to("out");
            let mut driver = builder(b).commit_interval_ms(100).build().unwrap();
            set(&mut driver, first, "k", Some("a"), 0);
            set(&mut driver, second, "k", Some("b"), 1);
            driver.commit_all().unwrap();
            assert_eq!(last_of(&driver, "out").len(), 1, "{kind:?}");
            set(&mut driver, first, "k", None, 2);
            set(&mut driver, second, "k", None, 3);
            driver.commit_all().unwrap();
            assert_eq!(last_of(&driver, "out"), BTreeMap::new(), "{kind:?}, {first} first");
        }
    }
}

#[test]
fn a_joined_table_without_a_store_is_read_by_the_next_join() {
    let b = StreamsBuilder::new();
    let (left, right) = tables(&b);
    let third = b.table::<String, String>("third");
    let joined = left.outer_join(&right, pair).filter(|_, value| value != "bx");
    let all = third.left_join_with_key(&joined, |k, t, j| k.clone() + &pair(Some(t), j));
    all.to_stream().to("out");
    let mut driver = driver(b);
    let stores = ["left-STATE-STORE-0000000000", "right-STATE-STORE-0000000003"];
    for store in stores {
        assert!(driver.store::<String, String>(store).is_ok(), "{store}");
    }
    set(&mut driver, "third", "k", Some("1"), 0);
    for (topic, value, time) in &UPDATES[..6] {
        set(&mut driver, topic, "k", *value, *time);
    }
    // Reads what both have now, with the later time of both.
    set(&mut driver, "left", "k", Some("c"), 20);
    set(&mut driver, "third", "k", Some("2"), 4);
    let expected = [
        (Some("k1-"), 0),
        (Some("k1a-"), 1),
        (Some("k1ax"), 2),
        (Some("k1-"), 5),
        (Some("k1by"), 5),
        (Some("k1b-"), 6),
        (Some("k1-"), 7),
        (Some("k1c-"), 20),
        (Some("k2c-"), 20),
    ];
    assert_eq!(told(&driver, "out"), of_k(expected));
}

#[test]
fn tables_of_windows_are_joined_window_by_window() {
    let b = StreamsBuilder::new();
    let ten = TimeWindows::of_size_and_grace(Duration::from_millis(10), Duration::from_millis(30));
    let counts =
        |topic: &str| b.stream::<String, Text>(topic).group_by_key().windowed_by(ten).count(topic);
    let joined = counts("left").join(&counts("right"), |l, r| format!("{l}/{r}"));
    joined
        .to_stream()
        .map(|window, value| (format!("{}@{}", window.key, window.start), value))
        .to("out");
    let mut driver = driver(b);
    for (topic, time) in [("left", 1), ("right", 12), ("left", 13), ("right", 5), ("left", 2)] {
        set(&mut driver, topic, "k", Some("v"), time);
    }
    let expected = [("k@10", "1/1", 13), ("k@0", "1/1", 5), ("k@0", "2/1", 5)];
    let expected = expected.map(|(key, value, time)| (key.to_owned(), Some(value.into()), time));
    assert_eq!(told(&driver, "out"), expected);
}

#[test]
fn a_suppressed_table_is_read_as_it_was_told() {
    let b = StreamsBuilder::new();
    let (left, right) = tables(&b);
    let ten = Duration::from_millis(10);
    let late = left.suppress(Suppressed::until_time_limit(ten, BufferConfig::unbounded()));
    right.left_join(&late, |r, l| pair(l, Some(r))).to_stream().to("out");
    let mut driver = driver(b);
    set(&mut driver, "left", "k", Some("a"), 0);
    set(&mut driver, "right", "k", Some("x"), 1);
    set(&mut driver, "left", "other", Some("a"), 10);
    set(&mut driver, "left", "k", Some("b"), 12);
    set(&mut driver, "right", "k", Some("y"), 13);
    set(&mut driver, "left", "other", Some("a"), 30);
    let expected = [(Some("-x"), 1), (Some("ax"), 1), (Some("ay"), 13), (Some("by"), 13)];
    assert_eq!(told(&driver, "out"), of_k(expected));
}

#[test]
fn what_a_table_has_forgotten_is_not_joined_and_the_end_of_a_result_is_told() {
    for kind in KINDS {
        let b = StreamsBuilder::new();
        let ttl = |name: &str| Materialized::named(name).ttl(Duration::from_millis(100));
        let left = b.table::<String, String>("left").materialized(ttl("left"));
        let right = b.table::<String, String>("right").materialized(ttl("right"));
        join(kind, &left, &right).to_stream().to("out");
        let mut driver = driver(b);
        set(&mut driver, "left", "k", Some("a"), 0);
        set(&mut driver, "right", "k", Some("x"), 50);
        // By its time, of a record of the other side, the first has gone.
        set(&mut driver, "right", "other", None, 100);
        set(&mut driver, "right", "k", Some("y"), 120);
        let last = told(&driver, "out").pop().unwrap();
        let value = if kind == Kind::Outer { Some("-y".to_owned()) } else { None };
        assert_eq!(last, ("k".to_owned(), value, 120), "{kind:?}");
        set(&mut driver, "left", "k", None, 300);
        let last = told(&driver, "out").pop().unwrap();
        assert_eq!(last, ("k".to_owned(), None, 300), "{kind:?}");
    }
}

/// Each record of a stream, with what it is joined with.
fn enriched(b: &StreamsBuilder) {
    let table = b.table::<Text, String>("table");
    let stream = b.stream::<Text, Text>("in");
    let text = |value: &Text| value.clone().unwrap();
    stream.join_table(&table, move |v, t| text(v) + t).to("inner");
    stream.left_join_table(&table, move |v, t| text(v) + t.map_or("-", String::as_str)).to("left");
}

#[test]
fn a_record_of_a_stream_is_joined_with_what_the_table_has_and_no_update_gives_more() {
    let b = StreamsBuilder::new();
    enriched(&b);
    let mut driver = driver(b);
    let (table, stream) = (driver.input::<Text, Text>("table"), driver.input::<Text, Text>("in"));
    let text = |text: &str| Some(text.to_owned());
    for (input, key, value, time) in [
        (&stream, text("k"), text("1"), 5),
        (&table, text("k"), text("a"), 10),
        // Out of order, and joined all the same; the result has the record's time.
        (&stream, text("k"), text("2"), 3),
        (&table, text("k"), text("b"), 4),
        (&stream, text("k"), text("3"), 20),
        (&table, text("k"), None, 21),
        (&stream, text("k"), text("4"), 22),
        (&stream, None, text("5"), 23),
        (&stream, text("k"), None, 24),
        (&stream, None, None, 25),
    ] {
        driver.pipe(input, key, value, time).unwrap();
    }
    let read = |topic: &str| {
        let records = driver.output::<Text, String>(topic).read_all().unwrap();
        let told = |r: Record<Text, String>| (r.key.unwrap_or_default(), r.value, r.timestamp);
        records.into_iter().map(told).collect::<Vec<_>>()
    };
    let keyed = |key: &str, value: &str, time| (key.to_owned(), value.to_owned(), time);
    assert_eq!(read("inner"), [keyed("k", "2a", 3), keyed("k", "3b", 20)]);
    let left = [
        keyed("k", "1-", 5),
        keyed("k", "2a", 3),
        keyed("k", "3b", 20),
        keyed("k", "4-", 22),
        keyed("", "5-", 23),
    ];
    assert_eq!(read("left"), left);
    // By the inner join three, by the left join the two without a value.
    assert_eq!(driver.dropped_records(), 5);
}

#[test]
fn a_stream_with_another_key_is_repartitioned_to_the_table() {
    let b = StreamsBuilder::new();
    let users = b.table::<Text, String>("users");
    let orders = b.stream::<Text, Text>("orders").select_key(|_, user| user.clone());
    orders.join_table(&users, |_, user| user.clone()).to("buyers");
    let named = Joined::with(&users).name("all");
    orders
        .left_join_table_with_key(named, |_, _, user| user.cloned().unwrap_or_default())
        .to("all");
    let driver = TopologyTestDriver::builder(b.build().unwrap());
    let driver = driver.partitions("users", 3).partitions("orders", 2).cache_max_bytes(0);
    let mut driver = driver.build().unwrap();
    assert!(driver.topic_names().iter().any(|topic| topic.ends_with("-all-repartition")));
    let (users, orders) =
        (driver.input::<Text, Text>("users"), driver.input::<Text, Text>("orders"));
    let text = |text: String| Some(text);
    for n in 0..9 {
        driver.pipe(&users, text(format!("u{n}")), text(format!("name{n}")), n).unwrap();
    }
    for n in 0..9 {
        driver.pipe(&orders, text(format!("o{n}")), text(format!("u{n}")), 10 + n).unwrap();
    }
    driver.pipe(&orders, text("guest".to_owned()), None, 30).unwrap();
    let read = |topic: &str| {
        let mut pairs = driver.output::<Text, String>(topic).read_pairs().unwrap();
        pairs.sort();
        pairs
    };
    let known: Vec<_> = (0..9).map(|n| (Some(format!("u{n}")), format!("name{n}"))).collect();
    assert_eq!(read("buyers"), known);
    assert_eq!(read("all"), known, "a null value is dropped, whatever its key is");
}

#[test]
fn a_null_key_reaches_a_left_join_behind_a_repartitioning_and_no_inner_one() {
    let b = StreamsBuilder::new();
    let users = b.table::<Text, String>("users");
    let orders = b.stream::<String, Text>("orders").map(|order, user| (user, order));
    orders.left_join_table(&users, |order, user| pair(Some(order), user)).to("left");
    orders.join_table(&users, |order, user| pair(Some(order), Some(user))).to("inner");
    let mut driver = driver(b);
    let input = driver.input::<String, Text>("orders");
    driver.pipe(&input, "guest".to_owned(), None, 0).unwrap();
    let left = driver.output::<Text, String>("left").read_pairs().unwrap();
    assert_eq!(left, [(None, "guest-".to_owned())]);
    assert!(driver.output::<Text, String>("inner").is_empty());
}

/// Joins of each kind one below the other, with a store and without, and a stream that asks the last.
fn several() -> StreamsBuilder {
    let b = StreamsBuilder::new();
    let (left, right) = tables(&b);
    let outer = left.outer_join(&right, pair);
    let stored = left.left_join(&outer, |l, o| pair(Some(l), o)).materialized("stored");
    stored.to_stream().to("stored");
    let all = right.join(&stored, |r, s| pair(Some(r), Some(s)));
    all.to_stream().to("all");
    all.group_by(|_, value| (value.clone(), 1_i64)).count("counts").to_stream().to("counted");
    let changes = b.stream::<String, Text>("left").filter(|_, v| v.is_some());
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    changes.left_join_table(&all, move |v, a| text(v.as_ref()) + "<" + &text(a)).to("asked");
    b
}

/// All that came out, and what the store has.
#[derive(Debug, PartialEq)]
struct Outcome {
    told: Vec<Told>,
    counted: Vec<(String, Option<i64>)>,
    stored: BTreeMap<String, String>,
}

fn outcome(driver: &TopologyTestDriver) -> Outcome {
    let stored = driver.store::<String, String>("stored").unwrap().to_map().unwrap();
    Outcome {
        told: ["stored", "all", "asked"].map(|topic| told(driver, topic)).to_vec(),
        counted: pairs(driver, "counted"),
        stored: stored.into_iter().collect(),
    }
}

fn pairs<V: HasSerde>(driver: &TopologyTestDriver, topic: &str) -> Vec<(String, V)> {
    driver.output::<String, V>(topic).read_pairs().unwrap()
}

fn run(driver: &mut TopologyTestDriver, after_each: AfterEach<'_>) {
    for (topic, key, value, time) in inputs(7, 20) {
        let input = driver.input::<String, Text>(topic).partition(0);
        driver.produce(&input, Record::new(key, value, time)).unwrap();
        settle(driver);
        after_each(driver);
    }
}

#[test]
fn a_crash_at_any_step_and_a_lost_disk_after_any_input_change_nothing() {
    for (cache_bytes, every) in [(0, 3), (1 << 20, 7)] {
        let driver = || builder(several()).cache_max_bytes(cache_bytes).build().unwrap();
        let (expected, steps) = unchanged_by_crashes(every, driver, run, outcome);
        assert!(steps > 100 && expected.told.iter().all(|told| told.len() > 3), "{expected:?}");
    }
}
