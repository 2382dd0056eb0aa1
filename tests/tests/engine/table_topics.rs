//! Tables whose topics are their changelogs, in applications that stop, lose their disks and begin elsewhere.

use oncestream::Optimization;
use oncestream::prelude::*;
use oncestream::reset::{ApplicationReset, Notice, To};
use oncestream_tests::application::*;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::inputs::{ONE_BY_ONE, feed};

/// A stream that finds what a table has at its time.
struct Looking {
    app: Application,
    table: String,
    stream: String,
    output: String,
}

impl Looking {
    async fn new(name: &str) -> Self {
        let app = Application::new(name);
        let (table, stream) = (app.create("table", 1).await, app.create("stream", 1).await);
        let output = app.create("out", 1).await;
        Self { app, table, stream, output }
    }

    fn topology(&self) -> Topology {
        let reused = Optimization::none().reuse_table_source_topics();
        let builder = StreamsBuilder::new().optimization(reused);
        let table = builder.table::<String, String>(&self.table).materialized("rows");
        builder
            .stream::<String, String>(&self.stream)
            .left_join_table(&table, |n, row| format!("{n}+{}", row.map_or("none", |row| row)))
            .to(&self.output);
        builder.build().unwrap()
    }

    /// Runs until so many results are there, with these settings, on a disk that was there or is new.
    async fn run_to(&self, results: usize, settings: &[(&str, &str)], has_disk: bool) {
        let new = new_dir();
        let dir = if has_disk { self.app.state_dir() } else { new.path() };
        let streams = streams(self.topology(), self.app.config_at(servers(), dir), settings);
        let streams = start(streams).await;
        wait_until("the results", || visible(&self.output).len() >= results);
        stop(&streams).await;
    }

    fn results(&self) -> Vec<String> {
        let text = |(_, value): Seen| String::from_utf8(value.unwrap()).unwrap();
        visible(&self.output).into_iter().map(text).collect()
    }

    /// Sets where the application goes on in the topic of the table.
    fn go_back_to(&self, offset: i64) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers()).set("group.id", &self.app.id);
        let consumer: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.table, 0, Offset::Offset(offset)).unwrap();
        wait_until("the group to be empty", || consumer.commit(&list, CommitMode::Sync).is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_disk_has_what_the_topic_held_up_to_the_committed_offset() {
    let looking = Looking::new("new-disk").await;
    feed(&looking.table, Some("k"), [(1, 1_000), (2, 2_000)]);
    feed(&looking.stream, Some("k"), [(10, 2_500)]);
    looking.run_to(1, &[ONE_BY_ONE], true).await;
    // This row is not processed yet, and is later than the record that looks.
    feed(&looking.table, Some("k"), [(3, 9_000)]);
    feed(&looking.stream, Some("k"), [(11, 3_000)]);
    looking.run_to(2, &[ONE_BY_ONE], false).await;
    assert_eq!(looking.results(), ["10+2", "11+2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_goes_back_with_the_offset_of_its_topic() {
    let looking = Looking::new("back").await;
    feed(&looking.table, Some("k"), [(1, 1_000), (2, 2_000)]);
    feed(&looking.stream, Some("k"), [(10, 2_500)]);
    looking.run_to(1, &[ONE_BY_ONE], true).await;
    looking.go_back_to(1);
    feed(&looking.stream, Some("k"), [(11, 1_500), (12, 2_600)]);
    looking.run_to(3, &[ONE_BY_ONE], true).await;
    assert_eq!(looking.results(), ["10+2", "11+1", "12+2"]);
}

/// A client reads a partition once at a time.
#[tokio::test(flavor = "multi_thread")]
async fn two_tables_of_one_topic_are_both_brought_back() {
    let looking = Looking::new("two-tables").await;
    feed(&looking.table, Some("k"), [(1, 1_000)]);
    let topology = || {
        let reused = Optimization::none().reuse_table_source_topics();
        let builder = StreamsBuilder::new().optimization(reused);
        let table = |name: &str| {
            builder.table::<String, String>(&looking.table).materialized(name.to_owned())
        };
        let shown =
            |n: &String, row: Option<&String>| format!("{n}+{}", row.map_or("none", |row| row));
        builder
            .stream::<String, String>(&looking.stream)
            .left_join_table(&table("one"), shown)
            .left_join_table(&table("two"), shown)
            .to(&looking.output);
        builder.build().unwrap()
    };
    for (n, dir) in [(10, new_dir()), (11, new_dir())] {
        feed(&looking.stream, Some("k"), [(n, 2_000)]);
        let config = looking.app.config_at(servers(), dir.path());
        let streams = start(streams(topology(), config, &[ONE_BY_ONE])).await;
        wait_until("the result", || visible(&looking.output).len() as i64 == n - 9);
        stop(&streams).await;
    }
    assert_eq!(looking.results(), ["10+1+1", "11+1+1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_latest_on_a_table_begins_with_the_first_record_of_its_topic() {
    let looking = Looking::new("latest").await;
    feed(&looking.table, Some("k"), [(1, 1_000)]);
    let latest = [("auto.offset.reset", "latest"), ONE_BY_ONE];
    looking.run_to(0, &latest, true).await;
    feed(&looking.stream, Some("k"), [(10, 2_000)]);
    looking.run_to(1, &latest, true).await;
    feed(&looking.stream, Some("k"), [(11, 2_000)]);
    looking.run_to(2, &latest, false).await;
    assert_eq!(looking.results(), ["10+1", "11+1"]);
}

/// Both topics, so that they still have as many partitions as each other.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_gets_partitions_stops_the_application() {
    let looking = Looking::new("grows").await;
    feed(&looking.table, Some("k"), [(1, 1_000)]);
    feed(&looking.stream, Some("k"), [(10, 2_000)]);
    looking.run_to(1, &[ONE_BY_ONE], true).await;
    let mut config = ClientConfig::new();
    let config = config.set("bootstrap.servers", servers());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let topics = [&looking.table, &looking.stream].map(|topic| NewPartitions::new(topic, 2));
    let made = admin.create_partitions(&topics, &AdminOptions::new()).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    let error = run_to_error(looking.app.streams(looking.topology(), &[])).await;
    assert!(matches!(error, StreamsError::TableTopicGrew { before: 1, now: 2, .. }), "{error}");
    assert_tells(&error, &[&looking.table, "oncestream reset"]);
}

/// What a plan of a reset tells beside its steps.
async fn notices(looking: &Looking, to: To) -> Vec<Notice> {
    let reset = ApplicationReset::new(looking.app.config().build().unwrap());
    let reset = reset.topology(looking.topology()).input_topic(looking.table.as_str(), to);
    let mut notices = reset.plan().await.unwrap().notices().to_vec();
    notices.retain(|notice| {
        matches!(notice, Notice::NoChangelog { .. } | Notice::TableBeginsFull { .. })
    });
    notices
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_tells_of_a_table_that_other_hosts_keep_and_of_rows_that_nobody_saw() {
    let looking = Looking::new("reset").await;
    let stays = || Notice::NoChangelog { store: "rows".to_owned() };
    assert_eq!(notices(&looking, To::Earliest).await, [stays()]);
    let (store, topic) = ("rows".to_owned(), looking.table.clone());
    let full = Notice::TableBeginsFull { store, topic };
    assert_eq!(notices(&looking, To::Latest).await, [stays(), full]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_forgets_rows_is_refused_as_a_changelog() {
    let looking = Looking::new("forgets").await;
    let forgetting = looking.app.topic("forgetting");
    let settings = [("cleanup.policy", "delete"), ("retention.ms", "86400000")];
    create_topic(&forgetting, 1, &settings).await;
    let topology = Looking { table: forgetting.clone(), ..looking }.topology();
    let app = Application::new("forgets");
    let error = refused(app.streams(topology, &[])).await;
    assert!(matches!(error, StreamsError::TableTopicForgets { .. }), "{error}");
    assert_tells(&error, &[&forgetting, "cleanup.policy=delete", "reuse.ktable.source.topics"]);
}
