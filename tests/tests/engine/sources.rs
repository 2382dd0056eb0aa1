//! What an application reads: patterns whose topics come later, and names and patterns that must
//! not meet.

use oncestream::Topics;
use oncestream::prelude::*;
use oncestream_tests::application::*;

/// Topics that come are noticed soon.
const QUICK: [(&str, &str); 2] = [
    ("consumer.topic.metadata.refresh.interval.ms", "200"),
    ("consumer.metadata.max.age.ms", "1000"),
];

fn with<'a>(settings: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    QUICK.iter().chain(settings).copied().collect()
}

/// A pattern of topics of this test alone.
fn pattern(app: &Application, rest: &str) -> String {
    format!("{}{rest}", app.topic("").replace('.', "[.]"))
}

/// Counts the records of each key, in the store `counts`, straight or through a repartition topic.
fn counting(pattern: &str, output: &str, repartitioned: bool) -> Topology {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, String>(Topics::pattern(pattern));
    let grouped =
        if repartitioned { stream.group_by(|key, _| key.clone()) } else { stream.group_by_key() };
    grouped.count("counts").to_stream().to(output);
    builder.build().unwrap()
}

fn passing(pattern: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, String>(Topics::pattern(pattern)).to(output);
    builder.build().unwrap()
}

/// One record per key.
fn feed(topic: &str) {
    produce(topic, KEYS.map(|key| (Some(key), Some(&b"x"[..]))));
}

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn each(n: i64) -> [(&'static str, i64); 5] {
    KEYS.map(|key| (key, n))
}

// ---- Patterns that match nothing yet ----

/// Starts without a topic, takes one in, and counts on after a restart.
async fn waits_and_counts(name: &str, repartitioned: bool, threads: &str) {
    let app = Application::new(name);
    let output = app.create("out", 1).await;
    let topology = || counting(&pattern(&app, "in-.*"), &output, repartitioned);
    let settings = with(&[("num.stream.threads", threads)]);
    let streams = app.streams(topology(), &settings);
    let streams = start(streams).await;
    let internal = ["changelog", "repartition"].map(|kind| format!("{}-counts-{kind}", app.id));
    assert_eq!(internal.each_ref().map(|t| partition_count(t)), [0, 0], "nothing is known yet");

    let input = app.create("in-1", 3).await;
    feed(&input);
    await_counts(&output, &each(1));
    let wanted = [3, if repartitioned { 3 } else { 0 }];
    assert_eq!(internal.each_ref().map(|t| partition_count(t)), wanted);
    feed(&input);
    await_counts(&output, &each(2));
    stop(&streams).await;

    let again = app.streams(topology(), &settings);
    let again = start(again).await;
    feed(&input);
    await_counts(&output, &each(3));
    stop(&again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateful_pattern_without_a_topic_waits_for_one() {
    waits_and_counts("waits", false, "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateful_pattern_without_a_topic_waits_for_one_on_two_threads() {
    waits_and_counts("waits-two", false, "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repartition_topic_waits_for_the_topics_of_its_pattern() {
    waits_and_counts("waits-by", true, "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repartition_topic_waits_for_the_topics_of_its_pattern_on_two_threads() {
    waits_and_counts("waits-by-two", true, "2").await;
}

/// Records are spread over the repartition topic by their keys, however many partitions they come
/// from.
#[tokio::test(flavor = "multi_thread")]
async fn a_repartition_topic_keeps_its_partitions_when_a_wider_topic_comes_under_the_pattern() {
    let app = Application::new("wider");
    let (input, output) = (app.create("in-1", 2).await, app.create("out", 1).await);
    let topology = || counting(&pattern(&app, "in-.*"), &output, true);
    let streams = app.streams(topology(), &QUICK);
    let streams = start(streams).await;
    feed(&input);
    await_counts(&output, &each(1));
    let wider = app.create("in-2", 5).await;
    feed(&wider);
    await_counts(&output, &each(2));
    stop(&streams).await;

    let again = app.streams(topology(), &QUICK);
    let again = start(again).await;
    feed(&input);
    feed(&wider);
    await_counts(&output, &each(4));
    assert_eq!(partition_count(&format!("{}-counts-repartition", app.id)), 2);
    stop(&again).await;
}

// ---- Patterns that match what they must not ----

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_does_not_read_internal_topics_of_its_application() {
    let app = Application::new("own");
    let (_, output) = (app.create("in", 1).await, app.create("out", 1).await);
    // `<application.id>` and anything: the changelog that the application is about to make.
    let everything = format!("{}.in|{}-.*", app.id, app.id);
    let error = refused(app.streams(counting(&everything, &output, false), &[])).await;
    assert_tells(&error, &[&everything, &format!("`{}-counts-changelog`", app.id), "internal"]);

    // One that an older version of the application left behind.
    let left = format!("{}-gone-repartition", app.id);
    create_topic(&left, 1, &[]).await;
    let error = refused(app.streams(passing(&everything, &output), &[])).await;
    assert_tells(&error, &[&everything, &format!("`{left}`"), "internal"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_reads_what_is_merely_called_like_an_internal_topic() {
    let app = Application::new("alike");
    let output = app.create("out", 1).await;
    let input = app.create("in-changelog", 1).await;
    let streams = app.streams(passing(&pattern(&app, "in-.*"), &output), &QUICK);
    let streams = start(streams).await;
    produce_lines(&input, ["x"]);
    wait_until("the record", || visible_texts(&output) == ["x"]);
    stop(&streams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_topic_is_not_read_by_its_application() {
    let app = Application::new("dead");
    let (dead, output) = (app.create("in-dead", 1).await, app.create("out", 1).await);
    let continuing = [
        ("deserialization.exception.handler", "continue"),
        ("errors.dead.letter.queue.topic.name", &*dead),
    ];
    let all = pattern(&app, "in-.*");
    let error = refused(app.streams(passing(&all, &output), &continuing)).await;
    assert_tells(&error, &[&all, &format!("`{dead}`"), "dead-letter"]);

    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, String>(&dead).to(&output);
    let error = refused(app.streams(builder.build().unwrap(), &continuing)).await;
    assert_tells(&error, &[&format!("`{dead}`"), "dead-letter"]);

    let live = app.create("live", 1).await;
    let streams = app.streams(passing(&pattern(&app, "live"), &output), &continuing);
    let streams = start(streams).await;
    produce_lines(&live, ["x"]);
    wait_until("the record", || visible_texts(&output) == ["x"]);
    stop(&streams).await;
}

// ---- Two patterns ----

fn two_patterns(first: &str, second: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    for pattern in [first, second] {
        builder.stream::<Option<String>, String>(Topics::pattern(pattern)).to(output);
    }
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_two_patterns_match_is_refused_at_the_start() {
    let app = Application::new("two-start");
    let (both, output) = (app.create("in-1-x", 1).await, app.create("out", 1).await);
    let (first, second) = (pattern(&app, "in-.*"), pattern(&app, ".*-x"));
    let error = refused(app.streams(two_patterns(&first, &second, &output), &[])).await;
    assert_tells(&error, &[&first, &second, &format!("`{both}`"), "narrow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_two_patterns_match_is_refused_when_it_comes() {
    let app = Application::new("two-later");
    let (one, other) = (app.create("in-1", 1).await, app.create("2-x", 1).await);
    let output = app.create("out", 1).await;
    let (first, second) = (pattern(&app, "in-.*"), pattern(&app, ".*-x"));
    let streams = app.streams(two_patterns(&first, &second, &output), &QUICK);
    let streams = start(streams).await;
    produce_lines(&one, ["one"]);
    produce_lines(&other, ["other"]);
    wait_until("both", || visible_texts(&output) == ["one", "other"]);
    let both = app.create("in-2-x", 1).await;
    await_state(&streams, ClientState::Error).await;
    let error = streams.shutdown().await.unwrap_err();
    assert_tells(&error, &[&first, &second, &format!("`{both}`"), "narrow"]);
}
