//! An application stays right where nothing crashes: it begins where it should, its transactions
//! end in time, its stores are rebuilt only when they must be, and an outage is sat out.
//!
//! `ONCESTREAM_TEST_SEED` repeats the choices of a run, though not its timing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oncestream::prelude::*;
use oncestream_tests::app::seed;
use oncestream_tests::application::*;
use oncestream_tests::check::{Counts, Difference, Shown, count_words, differences, last_counts};
use oncestream_tests::feed::{Feeder, lines};
use oncestream_tests::kafka::{
    Isolation, broker, count_aborted, create_topics, ends, read_committed,
};
use oncestream_tests::metrics::restored;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// Lets each text through `each` and on.
fn through(input: &str, output: &str, each: impl Fn(&str) + Send + Sync + 'static) -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, String>(input).peek(move |_, text| each(text)).to(output);
    builder.build().unwrap()
}

fn numbered(prefix: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{prefix}{n:05}")).collect()
}

fn texts(all: &[String]) -> impl Iterator<Item = &str> {
    all.iter().map(String::as_str)
}

/// A client of the broker that most tests here share.
fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers());
    config
}

// ---- Where an application begins ----

/// What is in the repartition topic before the first start stands for what another instance of
/// the application wrote there before this one was assigned its partition.
#[tokio::test(flavor = "multi_thread")]
async fn from_latest_on_nothing_new_is_skipped_and_repartition_topics_begin_at_their_first_record()
{
    let app = Application::new("latest");
    let (input, output) = (app.create("in", 4).await, app.create("out", 2).await);
    let repartition = format!("{}-counts-repartition", app.id);
    create_topic(&repartition, 4, &[]).await;
    let words = numbered("word", 0..20);
    produce(&repartition, texts(&words).map(|w| (Some(w), Some(w.as_bytes()))));
    produce_lines(&input, ["old"; 8]);
    let settings = [("auto.offset.reset", "latest"), ("num.stream.threads", "2")];
    let streams = app.streams(word_count(&input, &output), &settings);
    let streams = start(streams).await;
    for _ in 0..50 {
        produce_lines(&input, texts(&words));
    }
    let wanted: Vec<_> = texts(&words).map(|w| (w, 51)).collect();
    await_counts(&output, &wanted);
    stop(&streams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_reset_the_partition_that_has_no_committed_offset_is_named() {
    let app = Application::new("no-reset");
    let (input, output) = (app.create("in", 3).await, app.create("out", 1).await);
    produce_lines(&input, ["a", "b", "c"]);
    let group: BaseConsumer = client().set("group.id", &app.id).create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in [0, 2] {
        list.add_partition_offset(&input, partition, Offset::Offset(1)).unwrap();
    }
    group.commit(&list, CommitMode::Sync).unwrap();
    let settings = [("auto.offset.reset", "none")];
    let error = run_to_error(app.streams(word_count(&input, &output), &settings)).await;
    let StreamsError::NoCommittedOffset { topic, partition } = &error else { panic!("{error:?}") };
    assert_eq!((topic, *partition), (&input, 1));
    assert_tells(&error, &[&format!("{input}-1"), "auto.offset.reset=none", "commit one"]);
    assert_eq!(visible(&output), []);
}

/// The second record lasts until the broker has aborted its transaction, which is the first: a commit
/// that is due is not looked at between the first two records.
#[tokio::test(flavor = "multi_thread")]
async fn from_latest_on_an_aborted_first_transaction_loses_no_record() {
    let app = Application::new("outlived");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let calls = Arc::new(AtomicUsize::new(0));
    let (called, written) = (calls.clone(), output.clone());
    let topology = through(&input, &output, move |_| {
        if called.fetch_add(1, Ordering::SeqCst) == 1 {
            let end = || offsets(&written, "read_uncommitted")[0].1;
            wait_until("the records before", || end() > 0);
            assert_settled_within(&written, DEADLINE);
            assert_eq!(visible(&written), [], "the first transaction was committed");
        }
    });
    produce_lines(&input, ["old"; 4]);
    let settings = [
        ("auto.offset.reset", "latest"),
        ("commit.interval.ms", "9900"),
        ("transaction.timeout.ms", "10000"),
    ];
    let streams = app.streams(topology, &settings);
    let streams = start(streams).await;
    let all = numbered("", 0..40);
    produce_lines(&input, texts(&all));
    wait_until("all records", || visible_texts(&output).len() >= all.len());
    stop(&streams).await;
    assert_eq!(visible_texts(&output), all);
    assert!(calls.load(Ordering::SeqCst) > all.len(), "nothing was aborted");
}

// ---- Transactions end in time ----

/// 18 s of work in one go. Whatever is aborted is processed again, so the calls tell of aborts.
#[tokio::test(flavor = "multi_thread")]
async fn slow_records_do_not_make_a_batch_outlive_its_transaction() {
    let app = Application::new("slow");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let calls = Arc::new(AtomicUsize::new(0));
    let committed = Arc::new(AtomicBool::new(false));
    let (called, written, early) = (calls.clone(), output.clone(), committed.clone());
    let topology = through(&input, &output, move |_| {
        if called.fetch_add(1, Ordering::SeqCst) == 150 {
            early.store(!visible(&written).is_empty(), Ordering::SeqCst);
        }
        std::thread::sleep(Duration::from_millis(60));
    });
    let all = numbered("", 0..300);
    produce_lines(&input, texts(&all));
    let settings = [("commit.interval.ms", "100"), ("transaction.timeout.ms", "15000")];
    let streams = app.streams(topology, &settings);
    let streams = start(streams).await;
    wait_until("all records", || visible_texts(&output).len() >= all.len());
    stop(&streams).await;
    assert_eq!(visible_texts(&output), all);
    assert!(committed.load(Ordering::SeqCst), "the commit waited for the batch");
    assert_eq!(calls.load(Ordering::SeqCst), all.len(), "a transaction was aborted");
}

/// Writes while it starts, and never after.
struct Early {
    forwards: bool,
    puts: bool,
    store: StoreHandle<String, String>,
}

impl Processor for Early {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        if self.puts {
            self.store.put("k".to_owned(), "put".to_owned())?;
        }
        if self.forwards {
            ctx.forward(Record::new("k".to_owned(), "forwarded".to_owned(), 1))?;
        }
        Ok(())
    }

    fn process(
        &mut self,
        _ctx: &mut ProcessorContext<'_, Self>,
        _record: Record<String, String>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_processor_writes_in_init_is_committed_without_any_input() {
    for (forwards, puts) in [(true, false), (false, true), (true, true)] {
        let app = Application::new("init");
        let (input, output) = (app.create("in", 2).await, app.create("out", 1).await);
        let builder = StreamsBuilder::new();
        let early = builder.add_state_store("early");
        builder
            .stream::<String, String>(&input)
            .process(&early, move |store| Early { forwards, puts, store })
            .to(&output);
        let streams = app.streams(builder.build().unwrap(), &[]);
        let streams = start(streams).await;
        let changelog = format!("{}-early-changelog", app.id);
        // Each of the two tasks writes its own.
        let forwarded = if forwards { vec!["forwarded"; 2] } else { Vec::new() };
        let put = if puts { vec!["put"; 2] } else { Vec::new() };
        wait_until("the records", || {
            visible_texts(&output) == forwarded && visible_texts(&changelog) == put
        });
        // Well below `transaction.timeout.ms`: it was committed, not timed out.
        assert_settled_within(&output, Duration::from_secs(5));
        assert_settled_within(&changelog, Duration::from_secs(5));
        stop(&streams).await;
        assert_eq!(visible_texts(&output), forwarded);
    }
}

// ---- An outage ----

/// Waits until there are no differences.
fn await_none(what: &str, find: impl Fn() -> Vec<Difference>) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let found = find();
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {}", Shown(&found));
    }
}

/// On a broker that no other test here uses.
///
/// The transaction open at its end is aborted by its producer, once the broker is back. The
/// coordinator's own timeout is kept out of it: Kafka 4.3.1 forgets the markers of a transaction
/// that ends while its partitions have no leader, as they have when the only broker starts ("these
/// partitions are likely deleted already and hence can be skipped"). What was aborted then becomes
/// visible with the next commit. For the same reason the kill follows soon after a commit.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_all_brokers_is_sat_out_with_exact_counts_or_at_least_none_lost() {
    let seed = seed("outage");
    let input = "outage-in";
    let topics = [input, "outage-exactly-out", "outage-at-least-out"];
    tokio::task::block_in_place(|| create_topics(&topics, 2));
    let run = |guarantee: &str, settings: &[(&str, &str)], output: &str| {
        let app = Application::new(guarantee);
        let config = app.config_at(broker().bootstrap_servers(), app.state_dir());
        let settings = [&[("processing.guarantee", guarantee)], settings].concat();
        (streams(word_count(input, output), config, &settings), app)
    };
    // Transactions last long enough for the broker to go while one is open.
    let impatient = [
        ("commit.interval.ms", "3000"),
        ("transaction.timeout.ms", "100000"),
        ("session.timeout.ms", "110000"),
        ("producer.message.timeout.ms", "4000"),
        ("repartition.purge.interval.ms", "600000"),
    ];
    let (exactly, exactly_app) = run("exactly_once", &impatient, topics[1]);
    let (at_least, _at_least_app) =
        run("at_least_once", &[("commit.interval.ms", "1000")], topics[2]);
    let exactly = start(exactly).await;
    let at_least = start(at_least).await;

    let repartition = format!("{}-counts-repartition", exactly_app.id);
    let mut written = Counts::new();
    let differ =
        |written: &Counts, output| differences(written, &last_counts(&read_committed(output)));
    // An outage that falls between two transactions aborts nothing: then there is another.
    let aborted = (0..3).any(|round| {
        let feeder = Feeder::start(input, 300, usize::MAX, lines(seed + round, 100));
        wait_until("words at least once", || !read_committed(topics[2]).is_empty());
        sit_out_an_outage(topics[1], &repartition);
        for (word, count) in count_words(&feeder.stop()) {
            *written.entry(word).or_default() += count;
        }
        await_none("exactly once", || differ(&written, topics[1]));
        await_none("at least once, too low", || {
            let mut found = differ(&written, topics[2]);
            found.retain(|d| d.actual < d.expected);
            found
        });
        wait_until("the end of all transactions", || !is_open(&repartition));
        count_aborted(&repartition) > 0
    });
    stop(&exactly).await;
    stop(&at_least).await;
    let found = differ(&written, topics[1]);
    assert!(found.is_empty(), "{}", Shown(&found));
    assert!(aborted, "no outage aborted anything");
}

/// Whether records of a transaction that has not ended are in a topic.
fn is_open(topic: &str) -> bool {
    ends(topic, Isolation::Committed) != ends(topic, Isolation::Uncommitted)
}

/// Takes the broker away for a while, soon after a commit and with records of the next transaction
/// stored.
fn sit_out_an_outage(output: &str, repartition: &str) {
    let before = read_committed(output).len();
    wait_until("a commit", || read_committed(output).len() > before);
    wait_until("an open transaction", || is_open(repartition));
    broker().take_away();
    // Not a wait for something: the outage itself.
    std::thread::sleep(Duration::from_secs(10));
    broker().bring_back();
}

// ---- Several inputs ----

/// Writes texts without keys, with timestamps that begin at `from_ms`.
fn produce_at(topic: &str, from_ms: i64, all: &[String]) {
    let producer: ThreadedProducer<DefaultProducerContext> = client().create().unwrap();
    let partitions = partition_count(topic);
    for (at, text) in (0..).zip(all) {
        let record: BaseRecord<'_, (), str> = BaseRecord::to(topic)
            .payload(text.as_str())
            .partition(at % partitions)
            .timestamp(from_ms + i64::from(at));
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_paused_by_back_pressure_flow_again_also_after_a_rebalance() {
    const EACH: usize = 1000;
    let app = Application::new("back-pressure");
    let (early, late) = (app.create("early", 2).await, app.create("late", 2).await);
    let output = app.create("out", 2).await;
    let topology = |calls: &Arc<AtomicUsize>| {
        let (builder, calls) = (StreamsBuilder::new(), calls.clone());
        let other = builder.stream::<Option<String>, String>(&late);
        builder
            .stream::<Option<String>, String>(&early)
            .merge(&other)
            .peek(move |_, _| {
                calls.fetch_add(1, Ordering::SeqCst);
            })
            .to(&output);
        builder.build().unwrap()
    };
    let mut sent = 0;
    let mut feed = || {
        let range = sent..sent + EACH;
        sent += EACH;
        produce_at(&early, 1_000_000 + sent as i64, &numbered("early", range.clone()));
        produce_at(&late, 9_000_000 + sent as i64, &numbered("late", range));
    };
    let settings = [("buffered.records.per.partition", "10"), ("max.task.idle.ms", "500")];
    let (calls, calls_too) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
    let first = app.streams(topology(&calls), &settings);
    let first = start(first).await;
    feed();
    wait_until("the first to be at work", || calls.load(Ordering::SeqCst) > 0);
    let other_dir = new_dir();
    let config = app.config_at(servers(), other_dir.path());
    let second = streams(topology(&calls_too), config, &settings);
    let second = start(second).await;
    feed();
    wait_until("the second to be at work", || calls_too.load(Ordering::SeqCst) > 0);
    stop(&second).await;
    feed();
    let all = [numbered("early", 0..sent), numbered("late", 0..sent)].concat();
    wait_until("all records", || visible(&output).len() >= all.len());
    stop(&first).await;
    assert_eq!(visible_texts(&output), all);
}

// ---- Stores over restarts ----

/// The store is older than the retention of 1 ms at each restart. Behind its checkpoint lies the
/// marker of its last commit alone, and later a tombstone from elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_idle_for_longer_than_the_retention_is_rebuilt_only_if_its_changelog_went_on() {
    let app = Application::new("idle");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let changelog = format!("{}-idle-changelog", app.id);
    let run = || {
        let builder = StreamsBuilder::new();
        let store = Materialized::named("idle").topic_setting("delete.retention.ms", "1");
        builder
            .stream::<Option<String>, String>(&input)
            .group_by(|_, word| word.clone())
            .count(store)
            .to_stream()
            .to(&output);
        app.streams(builder.build().unwrap(), &[])
    };
    let first = run();
    let first = start(first).await;
    produce_lines(&input, ["a", "b", "a", "c"]);
    await_counts(&output, &[("a", 2), ("b", 1), ("c", 1)]);
    stop(&first).await;
    let records = visible(&changelog).len() as i64;
    let end = offsets(&changelog, "read_uncommitted")[0].1;
    assert!(end > records, "there is a marker");
    let before = restored("idle");

    let idle = run();
    let idle = start(idle).await;
    assert_eq!(restored("idle"), before, "rebuilt without need");
    produce_lines(&input, ["a"]);
    await_counts(&output, &[("a", 3), ("b", 1), ("c", 1)]);
    stop(&idle).await;

    produce(&changelog, [(Some("b"), None)]);
    let behind = run();
    let behind = start(behind).await;
    let all = visible(&changelog).len() as u64;
    assert_eq!(restored("idle"), before + all, "not restored from the beginning");
    produce_lines(&input, ["a", "b"]);
    await_counts(&output, &[("a", 4), ("b", 1), ("c", 1)]);
    // The next count tells that 1 was a new one.
    produce_lines(&input, ["b"]);
    await_counts(&output, &[("a", 4), ("b", 2), ("c", 1)]);
    stop(&behind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_two_workers_stay_exact_over_restarts_at_any_moment_of_a_commit() {
    let mut rng = StdRng::seed_from_u64(seed("restarts"));
    let app = Application::new("restarts");
    let (input, output) = (app.create("in", 4).await, app.create("out", 2).await);
    let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
    for round in 1..=5 {
        let interval = rng.random_range(1..150).to_string();
        let settings = [("num.stream.threads", "2"), ("commit.interval.ms", &interval)];
        let streams = app.streams(word_count(&input, &output), &settings);
        let streams = start(streams).await;
        let words: Vec<String> = (0..rng.random_range(500..2000))
            .map(|_| format!("word{:02}", rng.random_range(0..50)))
            .collect();
        for word in &words {
            *wanted.entry(word.clone()).or_default() += 1;
        }
        produce_lines(&input, texts(&words));
        // The last run finishes what the others left.
        if round == 5 {
            let wanted: Vec<_> = wanted.iter().map(|(word, n)| (&**word, *n)).collect();
            await_counts(&output, &wanted);
        }
        stop(&streams).await;
    }
}
