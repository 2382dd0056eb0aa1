//! Versioned tables, and what follows them.

use oncestream_core::error::BoxError;
use oncestream_core::graph::Graph;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{Version, Versioned};
use oncestream_operators::processor::{TableProcessor, TableProcessorContext};
use oncestream_operators::{Materialized, StreamsBuilder};

use crate::{HISTORY, as_of, driver, pair, set, texts, told, versioned};

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
fn foreign_keys_leave_out_what_is_out_of_order_on_either_side() {
    let b = StreamsBuilder::new();
    let (rows, others) = (versioned(&b, "rows"), versioned(&b, "others"));
    let key = |_: &String| Some("k".to_owned());
    rows.foreign_key_join(&others, key, |l, r| pair(Some(l), Some(r))).to_stream().to("inner");
    rows.left_foreign_key_join(&others, key, |l, r| pair(Some(l), r)).to_stream().to("left");
    let mut driver = driver(b);
    set(&mut driver, "rows", Some("b"), 20);
    set(&mut driver, "rows", Some("a"), 10);
    set(&mut driver, "others", Some("y"), 30);
    set(&mut driver, "others", Some("x"), 5);
    set(&mut driver, "rows", Some("c"), 40);
    let joined = [(Some("by"), 30), (Some("cy"), 40)];
    assert_eq!(told(&driver, "inner"), texts(joined));
    assert_eq!(told(&driver, "left"), texts([(Some("b-"), 20), joined[0], joined[1]]));
    assert_eq!(driver.dropped_records(), 4, "by each side of both joins");
}

/// Raises its voice.
struct Shout;

impl TableProcessor for Shout {
    type Key = String;
    type ValueIn = String;
    type ValueOut = String;

    fn process(
        &mut self,
        _ctx: &mut TableProcessorContext<'_, Self>,
        _key: &String,
        value: Option<String>,
    ) -> Result<Option<String>, BoxError> {
        Ok(value.map(|value| value + "!"))
    }
}

#[test]
fn a_processor_of_a_table_puts_versions_in_order_and_tells_which_are_not() {
    let b = StreamsBuilder::new();
    let table = versioned(&b, "in");
    let kept = Materialized::named("kept").versioned(HISTORY);
    table.process_values((), |()| Shout).materialized(kept).to_stream().to("kept");
    let passed = table.process_values((), |()| Shout);
    passed
        .group_by(|_, v| (v.clone(), 1_i64))
        .count(Materialized::named("counts").caching_disabled())
        .to_stream()
        .map(|key, count| ("k".to_owned(), count.map(|count| format!("{key}{count}"))))
        .to("counted");
    let mut driver = driver(b);
    set(&mut driver, "in", Some("b"), 20);
    set(&mut driver, "in", Some("a"), 10);
    assert_eq!(told(&driver, "kept"), texts([(Some("b!"), 20), (Some("a!"), 10)]));
    assert_eq!(as_of(&driver, "kept", 15).as_deref(), Some("a!"));
    assert_eq!(as_of(&driver, "kept", 20).as_deref(), Some("b!"));
    assert_eq!(told(&driver, "counted"), texts([(Some("b!1"), 20)]), "the newest alone");
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
