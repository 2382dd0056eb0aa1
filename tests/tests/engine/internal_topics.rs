//! Internal topics have the settings they need: new ones get them, those that are there are looked
//! at, and what cannot work is refused before a record is touched.

use std::collections::BTreeMap;

use oncestream::prelude::*;
use oncestream_broker::{Action, Api, Broker, Fault};
use oncestream_testkit::KafkaCluster;
use oncestream_tests::application::*;
use oncestream_tests::log::lines;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
/// What is warned of where a topic has a setting that may lose data.
const RISK: &str = "an internal topic is at risk";

/// An application and its input and output, of one partition each.
async fn application(name: &str) -> (Application, String, String) {
    let app = Application::new(name);
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    (app, input, output)
}

fn changelog(app: &Application) -> String {
    format!("{}-counts-changelog", app.id)
}

fn repartition(app: &Application) -> String {
    format!("{}-counts-repartition", app.id)
}

async fn settings_at(servers: &str, topic: &str) -> BTreeMap<String, String> {
    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let asked = [ResourceSpecifier::Topic(topic)];
    let told = client.describe_configs(&asked, &AdminOptions::new()).await.unwrap();
    let entries = told.into_iter().next().unwrap().unwrap().entries;
    assert!(!entries.is_empty(), "{topic} is not there");
    entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
}

async fn settings(topic: &str) -> BTreeMap<String, String> {
    settings_at(servers(), topic).await
}

/// Runs an application on one line and sees its counts.
async fn counts_a_line(app: &Application, input: &str, output: &str) {
    counts_a_line_in("counts", app, (input, output), &[]).await;
}

async fn counts_a_line_in(
    store: &str,
    app: &Application,
    (input, output): (&str, &str),
    settings: &[(&str, &str)],
) {
    let streams = app.streams(word_count_in(store, input, output), settings);
    let streams = start(streams).await;
    produce_lines(input, ["a b a"]);
    await_counts(output, &[("a", 2), ("b", 1)]);
    stop(&streams).await;
}

const COMPACT: (&str, &str) = ("cleanup.policy", "compact");
const BROKERS_TIME: (&str, &str) = ("message.timestamp.type", "LogAppendTime");

// ---- What is there ----

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_topic_that_cannot_work_is_refused_by_name_setting_and_way_out() {
    type Name = fn(&Application) -> String;
    let cases: [(Name, &[(&str, &str)], &str, &str, &str); 5] = [
        (changelog, &[], "cleanup.policy", "delete", "compact"),
        (repartition, &[COMPACT], "cleanup.policy", "compact", "delete"),
        (
            repartition,
            &[("cleanup.policy", "compact,delete")],
            "cleanup.policy",
            "compact,delete",
            "delete",
        ),
        (
            changelog,
            &[COMPACT, BROKERS_TIME],
            "message.timestamp.type",
            "LogAppendTime",
            "CreateTime",
        ),
        (repartition, &[BROKERS_TIME], "message.timestamp.type", "LogAppendTime", "CreateTime"),
    ];
    for (name, set, setting, found, needed) in cases {
        let (app, input, output) = application("refused").await;
        let topic = name(&app);
        create_topic(&topic, 1, set).await;
        let streams = app.streams(word_count(&input, &output), &[]);
        let error = streams.start().await.unwrap_err();
        let StreamsError::InternalTopicSetting {
            topic: t, setting: s, found: f, needed: n, ..
        } = &error
        else {
            panic!("{topic}: {error:?}");
        };
        assert_eq!((&**t, *s, &**f, *n), (&*topic, setting, found, needed));
        let way_out = format!(
            "--alter --entity-type topics --entity-name {topic} --add-config {setting}={needed}"
        );
        assert_tells(&error, &[&topic, &format!("{setting}={found}"), &way_out]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repartition_topic_that_forgets_is_warned_of_and_runs() {
    for (setting, value) in [("retention.ms", "604800000"), ("retention.bytes", "1000000")] {
        let (app, input, output) = application("forgets").await;
        let kept = [("retention.ms", "-1"), (setting, value)];
        let kept = if setting == "retention.ms" { &kept[1..] } else { &kept };
        create_topic(&repartition(&app), 1, kept).await;
        counts_a_line(&app, &input, &output).await;
        let told = lines(&["WARN", RISK, &repartition(&app), setting, value]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(lines(&["WARN", RISK, &changelog(&app)]), none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changelog_that_forgets_keys_by_age_is_warned_of_and_runs() {
    let (app, input, output) = application("ages").await;
    create_topic(&changelog(&app), 1, &[("cleanup.policy", "compact,delete")]).await;
    counts_a_line(&app, &input, &output).await;
    let told = lines(&["WARN", RISK, &changelog(&app), "retention.ms", "604800000"]);
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_made_by_hand_as_they_should_be_are_taken_without_a_word() {
    let (app, input, output) = application("by-hand").await;
    create_topic(&changelog(&app), 1, &[COMPACT]).await;
    create_topic(&repartition(&app), 1, &[("retention.ms", "-1")]).await;
    counts_a_line(&app, &input, &output).await;
    for warning in [RISK, "DescribeConfigs"] {
        assert_eq!(lines(&["WARN", warning, &app.id]), none());
    }
}

fn none() -> Vec<String> {
    Vec::new()
}

/// Another instance deletes a key while this one is away. The broker may have compacted the
/// tombstone away, if it keeps it only for 1 ms. At least once the tombstone is all that was missed.
#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_a_checkpoint_is_judged_by_what_the_changelog_itself_keeps() {
    for (retention_ms, store, guarantee, rebuilt) in [
        (Some("1"), "forgotten", "exactly_once", true),
        (Some("1"), "forgotten-one", "at_least_once", true),
        (None, "remembered", "exactly_once", false),
    ] {
        let (app, input, output) = application("age").await;
        let settings = [("processing.guarantee", guarantee)];
        let changelog = format!("{}-{store}-changelog", app.id);
        let mut set = vec![COMPACT];
        set.extend(retention_ms.map(|ms| ("delete.retention.ms", ms)));
        create_topic(&changelog, 1, &set).await;
        counts_a_line_in(store, &app, (&input, &output), &settings).await;
        produce(&changelog, [(Some("b"), None)]);
        let streams = app.streams(word_count_in(store, &input, &output), &settings);
        let streams = start(streams).await;
        let of_store = format!("store={store} ");
        let reason = "is older than delete.retention.ms";
        let told = lines(&["restored from the beginning", &of_store, reason]).len();
        assert_eq!(told, usize::from(rebuilt), "{store}");
        produce_lines(&input, ["b"]);
        await_counts(&output, &[("a", 2), ("b", 1)]);
        stop(&streams).await;
    }
}

// ---- What new topics get ----

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_keys_say_what_new_internal_topics_get_and_a_store_wins() {
    let (app, input, output) = application("keys").await;
    let builder = StreamsBuilder::new();
    let counts = Materialized::named("counts").topic_setting("segment.ms", "700000");
    builder
        .stream::<Option<String>, String>(&input)
        .group_by(|_, word| word.clone())
        .count(counts)
        .to_stream()
        .to(&output);
    let keys = [("topic.segment.ms", "800000"), ("topic.max.message.bytes", "2000000")];
    let streams = app.streams(builder.build().unwrap(), &keys);
    let streams = start(streams).await;
    stop(&streams).await;
    let (changelog, repartition) =
        (settings(&changelog(&app)).await, settings(&repartition(&app)).await);
    let wanted = [
        ("segment.ms", "700000", "800000"),
        ("max.message.bytes", "2000000", "2000000"),
        ("cleanup.policy", "compact", "delete"),
        ("message.timestamp.type", "CreateTime", "CreateTime"),
    ];
    for (setting, of_changelog, of_repartition) in wanted {
        assert_eq!(changelog[setting], of_changelog, "{setting}");
        assert_eq!(repartition[setting], of_repartition, "{setting}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_internal_topics_cannot_work_with_are_refused_by_their_key() {
    for (setting, value, on) in [
        ("cleanup.policy", "delete", changelog as fn(&Application) -> String),
        ("cleanup.policy", "compact", repartition),
        ("message.timestamp.type", "LogAppendTime", changelog),
    ] {
        let (app, input, output) = application("unfit").await;
        let key = format!("topic.{setting}");
        let streams = app.streams(word_count(&input, &output), &[(&key, value)]);
        let error = streams.start().await.unwrap_err();
        assert!(matches!(error, StreamsError::UnfitTopicSetting { .. }), "{error:?}");
        assert_tells(&error, &[&on(&app), &format!("{setting}={value}"), &key]);
        assert_eq!(partition_count(&on(&app)), 0, "it was made all the same");
    }
    let (app, input, _) = application("unfit-store").await;
    let store = Materialized::named("counts").topic_setting("cleanup.policy", "delete");
    let builder = StreamsBuilder::new();
    builder.table::<String, String>(&input).materialized(store);
    let error = app.streams(builder.build().unwrap(), &[]).start().await.unwrap_err();
    assert_tells(&error, &[&changelog(&app), "cleanup.policy=delete", "topic_setting"]);
}

/// Without a repartition topic, the key contradicts nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_fits_all_internal_topics_is_taken() {
    let (app, input, output) = application("fits").await;
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>(&input).group_by_key().count("counts").to_stream().to(&output);
    let streams = app.streams(builder.build().unwrap(), &[("topic.cleanup.policy", "compact")]);
    let streams = start(streams).await;
    stop(&streams).await;
    assert_eq!(settings(&changelog(&app)).await["cleanup.policy"], "compact");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_the_broker_does_not_know_is_told_as_one_of_settings() {
    let (app, input, output) = application("no-such").await;
    let keys = [("topic.no.such.setting", "1")];
    let error = app.streams(word_count(&input, &output), &keys).start().await.unwrap_err();
    assert_tells(&error, &[&app.id, "topic.*"]);
}

// ---- Brokers of their own ----

async fn broker(auto_create: bool) -> Broker {
    let builder = Broker::builder();
    let builder = builder.setting("auto.create.topics.enable", &auto_create.to_string()).unwrap();
    builder.start().await.unwrap()
}

fn produce_at(servers: &str, topic: &str, line: &str) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).payload(line);
    producer.send(record).map_err(|(e, _)| e).unwrap();
    producer.flush(DEADLINE).unwrap();
}

/// A broker that refuses stands for a user who lacks the right.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_see_settings_an_application_runs_and_tells_it_once() {
    let broker = broker(false).await;
    let refusal = Action::Error(TOPIC_AUTHORIZATION_FAILED);
    broker.faults().add(Fault::on(Api::DescribeConfigs).always().then(refusal));
    broker.create_topic("in", 1).unwrap();
    broker.create_topic("out", 1).unwrap();
    let app = Application::new("no-right");
    for _ in 0..2 {
        let told = lines(&["WARN", "DescribeConfigs", &changelog(&app)]).len();
        let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
        let streams = streams(word_count("in", "out"), config, &[]);
        let streams = start(streams).await;
        stop(&streams).await;
        let now = lines(&["WARN", "DescribeConfigs", &changelog(&app)]);
        assert_eq!(now.len(), told + 1, "{now:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_to_tell_settings_hides_nothing() {
    let broker = broker(false).await;
    for topic in ["in", "out", "refused-once-counts-changelog"] {
        broker.create_topic(topic, 1).unwrap();
    }
    let refusal = Action::Error(TOPIC_AUTHORIZATION_FAILED);
    broker.faults().add(Fault::on(Api::DescribeConfigs).then(refusal));
    let state = new_dir();
    let config = StreamsConfig::builder("refused-once", broker.bootstrap_servers());
    let streams = streams(word_count("in", "out"), config.state_dir(state.path()), &[]);
    let error = streams.start().await.unwrap_err();
    assert!(matches!(error, StreamsError::InternalTopicSetting { .. }), "{error:?}");
}

/// Such a changelog would have the broker's defaults, and forget by age.
#[tokio::test(flavor = "multi_thread")]
async fn an_internal_topic_that_is_deleted_does_not_come_back_by_itself() {
    let broker = broker(true).await;
    let servers = broker.bootstrap_servers();
    broker.create_topic("in", 1).unwrap();
    broker.create_topic("out", 1).unwrap();
    let app = Application::new("deleted");
    let changelog = changelog(&app);
    let config = app.config_at(servers, app.state_dir());
    let running = streams(word_count("in", "out"), config, &[("transaction.timeout.ms", "3000")]);
    let running = start(running).await;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    admin.delete_topics(&[&changelog], &AdminOptions::new()).await.unwrap();
    produce_at(servers, "in", "a");
    await_state(&running, ClientState::Error).await;
    let there = broker.view().partitions.iter().any(|p| p.topic == changelog);
    assert!(!there, "it was made by the broker");
    running.shutdown().await.unwrap_err();
    // The next start makes it as it should be.
    let config = app.config_at(servers, app.state_dir());
    let again = streams(word_count("in", "out"), config, &[]);
    let again = start(again).await;
    stop(&again).await;
    assert_eq!(settings_at(servers, &changelog).await["cleanup.policy"], "compact");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka from Maven"]
async fn on_a_cluster_of_append_times_internal_topics_keep_the_times_of_events() {
    let start_cluster = || {
        let builder = KafkaCluster::builder();
        builder.property("log.message.timestamp.type", "LogAppendTime").start().unwrap()
    };
    let cluster = tokio::task::spawn_blocking(start_cluster).await.unwrap();
    let servers = cluster.bootstrap_servers();
    let app = Application::new("append-times");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let new = ["in", "out"].map(|name| {
        rdkafka::admin::NewTopic::new(name, 1, rdkafka::admin::TopicReplication::Fixed(1))
    });
    admin.create_topics(&new, &AdminOptions::new()).await.unwrap();
    let streams = streams(word_count("in", "out"), app.config_at(servers, app.state_dir()), &[]);
    let streams = start(streams).await;
    stop(&streams).await;
    assert_eq!(settings_at(servers, "in").await["message.timestamp.type"], "LogAppendTime");
    for (topic, policy) in [(changelog(&app), "compact"), (repartition(&app), "delete")] {
        let settings = settings_at(servers, &topic).await;
        assert_eq!(settings["message.timestamp.type"], "CreateTime", "{topic}");
        assert_eq!(settings["cleanup.policy"], policy, "{topic}");
    }
    assert_eq!(settings_at(servers, &repartition(&app)).await["retention.ms"], "-1");
}
