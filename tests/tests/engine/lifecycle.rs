//! The life of an application: its states, restarts, rebalances, backends, and what it does on
//! the side (purging, punctuating, metrics).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use oncestream::prelude::*;
use oncestream::{TimestampMs, Topics};
use oncestream_tests::application::*;
use oncestream_tests::metrics::{of_store, told};

fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}

fn count(calls: &AtomicUsize) {
    calls.fetch_add(1, Ordering::SeqCst);
}

/// Passes texts through and counts the calls.
fn pass(input: &str, output: &str, calls: &Arc<AtomicUsize>) -> Topology {
    let builder = StreamsBuilder::new();
    let calls = calls.clone();
    builder.stream::<Option<String>, String>(input).peek(move |_, _| count(&calls)).to(output);
    builder.build().unwrap()
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{n:05}")).collect()
}

fn lines(texts: &[String]) -> impl Iterator<Item = &str> {
    texts.iter().map(String::as_str)
}

// ---- States ----

#[test]
fn a_handle_can_be_shared_between_threads() {
    fn is_shareable<T: Clone + Send + Sync + 'static>() {}
    is_shareable::<Streams>();
    is_shareable::<StreamsConfig>();
}

#[tokio::test]
async fn a_start_that_fails_is_told_to_the_listener_and_in_the_error() {
    use ClientState as S;
    let app = Application::new("never");
    let changes: Arc<Mutex<Vec<(S, S)>>> = Arc::default();
    let seen = changes.clone();
    let streams = app.streams(pass(&app.topic("gone"), "out", &counter()), &[]);
    let streams = streams.on_state_change(move |from, to| seen.lock().unwrap().push((from, to)));
    let error = streams.start().await.unwrap_err();
    let StreamsError::Topology(TopologyError::MissingSourceTopic { topic }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(topic, app.topic("gone"));
    let wanted = [
        (S::Created, S::Rebalancing),
        (S::Rebalancing, S::PendingError),
        (S::PendingError, S::Error),
    ];
    assert_eq!(*changes.lock().unwrap(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn states_follow_each_other_from_created_to_not_running() {
    use ClientState as S;
    let app = Application::new("states");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let changes: Arc<Mutex<Vec<(S, S)>>> = Arc::default();
    let (seen, calls) = (changes.clone(), counter());
    let streams = app.streams(pass(&input, &output, &calls), &[]);
    let streams = streams.on_state_change(move |from, to| seen.lock().unwrap().push((from, to)));
    let streams = start(streams).await;
    produce_lines(&input, ["a"]);
    wait_until("the record", || calls.load(Ordering::SeqCst) == 1);
    stop(&streams).await;
    let wanted = [
        (S::Created, S::Rebalancing),
        (S::Rebalancing, S::Running),
        (S::Running, S::PendingShutdown),
        (S::PendingShutdown, S::NotRunning),
    ];
    assert_eq!(*changes.lock().unwrap(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_partitions_does_not_keep_the_application_from_running() {
    let app = Application::new("spare");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let topology = pass(&input, &output, &counter());
    let streams = app.streams(topology, &[("num.stream.threads", "3")]);
    let streams = start(streams).await;
    stop(&streams).await;
}

// ---- Shutdown and restart ----

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_commits_what_was_processed_and_the_next_run_repeats_none_of_it() {
    let app = Application::new("shutdown");
    let (input, output) = (app.create("in", 2).await, app.create("out", 1).await);
    let calls = counter();
    let (texts, more) = (numbered(0..500), numbered(500..600));
    produce_lines(&input, lines(&texts));
    // The shutdown alone can commit: the interval is far away.
    let late = [("commit.interval.ms", "30000"), ("transaction.timeout.ms", "40000")];
    let first = app.streams(pass(&input, &output, &calls), &late);
    let first = start(first).await;
    wait_until("all to be processed", || calls.load(Ordering::SeqCst) == texts.len());
    assert_eq!(visible(&output), [], "committed before the shutdown");
    stop(&first).await;
    assert_settled_within(&output, DEADLINE);
    assert_eq!(visible_texts(&output), texts);

    produce_lines(&input, lines(&more));
    let second = app.streams(pass(&input, &output, &calls), &late);
    let second = start(second).await;
    wait_until("the rest", || calls.load(Ordering::SeqCst) >= texts.len() + more.len());
    stop(&second).await;
    assert_eq!(calls.load(Ordering::SeqCst), texts.len() + more.len(), "processed twice");
    assert_settled_within(&output, DEADLINE);
    assert_eq!(visible_texts(&output), [texts, more].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_least_once_loses_nothing_over_a_restart() {
    let app = Application::new("at-least-once");
    let (input, output) = (app.create("in", 2).await, app.create("out", 2).await);
    let settings = [("processing.guarantee", "at_least_once"), ("commit.interval.ms", "100")];
    for round in 1..=2 {
        let streams = app.streams(word_count(&input, &output), &settings);
        let streams = start(streams).await;
        produce_lines(&input, ["a b a", "c a"]);
        // Nothing failed, so nothing was repeated.
        await_counts(&output, &[("a", 3 * round), ("b", round), ("c", round)]);
        stop(&streams).await;
    }
}

/// The topic is missing until the record has failed once.
#[tokio::test(flavor = "multi_thread")]
async fn at_least_once_repeats_a_record_whose_delivery_timed_out() {
    let app = Application::new("redelivery");
    let (input, later) = (app.create("in", 1).await, app.topic("later"));
    let calls = counter();
    let builder = StreamsBuilder::new();
    let (counted, chosen) = (calls.clone(), later.clone());
    builder
        .stream::<Option<String>, String>(&input)
        .peek(move |_, _| count(&counted))
        .to(Produced::chosen(move |_, _| chosen.clone()));
    produce_lines(&input, ["a"]);
    let settings = [
        ("processing.guarantee", "at_least_once"),
        ("commit.interval.ms", "100"),
        ("producer.message.timeout.ms", "1000"),
    ];
    let streams = app.streams(builder.build().unwrap(), &settings);
    let streams = start(streams).await;
    wait_until("a second try", || calls.load(Ordering::SeqCst) >= 2);
    create_topic(&later, 1, &[]).await;
    wait_until("the record", || visible_texts(&later) == ["a"]);
    stop(&streams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_restarts_without_a_rebalance_of_the_others() {
    let app = Application::new("static");
    let (input, output) = (app.create("in", 4).await, app.create("out", 2).await);
    let other_dir = new_dir();
    let one = || app.streams(word_count(&input, &output), &[("group.instance.id", "one")]);
    let other = streams(
        word_count(&input, &output),
        app.config_at(servers(), other_dir.path()),
        &[("group.instance.id", "other")],
    );
    let first = one();
    let first = start(first).await;
    let other = start(other).await;
    await_state(&first, ClientState::Running).await;
    produce_lines(&input, ["a b c d e f", "a b c d e f"]);
    let all = |n| ["a", "b", "c", "d", "e", "f"].map(|word| (word, n));
    await_counts(&output, &all(2));

    let mut changes = other.state_changes();
    assert_eq!(*changes.borrow_and_update(), ClientState::Running);
    stop(&first).await;
    produce_lines(&input, ["a b c d e f"]);
    let again = one();
    let again = start(again).await;
    produce_lines(&input, ["a b c d e f"]);
    await_counts(&output, &all(4));
    assert!(!changes.has_changed().unwrap(), "the other was rebalanced: {}", other.state());
    stop(&again).await;
    stop(&other).await;
}

// ---- Rebalances ----

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_the_tasks_and_counts_stay_exact_while_these_move() {
    const WORDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let app = Application::new("moving");
    let (input, output) = (app.create("in", 4).await, app.create("out", 2).await);
    let workers: Arc<Mutex<HashSet<ThreadId>>> = Arc::default();
    let topology = |workers: &Arc<Mutex<HashSet<ThreadId>>>| {
        let (builder, workers) = (StreamsBuilder::new(), workers.clone());
        builder
            .stream::<Option<String>, String>(&input)
            .peek(move |_, _| {
                workers.lock().unwrap().insert(std::thread::current().id());
            })
            .group_by(|_, word| word.clone())
            .count("counts")
            .to_stream()
            .to(&output);
        builder.build().unwrap()
    };
    let feed = || produce_lines(&input, (0..800).map(|n| WORDS[n % WORDS.len()]));
    let two = [("num.stream.threads", "2")];
    let first = app.streams(topology(&workers), &two);
    let first = start(first).await;
    feed();
    wait_until("two workers at work", || workers.lock().unwrap().len() == 2);

    let (other_dir, others) = (new_dir(), Arc::default());
    let config = app.config_at(servers(), other_dir.path());
    let second = streams(topology(&others), config, &two);
    feed();
    let second = start(second).await;
    feed();
    wait_until("the second instance at work", || !others.lock().unwrap().is_empty());
    feed();
    stop(&second).await;
    feed();
    await_counts(&output, &WORDS.map(|word| (word, 500)));
    stop(&first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_takes_in_a_topic_that_is_created_later() {
    // Classes as Rust and Java know them.
    let app = Application::new("pattern");
    let (early, output) = (app.create("in-1", 1).await, app.create("out", 1).await);
    let builder = StreamsBuilder::new();
    let pattern = app.topic(r"in-(?:\d+)").replace('.', "[.]");
    builder.stream::<Option<String>, String>(Topics::pattern(&pattern)).to(&output);
    let settings = [
        ("consumer.topic.metadata.refresh.interval.ms", "200"),
        ("consumer.metadata.max.age.ms", "1000"),
    ];
    let streams = app.streams(builder.build().unwrap(), &settings);
    let streams = start(streams).await;
    produce_lines(&early, ["early"]);
    wait_until("the first topic", || visible_texts(&output) == ["early"]);
    let (late, wrong) = (app.create("in-22", 2).await, app.create("in-x", 1).await);
    produce_lines(&wrong, ["wrong"]);
    produce_lines(&late, ["late"]);
    produce_lines(&early, ["more"]);
    wait_until("the new topic", || visible_texts(&output).len() >= 3);
    assert_eq!(visible_texts(&output), ["early", "late", "more"]);
    stop(&streams).await;
}

// ---- Internal topics and stores ----

#[tokio::test(flavor = "multi_thread")]
async fn repartition_topics_are_purged_up_to_what_is_committed() {
    let app = Application::new("purge");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let settings = [("repartition.purge.interval.ms", "200")];
    let streams = app.streams(word_count(&input, &output), &settings);
    let streams = start(streams).await;
    produce_lines(&input, ["a a a"]);
    await_counts(&output, &[("a", 3)]);
    let repartition = format!("{}-counts-repartition", app.id);
    wait_until("the purge", || offsets(&repartition, "read_uncommitted")[0].0 >= 3);
    // Without it the state directory would stay locked by a purge still under way.
    stop(&streams).await;
    let again = app.streams(word_count(&input, &output), &settings);
    let again = start(again).await;
    produce_lines(&input, ["a"]);
    await_counts(&output, &[("a", 4)]);
    stop(&again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_backend_counts_on_after_a_restart() {
    for backend in ["fjall", "sled", "memory"] {
        let app = Application::new(backend);
        let (input, output) = (app.create("in", 2).await, app.create("out", 1).await);
        for round in 1..=2 {
            let topology = word_count(&input, &output);
            let streams = app.streams(topology, &[("state.backend", backend)]);
            let streams = start(streams).await;
            produce_lines(&input, ["x y", "x"]);
            await_counts(&output, &[("x", 2 * round), ("y", round)]);
            stop(&streams).await;
        }
    }
}

/// The changelog is deleted, and made anew by the next start: the store's checkpoint lies past
/// its end. Were the store kept, the count would go on from 3.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_changelog_was_deleted_is_rebuilt_from_what_is_there() {
    let app = Application::new("stale");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let first = app.streams(word_count(&input, &output), &[]);
    let first = start(first).await;
    produce_lines(&input, ["a a a"]);
    await_counts(&output, &[("a", 3)]);
    stop(&first).await;
    delete_topic(&format!("{}-counts-changelog", app.id)).await;
    let second = app.streams(word_count(&input, &output), &[]);
    let second = start(second).await;
    produce_lines(&input, ["b"]);
    await_counts(&output, &[("a", 3), ("b", 1)]);
    produce_lines(&input, ["a"]);
    await_counts(&output, &[("a", 1), ("b", 1)]);
    stop(&second).await;
}

// ---- Processors ----

/// Keeps the last value of each key, and tells all of them each time the wall clock says so.
struct Latest {
    store: StoreHandle<String, String>,
}

impl Processor for Latest {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        let interval = Duration::from_millis(100);
        ctx.schedule(interval, PunctuationType::WallClockTime, Self::tell_all);
        Ok(())
    }

    fn process(
        &mut self,
        _ctx: &mut ProcessorContext<'_, Self>,
        record: Record<String, String>,
    ) -> Result<(), BoxError> {
        Ok(self.store.put(record.key, record.value)?)
    }
}

impl Latest {
    fn tell_all(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        timestamp: TimestampMs,
    ) -> Result<(), BoxError> {
        for entry in self.store.all() {
            let (key, value) = entry?;
            ctx.forward(Record::new(key.clone(), value, timestamp))?;
            self.store.delete(&key)?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wall_clock_punctuates_without_any_further_record() {
    let app = Application::new("punctuation");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let builder = StreamsBuilder::new();
    let latest = builder.add_state_store("latest");
    builder.stream::<String, String>(&input).process(&latest, |store| Latest { store }).to(&output);
    let streams = app.streams(builder.build().unwrap(), &[]);
    let streams = start(streams).await;
    for value in ["one", "two"] {
        produce(&input, [(Some("k"), Some(value.as_bytes()))]);
        let told = (Some("k".to_owned()), Some(value.as_bytes().to_vec()));
        wait_until("the punctuation", || visible(&output).last() == Some(&told));
    }
    assert_eq!(visible(&output).len(), 2, "told again after it was deleted");
    stop(&streams).await;
}

// ---- Metrics ----

/// The names and kinds in the table of the documentation.
fn documented() -> BTreeSet<(String, String)> {
    include_str!("../../../framework/engine/src/metrics.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `oncestream_"))
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (format!("oncestream_{}", cells[0].trim_end_matches('`')), cells[1].to_owned())
        })
        .collect()
}

/// Counts words, and beside them forwards counts when another word waits.
fn suppressed_count(input: &str, output: &str, late: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let counts = builder
        .stream::<Option<String>, String>(input)
        .group_by(|_, word| word.clone())
        .count("counts");
    counts.to_stream().to(output);
    let one = BufferConfig::max_records(1).with_max_bytes(1 << 20).emit_early_when_full();
    let later = Suppressed::until_time_limit(Duration::from_hours(1), one).with_name("later");
    counts.suppress(later).to_stream().to(late);
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_metric_is_told_and_no_other() {
    let app = Application::new("metrics");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let late = app.create("late", 1).await;
    let gauge =
        |name: &str| of_store(name, "later-store").first().map_or(0.0, |metric| metric.most);
    let (records, bytes) =
        ("oncestream_suppression_buffer_records", "oncestream_suppression_buffer_bytes");
    // The second run restores: memory keeps nothing. The client's statistics tell the lag.
    let settings = [("state.backend", "memory"), ("consumer.statistics.interval.ms", "100")];
    for round in 1..=2 {
        let streams = app.streams(suppressed_count(&input, &output, &late), &settings);
        let streams = start(streams).await;
        produce_lines(&input, ["a", "b", "a"]);
        await_counts(&output, &[("a", 2 * round), ("b", round)]);
        wait_until("one that waits", || gauge(records) >= 1.0);
        assert!(gauge(bytes) > 50.0, "{} bytes wait", gauge(bytes));
        wait_until("the lag", || told().iter().any(|m| m.name == "oncestream_records_lag"));
        stop(&streams).await;
    }
    let emitted = of_store("oncestream_suppression_emitted_total", "later-store");
    let arrived = offsets(&late, "read_committed").first().map_or(0, |(_, end)| *end);
    assert!((2..arrived).contains(&(emitted[0].total as i64)), "{arrived} offsets: {emitted:?}");
    let mut of_all = BTreeSet::new();
    let mut moved_of_worker_0: BTreeMap<String, bool> = BTreeMap::new();
    for metric in told() {
        if metric.labels.get("worker").is_some_and(|worker| worker == "0") {
            *moved_of_worker_0.entry(metric.name.clone()).or_default() |= metric.moved;
        }
        of_all.insert((metric.name, metric.kind.to_owned()));
    }
    let mut idle: Vec<String> =
        moved_of_worker_0.into_iter().filter(|(_, moved)| !moved).map(|(name, _)| name).collect();
    assert!(documented().len() > 5, "the table was not found");
    assert_eq!(of_all, documented());
    // Nothing was dropped or aborted, or processed before another input; other tests here may do so.
    idle.retain(|n| !["dropped", "aborts", "enforced"].iter().any(|what| n.contains(what)));
    assert!(idle.is_empty(), "never moved: {idle:?}");
}
