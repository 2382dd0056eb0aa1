//! Exception handlers, dead letters and the uncaught-error handler: what is dropped is written to
//! the dead-letter topic exactly once, whatever comes between.

use std::num::ParseIntError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oncestream::handlers::Outgoing;
use oncestream::handlers::{ErrorHandlerContext, HandlerResponse};
use oncestream::prelude::*;
use oncestream_tests::application::*;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers as _;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

const DEAD: &str = "errors.dead.letter.queue.topic.name";
const DESERIALIZATION: &str = "deserialization.exception.handler";
const PROCESSING: &str = "processing.exception.handler";
const PRODUCTION: &str = "production.exception.handler";
const AT_LEAST_ONCE: (&str, &str) = ("processing.guarantee", "at_least_once");

/// Parses numbers.
fn parsing(input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(input)
        .try_map_values(|v| Ok::<_, ParseIntError>(v.parse::<i64>()?.to_string()))
        .to(output);
    builder.build().unwrap()
}

/// Parses numbers. At the number 7 it waits until something is in `dead`, committed or not, and
/// then panics, the first time.
fn parsing_and_panicking_once(input: &str, output: &str, dead: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let (dead, panics) = (dead.to_owned(), AtomicUsize::new(0));
    builder
        .stream::<Option<String>, String>(input)
        .try_map_values(|v| v.parse::<i64>())
        .map_values(move |n| {
            if n == 7 && panics.fetch_add(1, Ordering::Relaxed) == 0 {
                wait_until("a dead letter", || offsets(&dead, "read_uncommitted")[0].1 > 0);
                panic!("a crash between dead letter and commit");
            }
            n.to_string()
        })
        .to(output);
    builder.build().unwrap()
}

/// The headers of the first visible record of a topic with one partition.
fn first_headers(topic: &str) -> Vec<(String, String)> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers())
        .set("group.id", "the-tests-read-without-a-group")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    reader.assign(&list).unwrap();
    let record = reader.poll(DEADLINE).expect("a record").unwrap();
    let headers = record.headers().expect("headers");
    let text = |v: Option<&[u8]>| String::from_utf8_lossy(v.unwrap_or(b"null")).into_owned();
    headers.iter().map(|h| (h.key.to_owned(), text(h.value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_has_the_source_bytes_and_says_where_they_came_from() {
    let app = Application::new("letter");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let dead = app.create("dead", 1).await;
    let bad = b"\xff\xfe not text".as_slice();
    produce(&input, [(Some("k"), Some(b"1".as_slice())), (Some("k"), Some(bad))]);
    produce_lines(&input, ["x", "2"]);
    let streams = app.streams(
        parsing(&input, &output),
        &[(DESERIALIZATION, "continue"), (PROCESSING, "continue"), (DEAD, &dead)],
    );
    let streams = start(streams).await;
    wait_until("two numbers", || visible_texts(&output) == ["1", "2"]);
    stop(&streams).await;
    let letters = [(Some("k".to_owned()), Some(bad.to_vec())), (None, Some(b"x".to_vec()))];
    assert_eq!(visible(&dead), letters);
    let headers = first_headers(&dead);
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let prefixed = ["exception", "message", "stacktrace", "topic", "partition", "offset"]
        .map(|n| format!("__streams.errors.{n}"));
    assert_eq!(names, prefixed);
    assert!(headers[0].1.ends_with("SerdeError"), "{headers:?}");
    let place: Vec<&str> = headers[3..].iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(place, [&input, "0", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_dead_letter_and_commit_leaves_no_dead_letter_and_later_one() {
    // At least once is the negative control: there the first one stays.
    for (at_least_once, letters) in [(false, 1), (true, 2)] {
        let app = Application::new("crash");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        let dead = app.create("dead", 1).await;
        produce_lines(&input, ["bad", "1", "7", "2"]);
        let topology = parsing_and_panicking_once(&input, &output, &dead);
        let mut settings =
            vec![(PROCESSING, "continue"), (DEAD, &dead), ("commit.interval.ms", "5000")];
        if at_least_once {
            settings.push(AT_LEAST_ONCE);
        }
        let streams = app.streams(topology, &settings);
        let seen_at_the_crash = Arc::new(AtomicUsize::new(usize::MAX));
        let (seen, watched) = (seen_at_the_crash.clone(), dead.clone());
        let streams = streams.uncaught_error_handler(move |error| {
            assert_tells(error, &["between dead letter and commit"]);
            seen.store(visible(&watched).len(), Ordering::Relaxed);
            UncaughtErrorResponse::ReplaceWorker
        });
        let streams = start(streams).await;
        wait_until("three numbers", || {
            let seen = visible_texts(&output);
            seen.len() >= 3 && seen.ends_with(&["7".to_owned()])
        });
        stop(&streams).await;
        let first = seen_at_the_crash.load(Ordering::Relaxed);
        assert_eq!(first, usize::from(at_least_once), "visible at the crash");
        assert_eq!(visible_texts(&dead), vec!["bad"; letters]);
        if !at_least_once {
            assert_eq!(visible_texts(&output), ["1", "2", "7"]);
            // The aborted one and its marker, the committed one and its marker.
            assert!(offsets(&dead, "read_uncommitted")[0].1 >= 4);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_handlers_dead_letter_is_visible_at_least_once_alone() {
    for (settings, letters) in [(&[][..], 0), (&[AT_LEAST_ONCE][..], 1)] {
        let app = Application::new("fail");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        let dead = app.create("dead", 1).await;
        produce_lines(&input, ["bad"]);
        let settings: Vec<_> = settings.iter().copied().chain([(DEAD, &*dead)]).collect();
        let error = run_to_error(app.streams(parsing(&input, &output), &settings)).await;
        assert_tells(&error, &["task 0_0", "KSTREAM-MAPVALUES", "invalid digit"]);
        assert_eq!(visible_texts(&dead), vec!["bad"; letters]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_topic_that_does_not_exist_is_named_before_the_start() {
    let app = Application::new("no-dead");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let dead = app.topic("dead");
    let streams = app.streams(parsing(&input, &output), &[(DEAD, &dead)]);
    let error = streams.start().await.expect_err("it starts");
    assert!(matches!(error, StreamsError::MissingSinkTopic { .. }), "{error:?}");
    assert_tells(&error, &[&dead, "create it"]);
}

/// Records as large as they say, between small ones.
fn sized(input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(input)
        .map_values(|v| match v.split_once(' ').and_then(|(_, bytes)| bytes.parse().ok()) {
            Some(bytes) => "x".repeat(bytes),
            None => v,
        })
        .to(output);
    builder.build().unwrap()
}

/// Refused by the client, which does not harm the transaction, and by the broker, which does. The
/// broker refuses with the large record every small one of its batch: those must come through.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_large_to_produce_is_dropped_alone_and_exactly_once() {
    for (who, bytes) in [("client", 2_000_000), ("broker", 20_000)] {
        let app = Application::new(&format!("large-{who}"));
        let (input, output) = (app.create("in", 1).await, app.topic("out"));
        let dead = app.create("dead", 1).await;
        create_topic(&output, 1, &[("max.message.bytes", "10000")]).await;
        let mut lines: Vec<String> = (0..50).map(|n| format!("{n:02}")).collect();
        for at in [10, 11, 30] {
            lines[at] = format!("{at} {bytes}");
        }
        produce_lines(&input, lines.iter().map(String::as_str));
        let settings = [(PRODUCTION, "continue"), (DEAD, &*dead)];
        let streams = app.streams(sized(&input, &output), &settings);
        let streams = start(streams).await;
        wait_until("the small ones", || visible(&output).len() >= 47);
        stop(&streams).await;
        let small: Vec<String> = lines.iter().filter(|l| l.len() == 2).cloned().collect();
        let large: Vec<String> = lines.iter().filter(|l| l.len() > 2).cloned().collect();
        assert_eq!(visible_texts(&output), small, "{who}");
        assert_eq!(visible_texts(&dead), large, "{who}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_decides_about_a_record_for_a_topic_that_does_not_exist() {
    let app = Application::new("chosen");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let (dead, missing) = (app.create("dead", 1).await, app.topic("missing"));
    produce_lines(&input, ["a", "lost", "b"]);
    let builder = StreamsBuilder::new();
    let (good, bad) = (output.clone(), missing.clone());
    let choose = move |r: &Record<Option<String>, String>, _: Option<&_>| {
        if r.value == "lost" { bad.clone() } else { good.clone() }
    };
    builder.stream::<Option<String>, String>(&input).to(Produced::chosen(choose));
    let to = dead.clone();
    let handler = move |ctx: &ErrorHandlerContext<'_>,
                        record: &Outgoing<'_>,
                        error: &(dyn std::error::Error + 'static)| {
        assert_eq!((record.topic, ctx.offset()), (&*missing, 1));
        HandlerResponse::resume().with_dead_letter(ctx.dead_letter(&to, error))
    };
    let config = app.config().production_exception_handler(handler);
    let streams = streams(builder.build().unwrap(), config, &[]);
    let streams = start(streams).await;
    wait_until("two letters", || visible_texts(&output) == ["a", "b"]);
    stop(&streams).await;
    assert_eq!(visible_texts(&dead), ["lost"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_replaced_until_the_handler_stops_the_client() {
    let app = Application::new("replace");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    produce_lines(&input, ["1", "bad"]);
    let streams = app.streams(parsing(&input, &output), &[]);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let handler = move |_: &StreamsError| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => UncaughtErrorResponse::ReplaceWorker,
        _ => UncaughtErrorResponse::ShutdownClient,
    };
    let error = run_to_error(streams.uncaught_error_handler(handler)).await;
    assert!(matches!(error, StreamsError::Task { .. }), "{error:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert_eq!(visible(&output), []);
}
