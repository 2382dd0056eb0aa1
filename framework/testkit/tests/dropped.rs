//! Dead letters of records that operators drop although nothing failed: none unless they are asked for,
//! one for each record, and under exactly once whatever crashes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use oncestream_core::commit::Guarantee;
use oncestream_core::error::BoxError;
use oncestream_core::graph::Topology;
use oncestream_core::handlers::{DropReason, HEADER_EXCEPTION, HEADER_MESSAGE, HEADER_OFFSET};
use oncestream_core::{Header, Record};
use oncestream_operators::processor::{Processor, ProcessorContext};
use oncestream_operators::{Consumed, SessionWindows, SlidingWindows, StreamsBuilder, TimeWindows};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{DriverError, Sabotage, StoredRecord, TopologyTestDriverBuilder};

type Text = Option<String>;

fn telling(topology: Topology) -> TopologyTestDriverBuilder {
    TopologyTestDriver::builder(topology).dropped_records_to("dlq")
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Windows of 30 ms, of which each record has three.
fn hopping() -> Topology {
    let b = StreamsBuilder::new();
    let windows = TimeWindows::of_size_with_no_grace(ms(30)).advance_by(ms(10));
    b.stream::<Text, Text>("in").group_by_key().windowed_by(windows).count("counts");
    b.build().unwrap()
}

fn header(record: &StoredRecord, name: &str) -> String {
    String::from_utf8_lossy(record.headers.last(name).unwrap()).into_owned()
}

fn messages(driver: &TopologyTestDriver) -> Vec<String> {
    driver.topic("dlq").iter().map(|record| header(record, HEADER_MESSAGE)).collect()
}

#[allow(clippy::unnecessary_wraps, reason = "a key or a value of the topology")]
fn text(text: &str) -> Text {
    Some(text.to_owned())
}

/// At 100, then late for two of the windows that begin at 60, 70 and 80.
fn pipe_late_for_two_of_three(driver: &mut TopologyTestDriver) {
    let input = driver.input::<Text, Text>("in");
    driver.pipe(&input, text("a"), text("1"), 100).unwrap();
    let late = Record::new(text("late"), text("2"), 80);
    let late = late.with_headers([Header::new("h", b"7".to_vec())].into_iter().collect::<Vec<_>>());
    driver.pipe_record(&input, late).unwrap();
    driver.commit().unwrap();
}

#[test]
fn without_the_setting_a_dropped_record_is_counted_and_nothing_more() {
    let mut driver = TopologyTestDriver::builder(hopping()).build().unwrap();
    pipe_late_for_two_of_three(&mut driver);
    assert_eq!((driver.dropped_records(), driver.topic("dlq")), (2, vec![]));
}

#[test]
fn a_record_that_is_late_for_two_of_three_windows_has_one_dead_letter_as_it_was_read() {
    let mut driver = telling(hopping()).build().unwrap();
    pipe_late_for_two_of_three(&mut driver);
    assert_eq!(driver.dropped_records(), 2);
    let letters = driver.topic("dlq");
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (letter.key.as_deref(), letter.value.as_deref()),
        (Some(&b"late"[..]), Some(&b"2"[..]))
    );
    assert_eq!((letter.timestamp, letter.headers.last("h")), (80, Some(&b"7"[..])));
    assert_eq!(header(letter, HEADER_EXCEPTION), std::any::type_name::<DropReason>());
    assert_eq!(header(letter, HEADER_MESSAGE), DropReason::LateRecord.to_string());
    assert_eq!(header(letter, HEADER_OFFSET), "1");
}

/// Each operator, with the records that it gets, and the reasons of the dead letters.
#[test]
fn each_operator_that_drops_a_record_says_why() {
    use DropReason::{LateRecord, NullKey, NullValue};
    let (null_key, null_value) = ((None, text("v"), 100), (text("k"), None, 100));
    let first = || vec![(text("k"), text("v"), 100)];
    let with = |more: &[(Text, Text, i64)]| [&first()[..], more].concat();
    let late = (text("k"), text("v"), 10);
    let cases: [(&str, fn(&StreamsBuilder), _, &[DropReason]); 7] = [
        (
            "table",
            |b| drop(b.table::<Text, Text>("in")),
            with(std::slice::from_ref(&null_key)),
            &[NullKey],
        ),
        (
            "to_table",
            |b| drop(b.stream::<Text, Text>("in").to_table::<Text>()),
            with(&[null_key.clone(), null_value.clone()]),
            &[NullKey],
        ),
        (
            "count",
            |b| drop(b.stream::<Text, Text>("in").group_by_key().count("s")),
            with(&[null_key.clone(), null_value.clone()]),
            &[NullKey, NullValue],
        ),
        (
            "time windows",
            |b| {
                let windows = TimeWindows::of_size_with_no_grace(ms(10));
                b.stream::<Text, Text>("in").group_by_key().windowed_by(windows).count("s");
            },
            with(&[null_key.clone(), null_value.clone(), late.clone()]),
            &[NullKey, LateRecord],
        ),
        (
            "sliding windows",
            |b| {
                let windows = SlidingWindows::of_time_difference_with_no_grace(ms(10));
                b.stream::<Text, Text>("in").group_by_key().windowed_by(windows).count("s");
            },
            with(&[null_key.clone(), null_value.clone(), late.clone()]),
            &[NullKey, NullValue, LateRecord],
        ),
        (
            "sessions",
            |b| {
                let windows = SessionWindows::of_inactivity_gap_with_no_grace(ms(10));
                b.stream::<Text, Text>("in").group_by_key().windowed_by(windows).count("s");
            },
            with(&[null_key, null_value, late]),
            &[NullKey, LateRecord],
        ),
        (
            "a processor",
            |b| b.stream::<Text, Text>("in").process((), |()| Choosy).to("out"),
            with(&[(text("k"), text("no"), 100)]),
            &[DropReason::ByProcessor],
        ),
    ];
    for (operator, topology, records, reasons) in cases {
        let b = StreamsBuilder::new();
        topology(&b);
        let mut driver = telling(b.build().unwrap()).build().unwrap();
        let input = driver.input::<Text, Text>("in");
        for (key, value, time) in records {
            driver.pipe(&input, key, value, time).unwrap();
        }
        let told: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        assert_eq!(messages(&driver), told, "{operator}");
    }
}

/// Drops a record whose value is `no`, and forwards the others.
struct Choosy;

impl Processor for Choosy {
    type KeyIn = Text;
    type ValueIn = Text;
    type KeyOut = Text;
    type ValueOut = Text;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<Text, Text>,
    ) -> Result<(), BoxError> {
        if record.value.as_deref() == Some("no") {
            ctx.drop_record(DropReason::ByProcessor);
            return Ok(());
        }
        Ok(ctx.forward(record)?)
    }
}

#[test]
fn a_record_that_two_operators_drop_has_one_dead_letter_with_the_first_reason() {
    let b = StreamsBuilder::new();
    let input = b.stream::<Text, Text>("in");
    input.group_by_key().count("one");
    input.process((), |()| Choosy).to("out");
    let mut driver = telling(b.build().unwrap()).build().unwrap();
    let input = driver.input::<Text, Text>("in");
    driver.pipe(&input, None, text("no"), 1).unwrap();
    driver.pipe(&input, text("k"), text("yes"), 2).unwrap();
    assert_eq!(driver.dropped_records(), 2);
    assert_eq!(messages(&driver), [DropReason::NullKey.to_string()]);
}

/// What a cache gives at a commit is of no record that could be told of.
#[test]
fn what_a_cache_held_back_is_counted_alone() {
    let b = StreamsBuilder::new();
    let windows = TimeWindows::of_size_with_no_grace(ms(10));
    let table = b.table::<Text, Text>("in").materialized("table");
    table.to_stream().group_by_key().windowed_by(windows).count("counts");
    let mut driver = telling(b.build().unwrap()).build().unwrap();
    let input = driver.input::<Text, Text>("in");
    driver.pipe(&input, text("a"), text("1"), 100).unwrap();
    driver.pipe(&input, text("b"), text("2"), 10).unwrap();
    driver.commit().unwrap();
    assert_eq!((driver.dropped_records(), driver.topic("dlq")), (1, vec![]));
}

// ---- crashes ----

/// Two inputs, whose records wait. Every third record has a null key, and each fifth no time.
fn two_inputs() -> Topology {
    let b = StreamsBuilder::new();
    let timed = |topic: &str| {
        Consumed::<Text, i64>::new(topic).timestamp_extractor(|record, _| {
            if record.value % 5 == 0 { -1 } else { record.timestamp }
        })
    };
    let (one, two) = (b.stream(timed("one")), b.stream(timed("two")));
    one.merge(&two).group_by_key().count("counts");
    b.build().unwrap()
}

const RECORDS: i64 = 12;

/// Feeds the inputs, crashing at the n-th step of a commit if one is given; how many there were.
fn feed(builder: TopologyTestDriverBuilder, crash_at: Option<u64>) -> (TopologyTestDriver, u64) {
    let mut driver = builder.commit_interval_ms(10).build().unwrap();
    if let Some(step) = crash_at {
        driver.crash_at_count(step);
    }
    let recovered = |driver: &mut TopologyTestDriver, result: Result<(), DriverError>| {
        if let Err(error) = result {
            assert!(matches!(error, DriverError::Crashed { .. }), "{error}");
            driver.recover().unwrap();
        }
    };
    for n in 0..RECORDS {
        let input = driver.input::<Text, i64>(if n % 2 == 0 { "one" } else { "two" });
        let key = (n % 3 != 0).then(|| n.to_string());
        let piped = driver.pipe(&input, key, n, n);
        recovered(&mut driver, piped);
        let advanced = driver.advance_wall_clock(4);
        recovered(&mut driver, advanced);
    }
    let done = driver.commit_all();
    recovered(&mut driver, done);
    driver.commit_all().unwrap();
    let steps = driver.commit_steps();
    (driver, steps)
}

/// The values of the visible dead letters, with how often each is there.
fn letters(driver: &TopologyTestDriver) -> BTreeMap<i64, usize> {
    let mut seen = BTreeMap::new();
    for record in driver.topic("dlq") {
        let value = i64::from_be_bytes(record.value.unwrap().try_into().unwrap());
        *seen.entry(value).or_default() += 1;
    }
    seen
}

fn expected() -> BTreeMap<i64, usize> {
    (0..RECORDS).filter(|n| n % 3 == 0 || n % 5 == 0).map(|n| (n, 1)).collect()
}

#[test]
fn a_dead_letter_of_a_dropped_record_is_written_exactly_once_whatever_step_crashes() {
    let (driver, steps) = feed(telling(two_inputs()), None);
    assert!(steps > 10, "{steps}");
    assert_eq!(letters(&driver), expected());
    for step in 1..=steps {
        let (driver, _) = feed(telling(two_inputs()), Some(step));
        assert_eq!(letters(&driver), expected(), "crash at step {step}");
    }
}

/// The test above can fail.
#[test]
fn broken_rules_lose_dead_letters_of_dropped_records_or_write_them_twice() {
    let (_, steps) = feed(telling(two_inputs()), None);
    let differs = |builder: fn() -> TopologyTestDriverBuilder| {
        (1..=steps).any(|step| letters(&feed(builder(), Some(step)).0) != expected())
    };
    assert!(differs(|| telling(two_inputs()).sabotage(Sabotage::OffsetsOutsideTransaction)));
    assert!(differs(|| telling(two_inputs()).guarantee(Guarantee::AtLeastOnce)));
}

/// A record without a time waits behind a good one. A commit in between must not carry its dead letter,
/// for its offset is not part of that commit.
#[test]
fn the_dead_letter_of_a_dropped_record_that_waits_is_not_committed_before_its_offset() {
    let builder = telling(two_inputs()).max_task_idle_ms(1_000).commit_interval_ms(10);
    let mut driver = builder.build().unwrap();
    let input = driver.input::<Text, i64>("one");
    driver.pipe(&input, text("good"), 1, 1).unwrap();
    driver.pipe(&input, text("timeless"), 5, 2).unwrap();
    // An earlier record of the other input is processed: so there is something to commit.
    let other = driver.input::<Text, i64>("two");
    driver.pipe(&other, text("other"), 1, 0).unwrap();
    driver.advance_wall_clock(20).unwrap();
    assert_eq!(driver.committed_offset("two", 0), Some(1));
    assert_eq!((driver.topic("dlq"), driver.committed_offset("one", 0)), (vec![], Some(0)));
    driver.advance_wall_clock(2_000).unwrap();
    driver.commit_all().unwrap();
    assert_eq!(letters(&driver), [(5, 1)].into());
    assert_eq!(driver.committed_offset("one", 0), Some(2));
}
