//! Records that nobody expected, and users' functions that panic: an answer with topic, partition
//! and offset, the handler where the record is at fault, and the records around it unharmed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oncestream::prelude::*;
use oncestream::serde::{SerdeError, fn_serde};
use oncestream_tests::application::*;
use oncestream_tests::raw::{Batch, produce_bytes};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

const DEAD: &str = "errors.dead.letter.queue.topic.name";
const DESERIALIZATION: &str = "deserialization.exception.handler";
const AT_LEAST_ONCE: (&str, &str) = ("processing.guarantee", "at_least_once");
/// No commit is due before the error.
const LATE: [(&str, &str); 2] =
    [("commit.interval.ms", "30000"), ("transaction.timeout.ms", "40000")];

/// A name of a header that clients cannot read, and how it is told.
#[derive(Clone, Copy, Debug)]
enum BadName {
    NotUtf8,
    Nul,
    NulWithoutValue,
}

impl BadName {
    const ALL: [Self; 3] = [Self::NotUtf8, Self::Nul, Self::NulWithoutValue];

    /// Writes a record with this name in a header, between two other headers.
    fn produce(self, topic: &str, key: &str, value: &str) {
        match self {
            Self::NotUtf8 => {
                let batch = Batch::of(&[(Some(key), Some(value))])
                    .header("before", Some(b"1"))
                    .header("trace#", Some(b"2"))
                    .header("after", None);
                produce_bytes(servers(), topic, batch.encode_with(b"trace#", b"trace\xff"));
            }
            Self::Nul | Self::NulWithoutValue => {
                let inside = matches!(self, Self::Nul).then_some(b"2".as_slice());
                let names =
                    [("before", Some(b"1".as_slice())), ("tr\0ace", inside), ("after", None)];
                produce_with_headers(topic, key, value, names);
            }
        }
    }

    fn is_first(self) -> bool {
        matches!(self, Self::NotUtf8)
    }

    fn told(self) -> &'static str {
        match self {
            Self::NotUtf8 => r"trace\xff",
            Self::Nul | Self::NulWithoutValue => r"tr\0",
        }
    }
}

fn produce_with_headers<'a>(
    topic: &str,
    key: &str,
    value: &str,
    headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
) {
    let config = |c: &mut ClientConfig| c.set("bootstrap.servers", servers()).clone();
    let producer: BaseProducer = config(&mut ClientConfig::new()).create().unwrap();
    let headers = headers
        .into_iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value }));
    let record = BaseRecord::to(topic).key(key).payload(value).headers(headers).partition(0);
    producer.send(record).map_err(|(e, _)| e).unwrap();
    producer.flush(DEADLINE).unwrap();
}

/// The headers of each visible record of a topic with one partition.
fn headers(topic: &str) -> Vec<Vec<(String, Option<String>)>> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers())
        .set("group.id", "the-tests-read-without-a-group")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    reader.assign(&list).unwrap();
    let text = |v: &[u8]| String::from_utf8_lossy(v).into_owned();
    let mut all = Vec::new();
    for _ in 0..visible(topic).len() {
        let record = reader.poll(DEADLINE).expect("a record").unwrap();
        let of_record = record.headers().into_iter().flat_map(|headers| {
            headers.iter().map(|h| (h.key.to_owned(), h.value.map(text))).collect::<Vec<_>>()
        });
        all.push(of_record.collect());
    }
    all
}

fn passing(inputs: &[&str], output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, String>(inputs).to(output);
    builder.build().unwrap()
}

fn produce_text(topic: &str, key: &str, value: &str) {
    produce(topic, [(Some(key), Some(value.as_bytes()))]);
}

/// What a record comes to that passes.
fn seen(key: &str, value: &str) -> Seen {
    (Some(key.to_owned()), Some(value.as_bytes().to_vec()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_name_that_is_no_text_stops_with_topic_partition_and_offset() {
    for name in BadName::ALL {
        // With several inputs records wait in queues: one name shows it.
        for several in [false, true].into_iter().filter(|s| !s || name.is_first()) {
            let app = Application::new("header-fail");
            let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
            let other = app.create("other", 1).await;
            produce_text(&input, "k", "good");
            name.produce(&input, "k", "bad");
            produce_text(&input, "k", "good");
            let inputs = [input.as_str(), other.as_str()];
            let inputs = if several { &inputs[..] } else { &inputs[..1] };
            let error = run_to_error(app.streams(passing(inputs, &output), &LATE)).await;
            assert_tells(&error, &["task 0_0", "header", &format!("{input}-0 at offset 1")]);
            assert_tells(&error, &[name.told(), "deserialization.exception.handler=continue"]);
            assert_eq!(visible(&output), [], "{name:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_with_a_header_name_that_is_no_text_is_a_dead_letter_with_all_that_can_be_read() {
    for name in BadName::ALL {
        let more = [(true, None), (false, Some(AT_LEAST_ONCE))];
        let more = more.into_iter().filter(|_| name.is_first());
        for (several, settings) in [(false, None)].into_iter().chain(more) {
            let app = Application::new("header-continue");
            let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
            let (other, dead) = (app.create("other", 1).await, app.create("dead", 1).await);
            produce_text(&input, "k", "first");
            name.produce(&input, "bad", "value");
            produce_text(&input, "k", "last");
            let inputs = [input.as_str(), other.as_str()];
            let inputs = if several { &inputs[..] } else { &inputs[..1] };
            let handled = [(DESERIALIZATION, "continue"), (DEAD, dead.as_str())];
            let settings: Vec<_> = handled.into_iter().chain(settings).collect();
            let streams = app.streams(passing(inputs, &output), &settings);
            let streams = start(streams).await;
            let good = [seen("k", "first"), seen("k", "last")];
            wait_until("the good records", || visible(&output) == good);
            wait_until("the dead letter", || visible(&dead) == [seen("bad", "value")]);
            stop(&streams).await;
            let letter = headers(&dead).remove(0);
            let of = |name: &str| {
                let found = letter.iter().find(|(n, _)| n == name);
                found.unwrap_or_else(|| panic!("no {name} in {letter:?}")).1.clone()
            };
            assert_eq!(of("before").as_deref(), Some("1"));
            assert_eq!(of("after"), None);
            let kept = !matches!(name, BadName::NulWithoutValue);
            assert_eq!(letter[1].1.as_deref(), kept.then_some("2"), "{name:?}: {letter:?}");
            assert!(of("__streams.errors.message").unwrap().contains(name.told()), "{letter:?}");
            assert_eq!(of("__streams.errors.topic").as_deref(), Some(input.as_str()));
            assert_eq!(of("__streams.errors.offset").as_deref(), Some("1"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_clients_take_pass_as_they_are() {
    let app = Application::new("header-good");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let names = [("", Some(b"1".as_slice())), ("twice", None), ("twice", Some(b"")), ("ünï", None)];
    produce_with_headers(&input, "k", "v", names);
    produce_text(&input, "k", "without");
    let streams = app.streams(passing(&[&input], &output), &[]);
    let streams = start(streams).await;
    wait_until("the records", || visible(&output).len() == 2);
    stop(&streams).await;
    let text = |v: &[u8]| String::from_utf8_lossy(v).into_owned();
    let expected = names.map(|(name, value)| (name.to_owned(), value.map(text)));
    assert_eq!(headers(&output), [expected.to_vec(), vec![]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_with_thousands_of_headers_passes_in_time() {
    for null in [false, true] {
        let app = Application::new("header-many");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        let names: Vec<String> = (0..5000).map(|n| format!("name-{n}")).collect();
        let value = (!null).then_some(b"v".as_slice());
        produce_with_headers(&input, "k", "v", names.iter().map(|name| (name.as_str(), value)));
        let streams = app.streams(passing(&[&input], &output), &[]);
        let begun = Instant::now();
        let streams = start(streams).await;
        wait_until("the record", || visible(&output).len() == 1);
        assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
        stop(&streams).await;
        let found = headers(&output).remove(0);
        assert!(found.iter().map(|(name, _)| name).eq(&names), "{} headers", found.len());
    }
}

/// More than librdkafka takes (100,000), which it tells like a record without any.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_the_client_cannot_read_are_not_lost_unseen() {
    let app = Application::new("header-unread");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let dead = app.create("dead", 1).await;
    produce_with_headers(&input, "bad", "v", (0..100_001).map(|_| ("n", None)));
    produce_text(&input, "k", "good");
    let settings = [(DESERIALIZATION, "continue"), (DEAD, dead.as_str())];
    let streams = app.streams(passing(&[&input], &output), &settings);
    let streams = start(streams).await;
    wait_until("the good record", || visible(&output).contains(&seen("k", "good")));
    stop(&streams).await;
    assert_eq!(visible(&output), [seen("k", "good")]);
    assert_eq!(visible(&dead), [seen("bad", "v")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changelog_record_with_such_a_header_is_restored() {
    let app = Application::new("header-changelog");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let changelog = format!("{}-counts-changelog", app.id);
    let first = app.streams(counting(&input, &output), &[]);
    let first = start(first).await;
    produce_keys(&input, ["a"]);
    await_counts(&output, &[("a", 1)]);
    stop(&first).await;
    let ten = [0, 0, 0, 0, 0, 0, 0, 10];
    let ten = std::str::from_utf8(&ten).unwrap();
    for name in BadName::ALL {
        name.produce(&changelog, "a", ten);
    }
    let second = app.streams(counting(&input, &output), &[]);
    let second = start(second).await;
    produce_keys(&input, ["a"]);
    await_counts(&output, &[("a", 11)]);
    stop(&second).await;
}

// ---- Panics ----

#[derive(Clone, Copy, Debug, PartialEq)]
enum Panics {
    Mapper,
    Serde,
    Extractor,
    Sink,
    /// Of a record that waits in a queue, while that of another input is taken.
    Queued,
}

fn panicking(at: Panics, inputs: &[&str], output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let check = |on: bool, text: &str| assert!(!on || text != "bad", "no {text} here");
    let serde = |on_read: bool, on_write: bool| {
        Arc::new(fn_serde(
            move |v: &String, out: &mut Vec<u8>| {
                check(on_write, v);
                out.extend_from_slice(v.as_bytes());
                Ok(())
            },
            move |bytes: &[u8]| {
                let text =
                    String::from_utf8(bytes.to_vec()).map_err(SerdeError::format::<String>)?;
                check(on_read, &text);
                Ok(text)
            },
        ))
    };
    let key = <Option<String> as HasSerde>::serde();
    let consumed = Consumed::with(inputs, key.clone(), serde(at == Panics::Serde, false))
        .timestamp_extractor(move |r, _| {
            check(at == Panics::Extractor, &r.value);
            r.timestamp
        });
    builder
        .stream(consumed)
        .map_values(move |v: String| {
            check(matches!(at, Panics::Mapper | Panics::Queued), &v);
            v
        })
        .to(Produced::with(output, key, serde(false, at == Panics::Sink)));
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_told_with_the_record_in_hand() {
    use Panics::{Extractor, Mapper, Queued, Serde, Sink};
    for at in [Mapper, Serde, Extractor, Sink, Queued] {
        let app = Application::new("panic");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        let other = app.create("other", 1).await;
        produce_text(&input, "k", "good");
        produce_text(&input, "k", "bad");
        produce_text(&other, "k", "good");
        let inputs = [input.as_str(), other.as_str()];
        let inputs = if at == Queued { &inputs[..] } else { &inputs[..1] };
        let error = run_to_error(app.streams(panicking(at, inputs, &output), &LATE)).await;
        assert!(matches!(error, StreamsError::Panicked { worker: 0, .. }), "{at:?}: {error:?}");
        let place = format!("{input}-0 at offset 1");
        assert_tells(
            &error,
            &["panicked", "task 0_0", &place, "no bad here", "since its last commit"],
        );
        assert_eq!(visible(&output), [], "{at:?}");
    }
}

/// Panics in the call that it is told to.
struct Panicking(&'static str);

impl Processor for Panicking {
    type KeyIn = Option<String>;
    type ValueIn = String;
    type KeyOut = Option<String>;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        let interval = Duration::from_millis(10);
        ctx.schedule(interval, PunctuationType::WallClockTime, Self::punctuate);
        ctx.schedule(interval, PunctuationType::StreamTime, Self::punctuate);
        assert_ne!(self.0, "init", "told to");
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<Option<String>, String>,
    ) -> Result<(), BoxError> {
        Ok(ctx.forward(record)?)
    }

    fn close(&mut self) {
        assert_ne!(self.0, "close", "told to");
    }
}

impl Panicking {
    #[allow(clippy::unnecessary_wraps, reason = "what a schedule calls may fail")]
    fn punctuate(
        &mut self,
        _ctx: &mut ProcessorContext<'_, Self>,
        _timestamp: i64,
    ) -> Result<(), BoxError> {
        assert_ne!(self.0, "punctuate", "told to");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_without_a_record_is_told_with_the_task_and_what_it_did() {
    for (call, told) in [("init", "started"), ("punctuate", "punctuation"), ("close", "closed")] {
        let app = Application::new("panic-in");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        produce_text(&input, "k", "v");
        let builder = StreamsBuilder::new();
        builder
            .stream::<Option<String>, String>(&input)
            .process((), move |()| Panicking(call))
            .to(&output);
        let streams = app.streams(builder.build().unwrap(), &[]);
        let error = if call == "close" {
            let streams = start(streams).await;
            wait_until("the record", || visible(&output).len() == 1);
            streams.shutdown().await.unwrap_err()
        } else {
            run_to_error(streams).await
        };
        assert!(matches!(error, StreamsError::Panicked { worker: 0, .. }), "{call}: {error:?}");
        assert_tells(&error, &["panicked", "task 0_0", told, "told to"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_while_a_cache_is_flushed_is_told_with_the_task() {
    let app = Application::new("panic-flush");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    produce_keys(&input, ["k"]);
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(&input)
        .group_by_key()
        .count("counts")
        .to_stream()
        .map_values(|_| -> String { panic!("told to") })
        .to(&output);
    let error = run_to_error(app.streams(builder.build().unwrap(), &[])).await;
    assert_tells(&error, &["panicked", "task 0_0", "flushed", "told to", "since its last commit"]);
    assert_eq!(visible(&output), []);
}
