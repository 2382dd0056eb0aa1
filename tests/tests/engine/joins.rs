//! Joins one of whose inputs is far behind: records meet by time, as far as `max.task.idle.ms` waits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oncestream::prelude::*;
use oncestream_tests::application::*;

use crate::inputs::{ONE_BY_ONE, feed};

/// So many records of the key are on each side.
const RECORDS: i64 = 30;
/// From one record to the next.
const STEP_MS: i64 = 1_000;

/// A stream and what it is joined with, on the broker before the application starts. The other topic begins
/// with as many records of another key, which are earlier. So who takes from both in turn meets its records
/// too late, and who takes one topic before the other does too.
struct Backlog {
    app: Application,
    stream: String,
    other: String,
    output: String,
}

impl Backlog {
    /// The records of the stream come `lag_ms` after those of the other topic with the same number.
    async fn new(name: &str, lag_ms: i64) -> Self {
        let app = Application::new(name);
        let (stream, other) = (app.create("a-stream", 1).await, app.create("b-other", 1).await);
        let output = app.create("out", 1).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        // Near to now: changelogs of windows keep no older records.
        let begin_ms = i64::try_from(now).unwrap() - 2 * RECORDS * STEP_MS;
        let time_ms = |n: i64| begin_ms + n * STEP_MS;
        feed(&other, Some("before"), (0..RECORDS).map(|n| (n, time_ms(n))));
        let numbers = RECORDS..2 * RECORDS;
        feed(&other, Some("key"), numbers.clone().map(|n| (n, time_ms(n))));
        feed(&stream, Some("key"), numbers.map(|n| (n, time_ms(n) + lag_ms)));
        Self { app, stream, other, output }
    }

    /// What the topology makes of it, until there are as many results as there are records of the key.
    async fn results(&self, topology: Topology, max_task_idle_ms: &str) -> Vec<String> {
        let settings = [("max.task.idle.ms", max_task_idle_ms), ONE_BY_ONE];
        let streams = start(self.app.streams(topology, &settings)).await;
        let all = RECORDS as usize;
        wait_until("all results", || visible(&self.output).len() >= all);
        stop(&streams).await;
        let text = |(_, value): Seen| String::from_utf8(value.unwrap()).unwrap();
        visible(&self.output).into_iter().map(text).collect()
    }
}

/// Each record with the one of the same number.
fn all_pairs() -> Vec<String> {
    (RECORDS..2 * RECORDS).map(|n| format!("{n}+{n}")).collect()
}

fn shown(one: &str, other: Option<&String>) -> String {
    format!("{one}+{}", other.map_or("none", String::as_str))
}

/// The results of a left join of two streams, in windows without grace that hold one record.
async fn of_streams(max_task_idle_ms: &str) -> Vec<String> {
    let backlog = Backlog::new("stream-join", 0).await;
    let builder = StreamsBuilder::new();
    let windows = JoinWindows::of_time_difference_with_no_grace(Duration::from_millis(100));
    let other = builder.stream::<String, String>(&backlog.other);
    builder
        .stream::<String, String>(&backlog.stream)
        .left_join(&other, windows, |one, other| shown(one, other))
        .to(&backlog.output);
    backlog.results(builder.build().unwrap(), max_task_idle_ms).await
}

/// With -1, the control, records are told of as without a partner that have one on the broker.
#[tokio::test(flavor = "multi_thread")]
async fn a_left_join_finds_partners_that_are_far_behind_and_with_minus_one_it_does_not() {
    assert_eq!(of_streams("0").await, all_pairs());
    let as_they_come = of_streams("-1").await;
    assert_ne!(as_they_come, all_pairs());
    assert!(as_they_come.iter().any(|result| result.ends_with("+none")), "{as_they_come:?}");
}

/// The results of a left join of a stream with a table, whose changes come half a step before the records of
/// the stream.
async fn of_stream_and_table(max_task_idle_ms: &str) -> Vec<String> {
    let backlog = Backlog::new("table-join", STEP_MS / 2).await;
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>(&backlog.other);
    builder
        .stream::<String, String>(&backlog.stream)
        .left_join_table(&table, |one, other| shown(one, other))
        .to(&backlog.output);
    backlog.results(builder.build().unwrap(), max_task_idle_ms).await
}

/// With -1, the control, the table is older or newer than the record that is joined.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_finds_the_table_as_it_was_at_its_time_and_with_minus_one_it_does_not() {
    assert_eq!(of_stream_and_table("0").await, all_pairs());
    assert_ne!(of_stream_and_table("-1").await, all_pairs());
}
