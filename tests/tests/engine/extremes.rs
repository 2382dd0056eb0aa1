//! Keys, times, names and partitions at their limits: the record's fault and its handler's
//! business, or refused before a record is touched.

use std::time::{Duration, Instant};

use oncestream::prelude::*;
use oncestream_tests::application::*;

const DEAD: &str = "errors.dead.letter.queue.topic.name";
const PROCESSING: &str = "processing.exception.handler";
const PRODUCTION: &str = "production.exception.handler";
/// A patience that is not needed here: what is refused is refused at once.
const SOON: Duration = Duration::from_secs(40);

// ---- Keys ----

fn large_key() -> String {
    "k".repeat(70_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_too_large_for_a_store_stops_with_store_length_and_limit() {
    for backend in ["memory", "fjall", "sled"] {
        let app = Application::new("large-key");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        produce_keys(&input, ["small", large_key().as_str()]);
        let settings = [("state.backend", backend), ("commit.interval.ms", "5000")];
        let error = run_to_error(app.streams(counting(&input, &output), &settings)).await;
        assert_tells(&error, &["task 0_0", "store counts", "70000 bytes", "65533"]);
        assert!(!error.to_string().contains("panicked"), "{error}");
        assert_eq!(visible(&output), [], "{backend}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_too_large_for_a_store_is_a_dead_letter_and_those_around_it_are_counted() {
    let app = Application::new("large-key-continue");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let dead = app.create("dead", 1).await;
    let largest = "k".repeat(65_533);
    produce_keys(&input, ["small", large_key().as_str(), "small", &largest, &largest]);
    let settings = [(PROCESSING, "continue"), (DEAD, dead.as_str())];
    let streams = app.streams(counting(&input, &output), &settings);
    let streams = start(streams).await;
    await_counts(&output, &[("small", 2), (&largest, 2)]);
    stop(&streams).await;
    let letters = visible(&dead);
    assert_eq!(letters, [(Some(large_key()), Some(b"v".to_vec()))]);
    // What was counted is on the disk, the largest key with it.
    let again = app.streams(counting(&input, &output), &settings);
    let again = start(again).await;
    produce_keys(&input, [&largest]);
    await_counts(&output, &[("small", 2), (&largest, 3)]);
    stop(&again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_key_that_meets_no_store_passes() {
    let app = Application::new("large-key-pass");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    produce_keys(&input, [large_key()]);
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>(&input).to(&output);
    let streams = app.streams(builder.build().unwrap(), &[]);
    let streams = start(streams).await;
    wait_until("the record", || visible(&output) == [(Some(large_key()), Some(b"v".to_vec()))]);
    stop(&streams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_too_large_in_a_changelog_ends_the_restore_with_its_place() {
    for backend in ["memory", "fjall"] {
        let app = Application::new("large-key-restore");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        let settings = [("state.backend", backend)];
        let first = app.streams(counting(&input, &output), &settings);
        let first = start(first).await;
        produce_keys(&input, ["a"]);
        await_counts(&output, &[("a", 1)]);
        stop(&first).await;
        let changelog = format!("{}-counts-changelog", app.id);
        let end = offsets(&changelog, "read_committed")[0].1;
        produce(&changelog, [(Some(large_key().as_str()), Some(&1_i64.to_be_bytes()[..]))]);
        let error = run_to_error(app.streams(counting(&input, &output), &settings)).await;
        let place = format!("{changelog}-0 at offset {end}");
        assert_tells(&error, &[&place, "store counts", "70000 bytes", "65533", "reset"]);
        assert!(!error.to_string().contains("panicked"), "{backend}: {error}");
    }
}

// ---- Times ----

/// Forwards each record with the time that its value says.
struct Timed;

impl Processor for Timed {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        mut record: Record<String, String>,
    ) -> Result<(), BoxError> {
        record.timestamp = record.value.parse()?;
        Ok(ctx.forward(record)?)
    }
}

fn timing(input: &str, output: &str, again: bool) -> Topology {
    let builder = StreamsBuilder::new();
    let timed = builder.stream::<String, String>(input).process((), |()| Timed);
    if again {
        timed.repartition("again").to(output);
    } else {
        timed.to(output);
    }
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_cannot_be_produced_stops_and_is_never_another_one() {
    for time in ["0", "-5"] {
        for again in [false, true] {
            let app = Application::new("time");
            let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
            produce(
                &input,
                [(Some("k"), Some("1".as_bytes())), (Some("k"), Some(time.as_bytes()))],
            );
            let settings = [("commit.interval.ms", "5000")];
            let error = run_to_error(app.streams(timing(&input, &output, again), &settings)).await;
            let topic =
                if again { format!("{}-again-repartition", app.id) } else { output.clone() };
            assert_tells(&error, &[&topic, &format!("timestamp {time}")]);
            assert_eq!(visible(&output), [], "{time}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_cannot_be_produced_is_the_production_handlers_business() {
    for guarantee in ["exactly_once_v2", "at_least_once"] {
        let app = Application::new("time-continue");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        let dead = app.create("dead", 1).await;
        let values = ["1", "0", "2", "-5", "3"];
        produce(&input, values.map(|v| (Some("k"), Some(v.as_bytes()))));
        let settings =
            [(PRODUCTION, "continue"), (DEAD, dead.as_str()), ("processing.guarantee", guarantee)];
        let streams = app.streams(timing(&input, &output, false), &settings);
        let streams = start(streams).await;
        wait_until("the good records", || visible_texts(&output) == ["1", "2", "3"]);
        wait_until("the dead letters", || visible_texts(&dead) == ["-5", "0"]);
        stop(&streams).await;
    }
}

/// Tells the time of what the store has, and keeps the record with its own time.
struct Times {
    store: StoreHandle<String, String>,
}

impl Processor for Times {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        mut record: Record<String, String>,
    ) -> Result<(), BoxError> {
        let before = self.store.get_with_timestamp(&record.key)?;
        if record.value == "keep" {
            self.store.put(record.key.clone(), record.value.clone())?;
        }
        let time = before.map_or("none".to_owned(), |v| v.timestamp.to_string());
        record.value = format!("{}: {time}", record.value);
        record.timestamp = 1;
        Ok(ctx.forward(record)?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_0_in_a_store_is_the_same_after_a_restore_from_the_changelog() {
    let app = Application::new("time-store");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let topology = || {
        let builder = StreamsBuilder::new();
        let times = builder.add_state_store("times");
        let consumed = Consumed::<String, String>::new(&input).timestamp_extractor(|_, _| 0);
        builder.stream(consumed).process(&times, |store| Times { store }).to(&output);
        builder.build().unwrap()
    };
    let first = app.streams(topology(), &[]);
    let first = start(first).await;
    produce(&input, [(Some("k"), Some(&b"keep"[..])), (Some("k"), Some(&b"tell"[..]))]);
    wait_until("two answers", || visible_texts(&output) == ["keep: none", "tell: 0"]);
    stop(&first).await;
    let elsewhere = new_dir();
    let config = app.config_at(servers(), elsewhere.path());
    let second = streams(topology(), config, &[]);
    let second = start(second).await;
    produce(&input, [(Some("k"), Some(&b"after"[..]))]);
    wait_until("the third answer", || visible_texts(&output).len() == 3);
    stop(&second).await;
    assert_eq!(visible_texts(&output), ["after: 0", "keep: none", "tell: 0"]);
}

// ---- Names ----

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_topic_with_a_name_too_long_is_refused_with_what_it_is_made_of() {
    // Longest and too long by one: the store's name, two dashes and `changelog`.
    for (over, fits) in [(0, true), (1, false)] {
        let mut app = Application::new("long");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        let store = "s".repeat(150);
        let length = 249 - store.len() - "--changelog".len() + over;
        app.id = format!("{}-{}", app.id, "a".repeat(length - app.id.len() - 1));
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>(&input)
            .group_by_key()
            .count(&store)
            .to_stream()
            .to(&output);
        let streams = app.streams(builder.build().unwrap(), &[]);
        if fits {
            let streams = start(streams).await;
            stop(&streams).await;
            continue;
        }
        let error = refused(streams).await;
        assert_tells(&error, &[&format!("{}-{store}-changelog", app.id), "250", "249"]);
        assert_tells(&error, &["application.id", "name of the store"]);
        assert!(!error.to_string().contains("by hand"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_id_that_begins_no_topic_is_refused_at_the_start() {
    let mut app = Application::new("id");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    app.id = "a".repeat(250);
    let error = refused(app.streams(counting(&input, &output), &[])).await;
    assert_tells(&error, &["application.id", &app.id, "250 characters", "249"]);
    let made = std::fs::read_dir(app.state_dir()).unwrap().count();
    assert_eq!(made, 0, "a directory was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_differs_from_a_topic_in_dots_and_underscores_alone_is_refused() {
    let app = Application::new("collides");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let there = format!("{}-the.counts-changelog", app.id);
    create_topic(&there, 1, &[("cleanup.policy", "compact")]).await;
    let counting = |store: &str| {
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>(&input)
            .group_by_key()
            .count(store)
            .to_stream()
            .to(&output);
        builder.build().unwrap()
    };
    let error = refused(app.streams(counting("the_counts"), &[])).await;
    let ours = format!("{}-the_counts-changelog", app.id);
    assert_tells(&error, &[&ours, &there, "`.` and `_`"]);
    assert!(!error.to_string().contains("by hand"), "{error}");
    // The very topic is no collision.
    let streams = app.streams(counting("the.counts"), &[]);
    let streams = start(streams).await;
    stop(&streams).await;
    // A sink that is not there, and cannot be made.
    let builder = StreamsBuilder::new();
    let missing = output.replace('.', "_");
    builder.stream::<String, String>(&input).to(&missing);
    let error = refused(app.streams(builder.build().unwrap(), &[])).await;
    assert_tells(&error, &[&missing, &output, "`.` and `_`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_topic_that_cannot_be_is_refused_at_the_start() {
    let app = Application::new("dead-name");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let name = "d".repeat(250);
    let error = refused(app.streams(counting(&input, &output), &[(DEAD, &name)])).await;
    assert_tells(&error, &[&name, "dead letters", "250 characters"]);
}

fn choosing(input: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let value = |record: &Record<String, String>, _: Option<&_>| record.value.clone();
    builder.stream::<String, String>(input).to(Produced::chosen(value));
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_name_that_no_topic_can_have_is_the_records_fault() {
    let long = "t".repeat(250);
    for (name, told) in [("", "empty"), ("nu\0l", r"\0"), (&long, "250")] {
        let app = Application::new("chosen");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        let dead = app.create("dead", 1).await;
        produce(&input, [(Some("k"), Some(name.as_bytes()))]);
        let begun = Instant::now();
        let error = run_to_error(app.streams(choosing(&input), &[])).await;
        assert_tells(&error, &["task 0_0", told, "name"]);
        assert!(!error.to_string().contains("panicked"), "{error}");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        produce(&input, [(Some("k"), Some(output.as_bytes()))]);
        let settings = [(PRODUCTION, "continue"), (DEAD, dead.as_str())];
        let streams = app.streams(choosing(&input), &settings);
        let streams = start(streams).await;
        wait_until("the good record", || visible_texts(&output) == [output.as_str()]);
        wait_until("the dead letter", || visible_texts(&dead) == [name]);
        stop(&streams).await;
    }
}

/// The topic's partitions are asked for before the record is handed over.
#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_topic_that_is_not_there_is_the_records_fault_with_a_partitioner_too() {
    let app = Application::new("chosen-missing");
    let (input, output) = (app.create("in", 1).await, app.create("out", 2).await);
    let (dead, missing) = (app.create("dead", 1).await, app.topic("missing"));
    produce(&input, [&missing, &output].map(|topic| (Some("k"), Some(topic.as_bytes()))));
    let builder = StreamsBuilder::new();
    let produced = Produced::<String, String>::chosen(|record, _| record.value.clone())
        .partitioner(|_, _, n| Some(n - 1));
    builder.stream(&input).to(produced);
    let settings = [(PRODUCTION, "continue"), (DEAD, dead.as_str())];
    let streams = app.streams(builder.build().unwrap(), &settings);
    let streams = start(streams).await;
    wait_until("the good record", || visible_texts(&output) == [output.as_str()]);
    wait_until("the dead letter", || visible_texts(&dead) == [missing.as_str()]);
    stop(&streams).await;
}

// ---- Partitions ----

#[derive(Clone, Copy, Debug, PartialEq)]
enum To {
    Sink,
    Chosen,
    Repartition,
}

/// Each record goes to the partition that its value says.
fn partitioned(to: To, input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, String>(input);
    let choose = |_: &String, value: &String, _| Some(value.parse().unwrap());
    let chosen = output.to_owned();
    match to {
        To::Sink => stream.to(Produced::new(output).partitioner(choose)),
        To::Chosen => {
            stream.to(Produced::chosen(move |_, _| chosen.clone()).partitioner(choose));
        }
        To::Repartition => {
            let named = Repartitioned::named("again").partitions(2).partitioner(choose);
            stream.repartition(named).to(output);
        }
    }
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioner_out_of_range_is_told_with_topic_partition_and_their_number() {
    let cases =
        [(To::Sink, "2"), (To::Sink, "-1"), (To::Chosen, "2"), (To::Repartition, "-2147483648")];
    for (to, partition) in cases {
        let app = Application::new("partitioner");
        let (input, output) = (app.create("in", 1).await, app.create("out", 2).await);
        let dead = app.create("dead", 1).await;
        produce(&input, [(Some("k"), Some(partition.as_bytes()))]);
        let begun = Instant::now();
        let error = run_to_error(app.streams(partitioned(to, &input, &output), &[])).await;
        let topic = match to {
            To::Repartition => format!("{}-again-repartition", app.id),
            To::Sink | To::Chosen => output.clone(),
        };
        assert_tells(&error, &[&topic, &format!("partition {partition}"), "2 partitions"]);
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        assert_eq!(visible(&output), []);
        // Those in range pass.
        produce(&input, ["0", "1"].map(|v| (Some("k"), Some(v.as_bytes()))));
        let settings = [(PRODUCTION, "continue"), (DEAD, dead.as_str())];
        let streams = app.streams(partitioned(to, &input, &output), &settings);
        let streams = start(streams).await;
        wait_until("the good records", || visible_texts(&output) == ["0", "1"]);
        wait_until("the dead letter", || visible_texts(&dead) == [partition]);
        stop(&streams).await;
    }
}
