//! Joins of streams, of tables, and by a foreign key.

use oncestream::prelude::*;
use oncestream_testkit::ExactlyOnceCheck;

use crate::lines::build;
use crate::times::{MS, times};

/// Pairs of two topics. A record's time is its value, and none comes too late for its partners.
fn pairs() -> Topology {
    let builder = StreamsBuilder::new();
    let side = |topic: &str| {
        let by_value = Consumed::<String, i64>::new(topic).timestamp_extractor(|r, _| r.value);
        builder.stream(by_value)
    };
    let windows = JoinWindows::of_time_difference_and_grace(MS * 20, MS * 3_600_000);
    let joined = StreamJoined::new(windows).store_name("pairs");
    let pair = |left: &i64, right: &i64| format!("{left}+{right}");
    side("left").join(&side("right"), joined, pair).to("pairs");
    build(builder)
}

/// A left join of two streams out of one topic. Some records find no partner, and their windows close. A
/// record's time is its value.
fn left_join() -> Topology {
    let builder = StreamsBuilder::new();
    let by_value = Consumed::<String, i64>::new("times").timestamp_extractor(|r, _| r.value);
    let times = builder.stream(by_value);
    let is_right = |time: &i64| time % 1000 % 3 == 0;
    let left = times.filter(move |_, time| !is_right(time));
    let right = times.filter(move |_, time| is_right(time));
    let windows = JoinWindows::of_time_difference_and_grace(MS * 12, MS * 5);
    let joined = StreamJoined::new(windows).store_name("left");
    left.left_join(&right, joined, |left, right| format!("{left}+{right:?}")).to("joined");
    build(builder)
}

/// A stream with a table, and two tables with each other, all out of one topic. A record's time is its value.
fn table_joins() -> Topology {
    let builder = StreamsBuilder::new();
    let by_value = Consumed::<String, i64>::new("times").timestamp_extractor(|r, _| r.value);
    let times = builder.stream(by_value);
    let is_third = |time: &i64| time % 1000 % 3 == 0;
    let others = times.filter(move |_, time| !is_third(time));
    let thirds =
        times.filter(move |_, time| is_third(time)).to_table::<i64>().materialized("thirds");
    others.left_join_table(&thirds, |other, third| format!("{other}+{third:?}")).to("stream-table");
    others
        .to_table::<i64>()
        .materialized("others")
        .outer_join(&thirds, |other, third| format!("{other:?}+{third:?}"))
        .materialized("tables")
        .to_stream()
        .to("tables");
    build(builder)
}

/// Orders that name users, and users with their names, out of one topic.
fn foreign_keys() -> Topology {
    let builder = StreamsBuilder::new();
    let rows = builder.stream::<String, String>("rows");
    let table = |kind: &'static str| {
        rows.filter(move |key, _| key.starts_with(kind)).to_table::<String>().materialized(kind)
    };
    table("order")
        .foreign_key_join(
            TableJoined::with(&table("user")).name("of"),
            |user| Some(user.clone()),
            |user, name| format!("{user}: {name}"),
        )
        .to_stream()
        .to("named");
    build(builder)
}

/// Three waves of rows, and between them two of rows that nobody reads. Each of the three changes one table, and
/// each row once at most: so each result comes from one change, whichever partition is first. The check may
/// feed a wave while the one before is under way, but no later one.
const WAVES_OF_ROWS: usize = 5;

/// Orders; users; orders with other users.
fn rows() -> impl Iterator<Item = (String, String)> {
    let row = |wave: usize, n: usize| match wave {
        0 => (format!("order-{n}"), format!("user-{n}")),
        2 => (format!("user-{n}"), format!("name-{n}")),
        4 => (format!("order-{n}"), format!("user-{}", (n + 2) % 6)),
        _ => (format!("other-{n}"), String::new()),
    };
    (0..WAVES_OF_ROWS).flat_map(move |wave| (0..6).map(move |n| row(wave, n)))
}

/// Neighbours in time are in different topics. Which of them comes first, and with it the order of the pairs,
/// is for the worker.
pub(crate) fn check_pairs(name: &str, test: &str) -> ExactlyOnceCheck {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (n, record) in times(40).enumerate() {
        // A round of all keys goes to one topic.
        if n / 4 % 2 == 0 { left.push(record) } else { right.push(record) }
    }
    let check = ExactlyOnceCheck::new(name, pairs).test(test);
    check.input("left", left).input("right", right).unordered()
}

pub(crate) fn check_left_join(name: &str, test: &str) -> ExactlyOnceCheck {
    ExactlyOnceCheck::new(name, left_join).test(test).input("times", times(40))
}

pub(crate) fn check_table_joins(name: &str, test: &str) -> ExactlyOnceCheck {
    ExactlyOnceCheck::new(name, table_joins).test(test).input("times", times(40))
}

pub(crate) fn check_foreign_keys(name: &str, test: &str) -> ExactlyOnceCheck {
    let check = ExactlyOnceCheck::new(name, foreign_keys).test(test);
    check.input("rows", rows()).waves(WAVES_OF_ROWS)
}
