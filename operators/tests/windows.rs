//! Windows beside their results, which are compared with Kafka Streams' own elsewhere: the partition of
//! a key in a window, what `build` refuses, and what is remembered.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

mod support;

use std::rc::Rc;
use std::time::Duration;

use oncestream_core::error::{BoxError, TopologyError};
use oncestream_core::graph::{Graph, Topology};
use oncestream_core::partitioner::partition_for_key;
use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::state::CacheBudget;
use oncestream_core::task::{ChangelogId, Collector, Outgoing, RawRecord, Task, TaskConfig};
use oncestream_core::{Headers, TaskId, TopicPartition};
use oncestream_operators::{
    BufferConfig, Consumed, EmitStrategy, Materialized, Produced, SessionWindows, SlidingWindows,
    StreamsBuilder, Suppressed, TimeWindows, UnlimitedWindows, Windowed,
};

const MS: Duration = Duration::from_millis(1);

/// Sixteen partitions; which one each record was sent to.
#[derive(Default)]
struct Sixteen(Vec<Option<i32>>);

impl Collector for Sixteen {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError> {
        self.0.push(record.partition);
        Ok(())
    }

    fn partition_count(&mut self, _topic: &str) -> Result<i32, BoxError> {
        Ok(16)
    }
}

fn task_of(topology: &Topology) -> Task {
    let inputs = [TopicPartition::new("in", 0)];
    let (graph, budget) = (Graph::of(topology), Rc::new(CacheBudget::new(0)));
    let (config, first) = (TaskConfig::new("app"), ChangelogId(0));
    let backend = support::nowhere();
    Task::new(graph, TaskId::new(0, 0), &inputs, &config, &backend, &budget, first).unwrap()
}

fn raw<'a>(offset: i64, timestamp: i64, key: &'a [u8], value: &'a [u8]) -> RawRecord<'a> {
    RawRecord {
        offset,
        timestamp,
        key: Some(key),
        value: Some(value),
        headers: Headers::default(),
        unreadable_headers: None,
    }
}

fn partitions_of(windowed: &DynSerde<Windowed<String>>) -> Vec<Option<i32>> {
    let builder = StreamsBuilder::new();
    builder.stream(Consumed::with("in", windowed.clone(), i64::serde())).to(Produced::with(
        "out",
        windowed.clone(),
        i64::serde(),
    ));
    let mut task = task_of(&builder.build().unwrap());
    let (input, _) = task.inputs().next().unwrap();
    let mut sent = Sixteen::default();
    for (offset, (key, start)) in [("a", 0), ("a", 10), ("b", 20), ("", 30)].iter().enumerate() {
        let mut bytes = Vec::new();
        let key = Windowed { key: (*key).to_owned(), start: *start, end: start + 10 };
        windowed.serialize(&key, &mut bytes).unwrap();
        let record = raw(offset as i64, 0, &bytes, &[0; 8]);
        task.add_record(input, record, 0, &mut sent).unwrap();
    }
    sent.0
}

/// Kafka Streams' `WindowedStreamPartitioner`.
#[test]
fn the_key_chooses_the_partition_and_not_the_window() {
    let expected = ["a", "a", "b", ""].map(|key| Some(partition_for_key(key.as_bytes(), 16)));
    assert_eq!(partitions_of(&Windowed::time_serde(String::serde(), 10 * MS)), expected);
    assert_eq!(partitions_of(&Windowed::session_serde(String::serde())), expected);
}

#[test]
fn another_key_leaves_the_choice_to_the_producer() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("in").to("out");
    let mut task = task_of(&builder.build().unwrap());
    let (input, _) = task.inputs().next().unwrap();
    let mut sent = Sixteen::default();
    task.add_record(input, raw(0, 0, b"a", &[0; 8]), 0, &mut sent).unwrap();
    assert_eq!(sent.0, [None]);
}

/// What `build` says of windows.
fn fault(add: impl FnOnce(&oncestream_operators::KGroupedStream<String, i64>)) -> String {
    let builder = StreamsBuilder::new();
    add(&builder.stream::<String, i64>("in").group_by_key());
    match builder.build() {
        Err(TopologyError::InvalidWindows { node, reason }) => format!("{node}: {reason}"),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("such windows cannot be"),
    }
}

#[test]
fn windows_that_cannot_be_are_refused_with_what_to_do() {
    let none = Duration::ZERO;
    let told = [
        fault(|g| drop(g.windowed_by(TimeWindows::of_size_with_no_grace(none)).count("s"))),
        fault(|g| {
            let windows = TimeWindows::of_size_with_no_grace(10 * MS).advance_by(11 * MS);
            g.windowed_by(windows).count("s");
        }),
        fault(|g| {
            let windows = SlidingWindows::of_time_difference_with_no_grace(none);
            g.windowed_by(windows).count("s");
        }),
        fault(|g| drop(g.windowed_by(UnlimitedWindows::of().start_on(-1)).count("s"))),
        fault(|g| {
            let emit = EmitStrategy::on_window_close();
            g.windowed_by(UnlimitedWindows::of()).emit_strategy(emit).count("s");
        }),
        fault(|g| {
            let windows = SessionWindows::of_inactivity_gap_and_grace(10 * MS, 5 * MS);
            g.windowed_by(windows).count(Materialized::named("s").retention(14 * MS));
        }),
        fault(|g| drop(g.count(Materialized::named("s").retention(MS)))),
        fault(|g| {
            let windows = TimeWindows::of_size_with_no_grace(10 * MS);
            g.windowed_by(windows).count(Materialized::named("s").ttl(MS));
        }),
        fault(|g| {
            let windows = SessionWindows::of_inactivity_gap_with_no_grace(10 * MS);
            g.windowed_by(windows).count(Materialized::named("s").ttl(MS));
        }),
    ];
    let expected = [
        "their size is 0 ms",
        "they advance by 11 ms",
        "their time difference is 0 ms",
        "they begin at -1 ms",
        "they never end",
        "keeps them for 14 ms, and must keep them for 15 ms",
        "keeps no windows; leave retention() out",
        "give retention(), and leave ttl() out",
        "give retention(), and leave ttl() out",
    ];
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.contains(expected), "{told}");
    }
}

/// The bytes have no end of the window, so two sizes would read a record as two windows.
#[test]
fn a_topic_is_not_read_as_windows_of_two_sizes() {
    let read_twice = |one: DynSerde<Windowed<String>>, two: DynSerde<Windowed<String>>| {
        let builder = StreamsBuilder::new();
        builder.stream(Consumed::with("in", one, i64::serde())).for_each(|_, _| ());
        builder.stream(Consumed::with("in", two, i64::serde())).for_each(|_, _| ());
        builder.build().map(|_| ())
    };
    let of = |size: u32| Windowed::time_serde(String::serde(), size * MS);
    let differ = read_twice(of(10), of(20));
    assert!(matches!(differ, Err(TopologyError::SourcesDiffer { .. })), "{differ:?}");
    let same = of(10);
    assert_eq!(read_twice(same.clone(), same), Ok(()));
    let sessions = || Windowed::session_serde(String::serde());
    assert_eq!(read_twice(sessions(), sessions()), Ok(()));
}

/// What decides whether a record is late is committed with the offset of the record.
#[test]
fn the_time_of_an_aggregation_is_committed_with_the_offsets() {
    let builder = StreamsBuilder::new();
    let windows = TimeWindows::of_size_and_grace(10 * MS, 5 * MS);
    let grouped = builder.stream::<String, i64>("in").group_by_key();
    grouped.windowed_by(windows).emit_strategy(EmitStrategy::on_window_close()).count("counts");
    let topology = builder.build().unwrap();
    let mut task = task_of(&topology);
    let (input, _) = task.inputs().next().unwrap();
    let mut sent = Sixteen::default();
    for (offset, time) in [3, 40, 35].into_iter().enumerate() {
        let record = raw(offset as i64, time, b"a", &[0; 8]);
        task.add_record(input, record, 0, &mut sent).unwrap();
    }
    let position = task.positions().next().unwrap();
    let times: Vec<(&str, i64)> =
        position.metadata.times.iter().map(|(name, time)| (&**name, *time)).collect();
    // The time up to which windows were emitted, and the latest time seen.
    assert_eq!(times, [("counts", 35), ("counts-observed", 40)]);

    let mut restarted = task_of(&topology);
    restarted.set_committed(input, Some(position.offset), &position.metadata);
    restarted.add_record(input, raw(3, 20, b"a", &[0; 8]), 0, &mut sent).unwrap();
    assert_eq!(restarted.take_dropped(), 1, "the window of 20 closed at 35");
    assert_eq!(restarted.positions().next().unwrap().metadata.times, position.metadata.times);
}

/// The ends of time, and windows as long as time, in any order.
#[test]
fn extreme_times_and_windows_break_nothing() {
    type Add = fn(&oncestream_operators::KGroupedStream<String, i64>, EmitStrategy);
    let kinds: [(&str, Add); 7] = [
        ("time", |g, emit| {
            let windows = TimeWindows::of_size_and_grace(10 * MS, Duration::MAX);
            g.windowed_by(windows.advance_by(3 * MS)).emit_strategy(emit).count("s");
        }),
        ("time as long as time", |g, emit| {
            let windows = TimeWindows::of_size_with_no_grace(Duration::MAX);
            g.windowed_by(windows).emit_strategy(emit).count("s");
        }),
        ("sliding", |g, emit| {
            let windows = SlidingWindows::of_time_difference_and_grace(10 * MS, Duration::MAX);
            g.windowed_by(windows).emit_strategy(emit).count("s");
        }),
        ("sliding as long as time", |g, emit| {
            let windows = SlidingWindows::of_time_difference_with_no_grace(Duration::MAX);
            g.windowed_by(windows).emit_strategy(emit).count("s");
        }),
        ("sessions", |g, emit| {
            let windows = SessionWindows::of_inactivity_gap_and_grace(MS, Duration::MAX);
            g.windowed_by(windows).emit_strategy(emit).count("s");
        }),
        ("sessions as long as time", |g, emit| {
            let windows = SessionWindows::of_inactivity_gap_with_no_grace(Duration::MAX);
            g.windowed_by(windows).emit_strategy(emit).count("s");
        }),
        ("suppressed", |g, emit| {
            let windows = TimeWindows::of_size_and_grace(10 * MS, Duration::MAX);
            let counts = g.windowed_by(windows).emit_strategy(emit).count("s");
            counts.suppress(Suppressed::until_window_closes(BufferConfig::unbounded())).suppress(
                Suppressed::until_time_limit(Duration::MAX, BufferConfig::max_records(1)),
            );
        }),
    ];
    let times = [5, i64::MAX, 0, i64::MAX - 1, 7, i64::MAX, 1, i64::MAX / 2, 8];
    for (kind, add) in kinds {
        for emit in [EmitStrategy::on_window_update(), EmitStrategy::on_window_close()] {
            for first in 0..times.len() {
                let builder = StreamsBuilder::new();
                add(&builder.stream::<String, i64>("in").group_by_key(), emit);
                let mut task = task_of(&builder.build().unwrap());
                let (input, _) = task.inputs().next().unwrap();
                let mut sent = Sixteen::default();
                for (offset, time) in times[first..].iter().chain(&times[..first]).enumerate() {
                    let record = raw(offset as i64, *time, b"a", &[0; 8]);
                    let taken = task.add_record(input, record, 0, &mut sent);
                    taken.unwrap_or_else(|e| panic!("{kind}, {emit:?}, {time}: {e}"));
                }
            }
        }
    }
}
