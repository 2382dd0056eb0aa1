//! Exception handlers and dead letters: as in Kafka Streams, line by line, and under exactly once
//! whatever crashes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oncestream_core::commit::Guarantee;
use oncestream_core::error::{BoxError, Part, TaskError};
use oncestream_core::graph::Topology;
use oncestream_core::handlers::{
    ErrorHandlerContext, HEADER_EXCEPTION, HEADER_MESSAGE, HEADER_OFFSET, HEADER_STACKTRACE,
    HandlerResponse, LogAndContinue, LogAndFail,
};
use oncestream_core::serde::{HasSerde, SerdeError, fn_serde};
use oncestream_core::task::{Outgoing, PunctuationType};
use oncestream_core::{Header, Headers, Record, TimestampMs};
use oncestream_operators::processor::{
    FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord, Processor, ProcessorContext,
};
use oncestream_operators::{Produced, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{
    DriverError, Sabotage, StoredRecord, TestOutput, TopologyTestDriverBuilder,
};

type Text = Option<String>;

const GOLDEN: &str = include_str!("data/golden_handlers.tsv");

// ---- the topologies, by the names of GoldenHandlers.java ----

#[derive(Debug, thiserror::Error)]
#[error("refused: {0}")]
struct Refused(String);

fn checked(v: Text) -> Result<Text, Refused> {
    match v {
        Some(v) if v.starts_with("bad") => Err(Refused(v)),
        v => Ok(v),
    }
}

fn topology(case: &str) -> Topology {
    let b = StreamsBuilder::new();
    match case {
        "deserialization" => {
            b.stream::<Text, i64>("in").map_values(|v| Some(v.to_string())).to("out");
        }
        "processing" => {
            let input = b.stream::<Text, Text>("in");
            input.try_map_values(checked).to("out");
            input.try_filter(|_, v| Ok::<_, Refused>(checked(v.clone())?.is_some())).to("kept");
            input.try_map(|k, v| Ok::<_, Refused>((v, checked(k)?))).to("swapped");
            let words = |v: Text| Ok::<_, Refused>(Vec::from_iter(checked(v)?));
            input.try_flat_map_values(words).map_values(Some).to("words");
        }
        "forwarded" => {
            b.stream::<Text, Text>("in").process((), |()| Thrice).try_map_values(checked).to("out");
        }
        "forwarded_with_its_key" => {
            b.stream::<Text, Text>("in").process_values((), |()| OnlyGood).to("out");
        }
        "after_repartition" => {
            b.stream::<Text, Text>("in")
                .select_key(|_, _| Some("new".to_owned()))
                .repartition("mid")
                .try_map_values(checked)
                .to("out");
        }
        "punctuation" => b.stream::<Text, Text>("in").process((), |()| Ticking).to("out"),
        "serialization" => {
            let picky = fn_serde(
                |v: &Text, out: &mut Vec<u8>| {
                    checked(v.clone()).map_err(SerdeError::format::<Text>)?;
                    Text::serde().serialize(v, out)
                },
                |bytes: &[u8]| Text::serde().deserialize(bytes),
            );
            let produced = Produced::with("out", Text::serde(), Arc::new(picky));
            b.stream::<Text, Text>("in").to(produced);
        }
        "several_inputs" => {
            let bad = i64::from_be_bytes(*b"abcdefgh");
            b.stream::<Text, i64>(&["one", "two"])
                .try_map_values(move |v| {
                    checked(Some(if v == bad { "bad".to_owned() } else { v.to_string() }))
                })
                .to("out");
        }
        other => panic!("no topology for the golden case {other}"),
    }
    b.build().unwrap()
}

/// Forwards what is good, and keeps the key.
struct OnlyGood;

impl FixedKeyProcessor for OnlyGood {
    type Key = Text;
    type ValueIn = Text;
    type ValueOut = Text;

    fn process(
        &mut self,
        ctx: &mut FixedKeyProcessorContext<'_, Self>,
        record: FixedKeyRecord<Text, Text>,
    ) -> Result<(), BoxError> {
        checked(record.value.clone())?;
        Ok(ctx.forward(record)?)
    }
}

/// Forwards a bad copy with another time and another header, then a good one.
struct Thrice;

impl Processor for Thrice {
    type KeyIn = Text;
    type ValueIn = Text;
    type KeyOut = Text;
    type ValueOut = Text;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<Text, Text>,
    ) -> Result<(), BoxError> {
        let mut bad = record.clone().with_value(Some("bad child".to_owned()));
        bad.timestamp += 100;
        bad.headers.add("more", Some(b"2".to_vec()));
        ctx.forward(bad)?;
        ctx.forward(record.clone().with_value(Some("good".to_owned())))?;
        checked(record.value)?;
        Ok(())
    }
}

struct Ticking;

impl Processor for Ticking {
    type KeyIn = Text;
    type ValueIn = Text;
    type KeyOut = Text;
    type ValueOut = Text;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        ctx.schedule(Duration::from_millis(10), PunctuationType::WallClockTime, Self::tick);
        Ok(())
    }

    fn process(
        &mut self,
        _ctx: &mut ProcessorContext<'_, Self>,
        _record: Record<Text, Text>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

impl Ticking {
    #[allow(clippy::unused_self, reason = "what a schedule calls has its processor")]
    fn tick(
        &mut self,
        _ctx: &mut ProcessorContext<'_, Self>,
        _timestamp: TimestampMs,
    ) -> Result<(), BoxError> {
        checked(Some("bad tick".to_owned()))?;
        Ok(())
    }
}

// ---- the comparison ----

fn continuing(topology: Topology) -> TopologyTestDriverBuilder {
    let handler = || LogAndContinue::default().dead_letter_topic("dlq");
    TopologyTestDriver::builder(topology)
        .application_id("golden")
        .deserialization_exception_handler(handler())
        .processing_exception_handler(handler())
        .production_exception_handler(handler())
}

/// Runs one case and gives the lines that the Java program printed for it, as they come out here.
fn replay(lines: &[&str]) -> Vec<String> {
    let header: Vec<&str> = lines[0].split('\t').collect();
    // Kafka Streams' driver has no transactions, whose markers would take offsets.
    let builder = continuing(topology(header[1])).guarantee(Guarantee::AtLeastOnce);
    let mut driver = builder.build().unwrap();
    let mut outputs: Vec<(String, TestOutput<Text, Text>)> =
        header[2].split(',').map(|topic| (topic.to_owned(), driver.output(topic))).collect();
    let mut actual = vec![lines[0].to_owned()];
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
            _ => continue,
        }
        actual.push((*line).to_owned());
        for (topic, output) in &mut outputs {
            for r in output.read_all().unwrap() {
                let (key, value) = (untext(&r.key), untext(&r.value));
                let headers = masked(&r.headers);
                actual.push(format!("out\t{topic}\t{key}\t{value}\t{}\t{headers}", r.timestamp));
            }
        }
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

/// As the Java program prints them: what cannot be the same in another language is `*`.
fn masked(headers: &Headers) -> String {
    let of_serde = headers.last(HEADER_EXCEPTION).is_some_and(|name| name.ends_with(b"SerdeError"));
    let one = |h: &Header| {
        let value = match h.key.as_str() {
            HEADER_EXCEPTION | HEADER_STACKTRACE => b"*",
            HEADER_MESSAGE if of_serde => b"*",
            _ => h.value.as_deref().unwrap_or(b"\\N"),
        };
        format!("{}={}", h.key, String::from_utf8_lossy(value))
    };
    headers.iter().map(one).collect::<Vec<_>>().join(",")
}

#[test]
fn every_golden_case_gives_the_dead_letters_that_kafka_streams_gives() {
    let lines: Vec<&str> = GOLDEN.lines().collect();
    let cases: Vec<&[&str]> = lines.chunk_by(|_, line| !line.starts_with("case\t")).collect();
    assert_eq!(cases.len(), 7, "the golden file is there");
    for case in cases {
        let expected: Vec<String> = case.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(replay(case), expected, "{}", case[0]);
    }
}

/// Its error is behind a `Box`, so its own type is not known. What wraps a processor with a fixed key is no
/// name of the user's.
#[test]
fn a_dead_letter_of_a_processors_own_error_names_the_processor() {
    for (case, expected) in [
        ("forwarded", vec!["handlers::Refused", "handlers::Thrice"]),
        ("forwarded_with_its_key", vec!["handlers::OnlyGood"]),
    ] {
        let mut driver = continuing(topology(case)).build().unwrap();
        let input = driver.input::<Text, Text>("in");
        driver.pipe(&input, None, Some("bad".to_owned()), 0).unwrap();
        driver.commit().unwrap();
        let names: Vec<_> = driver.topic("dlq").iter().map(|r| name_of_error(&r.headers)).collect();
        assert_eq!(names, expected, "{case}");
    }
}

fn name_of_error(headers: &Headers) -> String {
    String::from_utf8_lossy(headers.last(HEADER_EXCEPTION).unwrap()).into_owned()
}

// ---- crashes ----

/// Numbers of two inputs, of which one in three cannot be read or processed.
fn two_inputs() -> Topology {
    let b = StreamsBuilder::new();
    b.stream::<Text, i64>(&["one", "two"])
        .try_map_values(|v| if v % 5 == 0 { Err(Refused(v.to_string())) } else { Ok(v) })
        .to("out");
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
        let input = driver.input::<Text, Vec<u8>>(if n % 2 == 0 { "one" } else { "two" });
        let bytes = if n % 3 == 0 { vec![n as u8] } else { n.to_be_bytes().to_vec() };
        let piped = driver.pipe(&input, Some(n.to_string()), bytes, n);
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

/// The keys of the visible records of a topic, with how often each is there.
fn keys(driver: &TopologyTestDriver, topic: &str) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for record in driver.topic(topic) {
        *seen.entry(String::from_utf8(record.key.unwrap()).unwrap()).or_default() += 1;
    }
    seen
}

fn once(wanted: impl Fn(i64) -> bool) -> BTreeMap<String, usize> {
    (0..RECORDS).filter(|n| wanted(*n)).map(|n| (n.to_string(), 1)).collect()
}

fn is_bad(n: i64) -> bool {
    n % 3 == 0 || n % 5 == 0
}

#[test]
fn a_dead_letter_is_written_exactly_once_whatever_step_of_a_commit_crashes() {
    let (driver, steps) = feed(continuing(two_inputs()), None);
    assert!(steps > 10, "{steps}");
    assert_eq!(keys(&driver, "dlq"), once(is_bad));
    for step in 1..=steps {
        let (driver, _) = feed(continuing(two_inputs()), Some(step));
        assert_eq!(keys(&driver, "dlq"), once(is_bad), "crash at step {step}");
        assert_eq!(keys(&driver, "out"), once(|n| !is_bad(n)), "crash at step {step}");
    }
}

/// The test above can fail: offsets that count before the commit lose dead letters, and without
/// transactions they come twice.
#[test]
fn broken_rules_lose_dead_letters_or_write_them_twice() {
    let (_, steps) = feed(continuing(two_inputs()), None);
    let differs = |builder: fn() -> TopologyTestDriverBuilder| {
        (1..=steps).any(|step| keys(&feed(builder(), Some(step)).0, "dlq") != once(is_bad))
    };
    assert!(differs(|| continuing(two_inputs()).sabotage(Sabotage::OffsetsOutsideTransaction)));
    assert!(differs(|| continuing(two_inputs()).guarantee(Guarantee::AtLeastOnce)));
    assert!(!differs(|| continuing(two_inputs())));
}

/// A record that cannot be read waits behind a good one. A commit in between must not carry its
/// dead letter, for its offset is not part of that commit.
#[test]
fn the_dead_letter_of_a_record_that_waits_is_not_committed_before_its_offset() {
    let builder = continuing(two_inputs()).max_task_idle_ms(1_000).commit_interval_ms(10);
    let mut driver = builder.build().unwrap();
    let input = driver.input::<Text, Vec<u8>>("one");
    driver.pipe(&input, Some("good".into()), 1_i64.to_be_bytes().to_vec(), 1).unwrap();
    driver.pipe(&input, Some("bad".into()), vec![0], 2).unwrap();
    driver.advance_wall_clock(20).unwrap();
    assert_eq!((driver.topic("dlq"), driver.committed_offset("one", 0)), (vec![], Some(0)));
    driver.advance_wall_clock(2_000).unwrap();
    driver.commit_all().unwrap();
    assert_eq!(keys(&driver, "dlq"), [("bad".to_owned(), 1)].into());
    assert_eq!(driver.committed_offset("one", 0), Some(2));
}

// ---- handlers ----

fn values(records: Vec<StoredRecord>) -> Vec<String> {
    records.into_iter().map(|r| String::from_utf8(r.value.unwrap_or_default()).unwrap()).collect()
}

#[test]
fn a_failing_handlers_dead_letter_is_aborted_exactly_once_and_visible_at_least_once() {
    for (guarantee, visible) in [(Guarantee::ExactlyOnce, 0), (Guarantee::AtLeastOnce, 1)] {
        let mut driver = TopologyTestDriver::builder(topology("deserialization"))
            .deserialization_exception_handler(LogAndFail::default().dead_letter_topic("dlq"))
            .guarantee(guarantee)
            .build()
            .unwrap();
        let input = driver.input::<Text, Text>("in");
        let error = driver.pipe(&input, None, Some("bad".into()), 0).unwrap_err();
        let DriverError::Task { source: TaskError::Deserialize { offset: 0, .. }, .. } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(driver.topic("dlq").len(), visible, "{guarantee:?}");
    }
}

#[test]
fn a_closure_is_a_handler_and_sees_where_the_record_came_from_and_failed() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = seen.clone();
    let reading = move |ctx: &ErrorHandlerContext<'_>, part: Part, error: &SerdeError| {
        let at = (ctx.topic(), ctx.partition(), ctx.offset(), ctx.timestamp());
        let bytes = (ctx.source_raw_key(), ctx.source_raw_value());
        let node = (ctx.processor_node_id(), ctx.task_id().to_string());
        told.lock().unwrap().push(format!("{at:?} {bytes:?} {node:?} {part} {error}"));
        HandlerResponse::resume()
    };
    let mut driver = TopologyTestDriver::builder(topology("deserialization"))
        .deserialization_exception_handler(reading)
        .partitions("in", 2)
        .build()
        .unwrap();
    let input = driver.input::<Text, Text>("in");
    driver.pipe(&input.partition(1), None, Some("x".to_owned()), 5).unwrap();
    let expected = r#"(Some("in"), 1, 0, 5) (None, Some([120])) ("KSTREAM-SOURCE-0000000000", "0_1") value i64 takes 8 bytes, not 1"#;
    assert_eq!(*seen.lock().unwrap(), [expected]);
    assert_eq!(driver.dropped_records(), 1);
}

#[test]
fn a_processing_handler_may_choose_by_the_error_and_by_the_node() {
    let b = StreamsBuilder::new();
    b.stream::<Text, Text>("in").named("check").try_map_values(checked).to("out");
    let choosy = |ctx: &ErrorHandlerContext<'_>, error: &(dyn std::error::Error + 'static)| {
        assert_eq!(ctx.processor_node_id(), "check");
        match error.downcast_ref::<Refused>() {
            Some(Refused(v)) if v == "bad" => HandlerResponse::resume(),
            _ => HandlerResponse::fail(),
        }
    };
    let mut driver = TopologyTestDriver::builder(b.build().unwrap())
        .processing_exception_handler(choosy)
        .build()
        .unwrap();
    let input = driver.input::<Text, Text>("in");
    driver.pipe(&input, None, Some("bad".into()), 0).unwrap();
    let error = driver.pipe(&input, None, Some("bad!".into()), 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "task 0_0: processor check failed for the record in in-0 at offset 1: refused: bad!"
    );
}

#[test]
fn a_record_too_large_to_produce_is_dropped_alone_and_its_source_goes_to_the_dead_letters() {
    let b = StreamsBuilder::new();
    b.stream::<Text, String>("in").map_values(|v| v.repeat(50)).to("out");
    let topology = b.build().unwrap();
    let large = |builder: TopologyTestDriverBuilder| {
        let mut driver = builder.message_max_bytes(300).build().unwrap();
        let input = driver.input::<Text, Text>("in");
        for value in ["a", "too large", "b"] {
            driver.pipe(&input, None, Some(value.into()), 0)?;
        }
        let (out, dead) = (driver.topic("out"), driver.topic("dlq"));
        let offsets: Vec<_> = dead.iter().map(|r| r.headers.last(HEADER_OFFSET)).collect();
        // The first record's marker lies in the output topic, not in the input.
        assert_eq!(offsets, [Some(&b"1"[..])]);
        Ok::<_, DriverError>((values(out), values(dead)))
    };
    let (out, dead) = large(continuing(topology.clone())).unwrap();
    assert_eq!(out, ["a".repeat(50), "b".repeat(50)]);
    assert_eq!(dead, ["too large"]);
    let error = large(TopologyTestDriver::builder(topology)).unwrap_err();
    assert!(error.to_string().contains("cannot send to topic out"), "{error}");
}

#[test]
fn a_production_closure_sees_the_refused_record_and_fails_on_what_cannot_be_serialised() {
    let b = StreamsBuilder::new();
    b.stream::<Text, String>("in").to("out");
    let topic = |_: &ErrorHandlerContext<'_>,
                 record: &Outgoing<'_>,
                 error: &(dyn std::error::Error + 'static)| {
        assert_eq!((record.topic, record.value), ("out", Some(&b"too large"[..])));
        assert!(matches!(error.downcast_ref(), Some(DriverError::TooLarge { bytes: 9, max: 5 })));
        HandlerResponse::resume()
    };
    let mut driver = TopologyTestDriver::builder(b.build().unwrap())
        .production_exception_handler(topic)
        .message_max_bytes(5)
        .build()
        .unwrap();
    let input = driver.input::<Text, Text>("in");
    driver.pipe(&input, None, Some("too large".into()), 0).unwrap();
    assert_eq!(driver.dropped_records(), 1);

    let mut driver = TopologyTestDriver::builder(topology("serialization"))
        .production_exception_handler(topic)
        .build()
        .unwrap();
    let input = driver.input::<Text, Text>("in");
    let error = driver.pipe(&input, None, Some("bad".into()), 0).unwrap_err();
    assert!(error.to_string().contains("cannot serialise the value"), "{error}");
}

/// Were it skipped, the store would have what its changelog has not.
#[test]
fn a_record_of_a_changelog_is_never_skipped() {
    let b = StreamsBuilder::new();
    b.stream::<String, String>("in").group_by_key().reduce(|a, b| a + &b, "texts");
    let mut driver = continuing(b.build().unwrap()).message_max_bytes(20).build().unwrap();
    let input = driver.input::<Text, Text>("in");
    driver.pipe(&input, Some("k".into()), Some("x".repeat(15)), 0).unwrap();
    let error = driver.pipe(&input, Some("k".into()), Some("y".repeat(15)), 1).unwrap_err();
    assert!(error.to_string().contains("golden-texts-changelog"), "{error}");
}

#[test]
fn a_dead_letter_that_cannot_be_sent_is_an_error() {
    let mut driver = continuing(topology("deserialization")).message_max_bytes(5).build().unwrap();
    let input = driver.input::<Text, Text>("in");
    driver.pipe(&input, None, Some("bad".into()), 0).unwrap();
    let error = driver.pipe(&input, None, Some("a bad record".into()), 0).unwrap_err();
    assert!(error.to_string().contains("cannot send to topic dlq"), "{error}");
}
