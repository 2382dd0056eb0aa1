//! A reset that meets a fault at each of its steps, on an embedded broker.
//!
//! That an application counts exactly after a reset is shown in `tests/tests/engine/reset.rs`.

use std::time::Duration;

use oncestream_broker::{Action, Api, Broker, Fault};
use oncestream_runtime::reset::{ApplicationReset, ResetError, To};
use oncestream_runtime::{Resource, StreamsConfig, StreamsError};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const MARK: &str = "oncestream-reset";
const GROUP_DENIED: i16 = 30;
const TOPIC_DENIED: i16 = 29;
const DELETION_DISABLED: i16 = 73;

/// A broker on which an application has read 2 of 5 records of each partition.
struct Place {
    broker: Broker,
    /// A state directory with something in it.
    state: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let broker = Broker::builder().start().await.unwrap();
        for topic in ["lines", "app-counts-repartition", "app-counts-changelog"] {
            broker.create_topic(topic, 2).unwrap();
            for partition in 0..2 {
                let records = [b"r"; 5].map(|value| (None, Some(value), 1));
                broker.append(topic, partition, records).unwrap();
            }
        }
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap_servers())
            .set("group.id", "app")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for topic in ["lines", "app-counts-repartition"] {
            for partition in 0..2 {
                list.add_partition_offset(topic, partition, Offset::Offset(2)).unwrap();
            }
        }
        consumer.commit(&list, CommitMode::Sync).unwrap();
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(state.path().join("app/stores")).unwrap();
        Self { broker, state }
    }

    fn reset(&self) -> ApplicationReset {
        let config = StreamsConfig::builder("app", self.broker.bootstrap_servers());
        let config = config.state_dir(self.state.path()).build().unwrap();
        ApplicationReset::new(config).input_topic("lines", To::ShiftBy(1)).local_state()
    }

    async fn run(&self) -> Result<(), ResetError> {
        self.reset().plan().await?.execute().await
    }

    /// The offsets of the group, and whether each has the mark.
    fn offsets(&self) -> Vec<(String, i64, bool)> {
        let view = self.broker.view();
        let offsets = &view.group("app").unwrap().offsets;
        let is_marked = |text: Option<&str>| text == Some(MARK);
        offsets
            .iter()
            .map(|(topic, _, o)| (topic.clone(), o.offset, is_marked(o.metadata.as_deref())))
            .collect()
    }

    fn has(&self, topic: &str) -> bool {
        self.broker.view().partition(topic, 0).is_some()
    }

    fn is_untouched(&self) -> bool {
        self.offsets().len() == 4
            && self.offsets().iter().all(|(_, offset, marked)| *offset == 2 && !marked)
            && self.has("app-counts-changelog")
            && self.has("app-counts-repartition")
            && self.state.path().join("app").exists()
    }

    fn is_reset(&self) -> bool {
        self.offsets() == [("lines".to_owned(), 3, false), ("lines".to_owned(), 3, false)]
            && !self.has("app-counts-changelog")
            && !self.has("app-counts-repartition")
            && !self.state.path().join("app").exists()
    }

    /// No instance starts that reads `lines`.
    fn is_barred(&self) -> bool {
        let lines: Vec<_> = self.offsets().into_iter().filter(|(t, ..)| t == "lines").collect();
        lines.len() == 2 && lines.iter().all(|(_, offset, marked)| *offset == 2 && *marked)
    }
}

fn denied(error: &ResetError) -> Option<(Resource, String, &'static str)> {
    match error {
        ResetError::Streams(error) => match &**error {
            StreamsError::NotAuthorized { resource, name, operation } => {
                Some((*resource, name.clone(), operation))
            }
            _ => None,
        },
        ResetError::Unfinished { source } => denied(source),
        _ => None,
    }
}

/// The faults that end by themselves: what was lost is asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_answer_at_any_step_is_got_over() {
    let case = |api| async move {
        for nth in 1..=4 {
            let place = Place::new().await;
            let fault = place.broker.faults().add(Fault::on(api).nth(nth).then(Action::LoseAnswer));
            place.run().await.unwrap();
            assert!(place.is_reset(), "{api} {nth}: {:?}", place.offsets());
            let is_last = api == Api::DeleteTopics || nth >= 3;
            assert!(is_last || place.broker.faults().fired(fault) == 1, "{api} {nth}");
        }
    };
    let apis = [Api::OffsetFetch, Api::OffsetCommit, Api::DeleteTopics, Api::ListOffsets];
    for case in apis.map(case).map(tokio::spawn) {
        case.await.unwrap();
    }
}

/// A step is refused, as if the process ended there. Whatever was done, no instance could start; or
/// nothing was done. The next reset does the rest, and shifts from the same place.
#[tokio::test]
async fn a_reset_that_ends_at_any_step_has_done_nothing_or_bars_instances_and_can_be_run_again() {
    let mut barred = 0;
    for (api, code) in [
        (Api::OffsetCommit, GROUP_DENIED),
        (Api::OffsetFetch, GROUP_DENIED),
        (Api::DeleteTopics, TOPIC_DENIED),
    ] {
        for nth in 1.. {
            let place = Place::new().await;
            let fault = Fault::on(api).nth(nth).then(Action::Error(code));
            let fault = place.broker.faults().add(fault);
            let Err(error) = place.run().await else {
                assert_eq!(place.broker.faults().fired(fault), 0);
                assert!(place.is_reset());
                break;
            };
            assert!(denied(&error).is_some(), "{error}");
            let is_unfinished = matches!(error, ResetError::Unfinished { .. });
            assert_ne!(is_unfinished, place.is_untouched(), "{api} {nth}: {error}");
            if place.is_reset() {
                // Only that could not be looked at any more.
                continue;
            }
            let offsets = place.offsets();
            assert!(place.is_untouched() || place.is_barred(), "{api} {nth}: {offsets:?}");
            barred += u32::from(is_unfinished);
            place.run().await.unwrap();
            assert!(place.is_reset(), "{api} {nth}: {:?}", place.offsets());
        }
    }
    assert!(barred > 1);
}

#[tokio::test]
async fn a_missing_right_is_named_and_nothing_is_changed() {
    for (api, code, resource, name, operation) in [
        (Api::OffsetFetch, GROUP_DENIED, Resource::Group, "app", "Read"),
        (Api::OffsetCommit, GROUP_DENIED, Resource::Group, "app", "Read"),
        (Api::OffsetCommit, TOPIC_DENIED, Resource::Topic, "lines", "Read"),
        (Api::ListOffsets, TOPIC_DENIED, Resource::Topic, "lines", "Read"),
        (Api::DeleteTopics, TOPIC_DENIED, Resource::Topic, "app-counts-changelog", "Delete"),
    ] {
        let place = Place::new().await;
        place.broker.faults().add(Fault::on(api).then(Action::Error(code)));
        let error = place.run().await.unwrap_err();
        assert_eq!(denied(&error), Some((resource, name.to_owned(), operation)), "{api}: {error}");
        assert!(place.is_untouched(), "{api}: {:?}", place.offsets());
        assert!(!matches!(error, ResetError::Unfinished { .. }), "{error}");
    }
}

#[tokio::test]
async fn topics_that_a_policy_keeps_leave_everything_as_it_was() {
    let place = Place::new().await;
    place.broker.faults().add(Fault::on(Api::DeleteTopics).then(Action::Error(DELETION_DISABLED)));
    let error = place.run().await.unwrap_err().to_string();
    assert!(error.contains("app-counts-changelog"), "{error}");
    assert!(place.is_untouched(), "{:?}", place.offsets());
}

#[tokio::test]
async fn without_a_broker_it_says_so_in_time() {
    let config = StreamsConfig::builder("app", "127.0.0.1:1").build().unwrap();
    let reset = ApplicationReset::new(config).input_topic("lines", To::Earliest);
    let plan = tokio::time::timeout(Duration::from_secs(60), reset.plan()).await.unwrap();
    let error = plan.unwrap_err();
    let ResetError::Streams(error) = error else { panic!("{error}") };
    assert!(matches!(*error, StreamsError::BrokerUnreachable { .. }), "{error}");
}
