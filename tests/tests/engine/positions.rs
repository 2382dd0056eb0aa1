//! Where an application begins: its first positions are kept, what is deleted or lost is told, and
//! nothing is counted a second time because offsets are gone.

use std::time::{Duration, Instant};

use oncestream::prelude::*;
use oncestream_tests::application::*;
use oncestream_tests::log::has_warned;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers());
    config
}

fn admin() -> AdminClient<DefaultClientContext> {
    client().create().unwrap()
}

/// Passes texts on.
fn through(input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, String>(input).to(output);
    builder.build().unwrap()
}

/// The offsets that a group has committed for a topic.
fn committed(group: &str, topic: &str) -> Vec<Option<i64>> {
    let consumer: BaseConsumer = client().set("group.id", group).create().unwrap();
    let partitions = partition_count(topic);
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let found = consumer.committed_offsets(list, DEADLINE).unwrap();
    (0..partitions)
        .map(|p| match found.find_partition(topic, p).unwrap().offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
        .collect()
}

fn commit(group: &str, topic: &str, offset: i64) {
    let consumer: BaseConsumer = client().set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partition_count(topic) {
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    }
    consumer.commit(&list, CommitMode::Sync).unwrap();
}

/// Deletes a group whose members have gone. Offsets of a transaction whose marker is still to come
/// would be there again, so they are asked for first, which waits for it.
async fn delete_group(group: &str, input: &str) {
    committed(group, input);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let deleted = admin().delete_groups(&[group], &AdminOptions::new()).await.unwrap();
        match &deleted[..] {
            [Ok(_)] => return,
            [Err((_, RDKafkaErrorCode::NonEmptyGroup))] if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn delete_records(topic: &str, before: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(before)).unwrap();
    admin().delete_records(&list, &AdminOptions::new()).await.unwrap();
    wait_until("the deletion", || offsets(topic, "read_uncommitted")[0].0 == before);
}

/// A transactional producer of another application.
fn transactional(id: &str) -> BaseProducer {
    let producer: BaseProducer = client().set("transactional.id", id).create().unwrap();
    producer.init_transactions(DEADLINE).unwrap();
    producer.begin_transaction().unwrap();
    producer
}

fn send(producer: &BaseProducer, topic: &str, key: Option<&str>, value: &[u8]) {
    let mut record = BaseRecord::<str, [u8]>::to(topic).payload(value).partition(0);
    record.key = key;
    producer.send(record).map_err(|(e, _)| e).unwrap();
    producer.flush(DEADLINE).unwrap();
}

// ---- First positions ----

/// The application runs and has read nothing when it stops; records come while it is away.
#[tokio::test(flavor = "multi_thread")]
async fn from_latest_on_what_comes_after_the_start_is_read_whoever_reads_it() {
    for guarantee in ["exactly_once", "at_least_once"] {
        let app = Application::new("from-latest");
        let (input, output) = (app.create("in", 2).await, app.create("out", 1).await);
        produce_lines(&input, ["old"; 4]);
        let settings = [("auto.offset.reset", "latest"), ("processing.guarantee", guarantee)];
        let first = app.streams(through(&input, &output), &settings);
        let first = start(first).await;
        assert_eq!(committed(&app.id, &input), [Some(2), Some(2)], "{guarantee}");
        stop(&first).await;
        produce_lines(&input, ["a", "b"]);
        let second = app.streams(through(&input, &output), &settings);
        let second = start(second).await;
        wait_until("the records", || visible_texts(&output) == ["a", "b"]);
        stop(&second).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_latest_on_a_transaction_that_was_open_at_the_start_is_read_when_it_commits() {
    let app = Application::new("open");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    produce_lines(&input, ["old"]);
    let upstream = transactional(&app.topic("upstream"));
    for text in ["1", "2", "3", "4", "5"] {
        send(&upstream, &input, None, text.as_bytes());
    }
    let streams = app.streams(through(&input, &output), &[("auto.offset.reset", "latest")]);
    let streams = start(streams).await;
    upstream.commit_transaction(DEADLINE).unwrap();
    wait_until("the records", || visible_texts(&output) == ["1", "2", "3", "4", "5"]);
    stop(&streams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_positions_of_all_inputs_are_committed_also_of_repartition_topics() {
    let app = Application::new("first");
    let (input, output) = (app.create("in", 3).await, app.create("out", 1).await);
    let streams = app.streams(word_count(&input, &output), &[]);
    let streams = start(streams).await;
    assert_eq!(committed(&app.id, &input), [Some(0); 3]);
    assert_eq!(committed(&app.id, &format!("{}-counts-repartition", app.id)), [Some(0); 3]);
    stop(&streams).await;
}

// ---- What is gone ----

#[tokio::test(flavor = "multi_thread")]
async fn records_deleted_before_they_were_read_are_passed_over_unless_there_is_no_reset() {
    for reset in ["earliest", "latest", "none"] {
        let app = Application::new("gap");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        produce_lines(&input, ["0", "1", "2", "3"]);
        commit(&app.id, &input, 1);
        delete_records(&input, 3).await;
        let streams = app.streams(through(&input, &output), &[("auto.offset.reset", reset)]);
        if reset == "none" {
            let error = run_to_error(streams).await;
            assert_tells(&error, &[&format!("{input}-0"), "offset 1", "auto.offset.reset=none"]);
            continue;
        }
        let streams = start(streams).await;
        assert!(has_warned(&[&format!("{input}-0"), "deleted before they were read"]), "{reset}");
        wait_until("what is left", || visible_texts(&output) == ["3"]);
        stop(&streams).await;
    }
}

/// As after a leader election that lost records: those before the committed offset were processed.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_the_committed_offset_goes_on_at_its_end() {
    for reset in ["earliest", "latest", "none"] {
        let app = Application::new("shorter");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        produce_lines(&input, ["processed"]);
        commit(&app.id, &input, 4);
        let streams = app.streams(through(&input, &output), &[("auto.offset.reset", reset)]);
        if reset == "none" {
            let error = run_to_error(streams).await;
            assert!(
                matches!(error, StreamsError::CommittedOffsetOutOfRange { offset: 4, .. }),
                "{error:?}"
            );
            continue;
        }
        let streams = start(streams).await;
        assert!(has_warned(&[&format!("{input}-0"), "lies past the end"]), "{reset}");
        produce_lines(&input, ["new"]);
        wait_until("the new record", || visible_texts(&output) == ["new"]);
        stop(&streams).await;
    }
}

// ---- Offsets that are gone while state is there ----

#[tokio::test(flavor = "multi_thread")]
async fn without_the_offsets_of_its_group_old_state_is_not_counted_into() {
    for guarantee in ["exactly_once", "at_least_once"] {
        let app = Application::new("group-gone");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        produce_keys(&input, ["a", "a", "b"]);
        let settings = [("processing.guarantee", guarantee), ("commit.interval.ms", "100")];
        let first = app.streams(counting(&input, &output), &settings);
        let first = start(first).await;
        await_counts(&output, &[("a", 2), ("b", 1)]);
        stop(&first).await;
        delete_group(&app.id, &input).await;

        let changelog = format!("{}-counts-changelog", app.id);
        // With its state on disk, and without.
        let elsewhere = new_dir();
        let config = app.config_at(servers(), elsewhere.path());
        for refused in [
            app.streams(counting(&input, &output), &settings),
            streams(counting(&input, &output), config, &settings),
        ] {
            let error = run_to_error(refused).await;
            assert!(matches!(error, StreamsError::CommittedOffsetsLost { .. }), "{error:?}");
            assert_tells(&error, &["task 0_0", &changelog, "commit the offsets", "begin anew"]);
            assert_eq!(visible_counts(&output)["a"], 2, "counted again");
        }

        // The way out that keeps the state.
        commit(&app.id, &input, 3);
        let on = app.streams(counting(&input, &output), &settings);
        let on = start(on).await;
        produce_keys(&input, ["a"]);
        await_counts(&output, &[("a", 3), ("b", 1)]);
        stop(&on).await;

        // And the one that begins anew.
        delete_group(&app.id, &input).await;
        delete_topic(&changelog).await;
        let anew = app.streams(counting(&input, &output), &settings);
        let anew = start(anew).await;
        produce_keys(&input, ["b"]);
        await_counts(&output, &[("a", 3), ("b", 2)]);
        stop(&anew).await;
    }
}

/// One task finds nothing to refuse, and begins; what it commits must not hide from the next start
/// that the other one has to refuse.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_after_a_refusal_is_refused_as_well() {
    let app = Application::new("refused-twice");
    let (input, output) = (app.create("in", 4).await, app.create("out", 1).await);
    // Three of four changelog partitions stay empty.
    produce_keys(&input, ["a", "a"]);
    let first = app.streams(counting(&input, &output), &[]);
    let first = start(first).await;
    await_counts(&output, &[("a", 2)]);
    stop(&first).await;
    delete_group(&app.id, &input).await;
    for _ in 0..3 {
        let error = run_to_error(app.streams(counting(&input, &output), &[])).await;
        assert!(matches!(error, StreamsError::CommittedOffsetsLost { .. }), "{error:?}");
    }
    assert_eq!(visible_counts(&output)["a"], 2, "counted again");
}

/// An application that was killed in its very first transaction leaves this.
#[tokio::test(flavor = "multi_thread")]
async fn a_changelog_with_nothing_but_aborted_records_does_not_keep_an_application_from_starting() {
    let app = Application::new("aborted");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let changelog = format!("{}-counts-changelog", app.id);
    create_topic(&changelog, 1, &[("cleanup.policy", "compact")]).await;
    let crashed = transactional(&app.topic("crashed"));
    send(&crashed, &changelog, Some("a"), &7_i64.to_be_bytes());
    crashed.abort_transaction(DEADLINE).unwrap();
    produce_keys(&input, ["a"]);
    let streams = app.streams(counting(&input, &output), &[]);
    let streams = start(streams).await;
    await_counts(&output, &[("a", 1)]);
    stop(&streams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_is_added_has_no_offsets_yet_and_is_no_reason_to_refuse() {
    let app = Application::new("added");
    let (one, two) = (app.create("one", 2).await, app.create("two", 2).await);
    let output = app.create("out", 1).await;
    let first = app.streams(counting(&one, &output), &[]);
    let first = start(first).await;
    produce_keys(&one, ["a", "b", "c"]);
    await_counts(&output, &[("a", 1), ("b", 1), ("c", 1)]);
    stop(&first).await;
    produce_keys(&two, ["a", "b"]);
    let builder = StreamsBuilder::new();
    let other = builder.stream::<String, String>(&two);
    builder
        .stream::<String, String>(&one)
        .merge(&other)
        .group_by_key()
        .count("counts")
        .to_stream()
        .to(&output);
    let second = app.streams(builder.build().unwrap(), &[]);
    let second = start(second).await;
    await_counts(&output, &[("a", 2), ("b", 2), ("c", 1)]);
    stop(&second).await;
}
