//! Tasks with several inputs: their records are processed by time, as far as `max.task.idle.ms` waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use oncestream::Topics;
use oncestream::prelude::*;
use oncestream_broker::{Action, Api, Broker, Fault};
use oncestream_tests::application::*;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

const RECORDS: i64 = 30;

/// What makes an input come in one by one: the broker gives one batch with each answer, of whichever topic
/// is first.
pub(crate) const ONE_BY_ONE: (&str, &str) = ("consumer.max.partition.fetch.bytes", "1");

/// Writes numbers and their times under a key, each in a batch of its own.
pub(crate) fn feed(topic: &str, key: Option<&str>, numbers: impl IntoIterator<Item = (i64, i64)>) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", servers()).create().unwrap();
    for (n, time_ms) in numbers {
        let text = n.to_string();
        let mut record = BaseRecord::<str, str>::to(topic).payload(&text).timestamp(time_ms);
        record.key = key;
        producer.send(record).map_err(|(e, _)| e).unwrap();
        producer.flush(DEADLINE).unwrap();
    }
}

/// The numbers in the order in which a task processed them that reads `early` and `late`, whose records
/// come one by one.
async fn processed(max_task_idle_ms: &str) -> Vec<i64> {
    let app = Application::new("inputs");
    let (late, early) = (app.create("a-late", 1).await, app.create("b-early", 1).await);
    let output = app.create("out", 1).await;
    feed(&late, None, (1_000_000..1_000_000 + RECORDS).map(|n| (n, n)));
    feed(&early, None, (1_000..1_000 + RECORDS).map(|n| (n, n)));
    let builder = StreamsBuilder::new();
    let other = builder.stream::<Option<String>, String>(&late);
    builder.stream::<Option<String>, String>(&early).merge(&other).to(&output);
    let settings = [("max.task.idle.ms", max_task_idle_ms), ONE_BY_ONE];
    let streams = app.streams(builder.build().unwrap(), &settings);
    let streams = start(streams).await;
    let all = 2 * RECORDS as usize;
    wait_until("all records", || visible(&output).len() >= all);
    stop(&streams).await;
    let number = |(_, value): Seen| String::from_utf8(value.unwrap()).unwrap().parse().unwrap();
    visible(&output).into_iter().map(number).collect()
}

/// With 0, records that are on the broker are processed by their times, whichever come first; with -1,
/// the control, as they come.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_has_is_processed_by_time_and_with_minus_one_as_it_comes() {
    let by_time: Vec<i64> =
        (1_000..1_000 + RECORDS).chain(1_000_000..1_000_000 + RECORDS).collect();
    assert_eq!(processed("0").await, by_time);
    assert_eq!(processed("50").await, by_time);
    let mut as_it_comes = processed("-1").await;
    assert_ne!(as_it_comes, by_time);
    as_it_comes.sort_unstable();
    assert_eq!(as_it_comes, by_time);
}

/// So many inputs get records all the time.
const BUSY: usize = 12;
/// How long each answer to a fetch takes, and how soon the next of these inputs gets a record.
const ANSWER: Duration = Duration::from_millis(40);
const NEXT: Duration = Duration::from_millis(5);

/// Each answer has records of some of the others, which are processed first because they are earlier. If the
/// task then waited for an answer without records of these, there would be records of others in that.
#[tokio::test(flavor = "multi_thread")]
async fn an_input_is_not_held_up_by_many_others_that_get_earlier_records_all_the_time() {
    let broker = Broker::builder().start().await.unwrap();
    let busy: Vec<String> = (0..BUSY).map(|n| format!("in-{n:02}")).collect();
    for topic in busy.iter().map(String::as_str).chain(["in-latest", "out"]) {
        broker.create_topic(topic, 1).unwrap();
    }
    let fetches = Fault::on(Api::Fetch).client_id("held-up-one-worker-0-consumer");
    broker.faults().add(fetches.always().then(Action::DelayAnswer(ANSWER)));
    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, String>(Topics::pattern("in-.*")).to("out");
    let state_dir = new_dir();
    let config = StreamsConfig::builder("held-up", broker.bootstrap_servers());
    let config = config.state_dir(state_dir.path());
    let streams = streams(builder.build().unwrap(), config, &[("instance.id", "one")]);
    let streams = start(streams).await;
    let is_over = AtomicBool::new(false);
    let record = |value: &str, time_ms| [(None, Some(value.to_owned()), time_ms)];
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (time_ms, topic) in (1..).zip(busy.iter().cycle()) {
                // A test that fails must end.
                if is_over.load(Ordering::Relaxed) || began.elapsed() > 2 * DEADLINE {
                    break;
                }
                broker.append(topic, 0, record("busy", time_ms)).unwrap();
                // No wait for something: the pace of the records.
                std::thread::sleep(NEXT);
            }
        });
        let is_out = |value: &str| {
            let records = broker.records("out", 0);
            records.iter().any(|r| r.value.as_deref() == Some(value.as_bytes()))
        };
        wait_until("the others", || is_out("busy"));
        for n in 0..10 {
            let value = format!("latest {n}");
            broker.append("in-latest", 0, record(&value, i64::from(n) + (1 << 40))).unwrap();
            wait_until("the latest", || is_out(&value));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    stop(&streams).await;
}
