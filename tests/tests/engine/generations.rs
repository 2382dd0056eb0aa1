//! A member may join its group anew without being told so: if topics change while an assignment
//! waits for its answer, the next one comes without a revocation. What the member processes between
//! the two must not be committed in the name of a generation that gave the partition to another.

use std::time::Duration;

use oncestream::prelude::*;
use oncestream::{Topics, Topology};
use oncestream_broker::{Action, Api, Broker, Fault, FaultId, GroupState};
use oncestream_tests::application::*;
use oncestream_tests::log::has_warned;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use tempfile::TempDir;

/// How long the first assignment waits for its answer: its worker asks which topic a changelog is.
const UNANSWERED: Duration = Duration::from_secs(6);
/// How long what the next assignment needs is on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(9);
/// How long the leader takes to assign: longer than the first assignment waits.
const ASSIGNING: Duration = Duration::from_secs(7);
const PARTITIONS: usize = 2;
const KEYS: usize = 20;

/// An application that counts the keys of every topic under a pattern, on a broker of its own.
struct Counting {
    app: Application,
    broker: Broker,
}

impl Counting {
    async fn new(name: &str) -> Self {
        let broker = Broker::builder().start().await.unwrap();
        broker.create_topic("t-a", PARTITIONS).unwrap();
        broker.create_topic("s-a", PARTITIONS).unwrap();
        broker.create_topic("out", 1).unwrap();
        let counting = Self { app: Application::new(name), broker };
        // All has run before, so that nothing but the records is new.
        counting.feed();
        let (streams, _dir) = counting.instance("before", "100");
        let streams = start(streams).await;
        wait_until("the first counts", || counting.counts() == counts(&[1]));
        stop(&streams).await;
        counting.feed();
        counting
    }

    fn feed(&self) {
        for partition in 0..PARTITIONS as i32 {
            let records =
                (0..KEYS).map(|n| (Some(format!("{partition}-{n}")), Some("v".into()), 1));
            self.broker.append("t-a", partition, records).unwrap();
        }
    }

    fn topology() -> Topology {
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>(Topics::pattern("t-."))
            .group_by_key()
            .count("counts")
            .to_stream()
            .to("out");
        // Topics that join no task with those.
        builder.stream::<Option<String>, String>(Topics::pattern("s-.")).to("out");
        builder.build().unwrap()
    }

    fn instance(&self, id: &str, commit_interval_ms: &str) -> (StreamsClientBuilder, TempDir) {
        let settings = [
            ("instance.id", id),
            ("commit.interval.ms", commit_interval_ms),
            ("transaction.timeout.ms", "44000"),
            ("statestore.cache.max.bytes", "0"),
            ("consumer.topic.metadata.refresh.interval.ms", "200"),
        ];
        let dir = new_dir();
        let config = self.app.config_at(self.broker.bootstrap_servers(), dir.path());
        (streams(Self::topology(), config, &settings), dir)
    }

    fn consumer(&self, id: &str) -> String {
        format!("{}-{id}-worker-0-consumer", self.app.id)
    }

    /// Starts an instance whose worker does not answer its assignment before the fault has let its
    /// question pass: it asks which topic its changelog is. Gives it with the fault and the generation.
    async fn start_without_answer(
        &self,
        streams: StreamsClientBuilder,
        id: &str,
        action: Action,
    ) -> (Streams, FaultId, i32) {
        let unanswered = Fault::on(Api::Metadata)
            .client_id(format!("{}-{id}-admin", self.app.id))
            .topic(format!("{}-counts-changelog", self.app.id))
            .then(action);
        let unanswered = self.broker.faults().add(unanswered);
        let streams = streams.start().await.unwrap();
        self.met("the worker to ask", unanswered);
        (streams, unanswered, self.generation())
    }

    /// Waits until a request has met a fault.
    fn met(&self, what: &str, fault: FaultId) {
        wait_until(what, || self.broker.faults().fired(fault) > 0);
    }

    fn remove(&self, fault: FaultId) {
        assert!(self.broker.faults().remove(fault));
    }

    async fn delete(&self, topic: &str) {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.broker.bootstrap_servers());
        let admin: AdminClient<_> = client.create().unwrap();
        admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    }

    fn generation(&self) -> i32 {
        self.broker.view().group(&self.app.id).map_or(-1, |group| group.generation_id)
    }

    /// The group is stable in another generation, with so many members.
    fn is_past(&self, generation: i32, members: usize) -> bool {
        self.broker.view().group(&self.app.id).is_some_and(|group| {
            group.generation_id > generation
                && group.state == GroupState::Stable
                && group.members.len() == members
        })
    }

    /// How many records were written to the output, visible or not.
    fn written(&self) -> usize {
        self.broker.records("out", 0).iter().filter(|r| r.control.is_none()).count()
    }

    /// The values that are committed in the output, by key.
    fn counts(&self) -> Vec<(String, i64)> {
        let stable = self.broker.view().partition("out", 0).unwrap().last_stable_offset;
        let records = self.broker.records("out", 0).into_iter();
        let seen = records.filter(|r| r.offset < stable && r.control.is_none() && !r.aborted);
        let mut counts: Vec<_> = seen
            .map(|r| {
                let key = String::from_utf8_lossy(&r.key.unwrap()).into_owned();
                (key, i64::from_be_bytes(r.value.unwrap().as_ref().try_into().unwrap()))
            })
            .collect();
        counts.sort();
        counts
    }
}

/// Each key with each of these counts.
fn counts(wanted: &[i64]) -> Vec<(String, i64)> {
    let keys = (0..PARTITIONS).flat_map(|p| (0..KEYS).map(move |n| format!("{p}-{n}")));
    let mut all: Vec<_> =
        keys.flat_map(|key| wanted.iter().map(move |n| (key.clone(), *n))).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_not_committed_after_an_assignment_that_comes_without_a_revocation() {
    let counting = Counting::new("unrevoked").await;
    // Its transaction is open until the next assignment.
    let (streams, _dir) = counting.instance("one", "30000");
    let (streams, unanswered, generation) =
        counting.start_without_answer(streams, "one", Action::DelayAnswerUntilRemoved).await;
    // While the first assignment waits for its answer, the member joins again. Until the coordinator
    // learns of it, it is of the first generation.
    let joins = Fault::on(Api::JoinGroup).client_id(counting.consumer("one"));
    let joins = counting.broker.faults().add(joins.then(Action::DelayUntilRemoved));
    counting.broker.create_topic("t-b", PARTITIONS).unwrap();
    counting.met("the member to join again", joins);
    counting.remove(unanswered);
    wait_until("the records of the first", || counting.written() >= 2 * PARTITIONS * KEYS);
    counting.remove(joins);
    wait_until("the next generation", || counting.is_past(generation, 1));
    let unrevoked = ["an assignment came without a revocation"];
    wait_until("the assignment", || has_warned(&unrevoked));
    // Counted before, counted in what was open, and counted again.
    wait_until("the records again", || counting.written() >= 3 * PARTITIONS * KEYS);
    stop(&streams).await;
    assert_eq!(counting.counts(), counts(&[1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_gave_a_partition_to_another_member_commits_nothing_of_it() {
    let counting = Counting::new("stale").await;
    let (one, _dir) = counting.instance("one", "5000");
    let (two, _other) = counting.instance("two", "100");
    let late = Action::DelayAnswer(UNANSWERED);
    let (one, _, first) = counting.start_without_answer(one, "one", late).await;
    // The second assignment waits behind the first one.
    counting.delete("s-a").await;
    wait_until("the second generation", || counting.is_past(first, 1));
    let second = counting.generation();
    // The third gives half of the partitions to another member. The first member is in it, and
    // learns late what it has.
    let two = two.start().await.unwrap();
    let joins = |of: String| {
        let requests = counting.broker.requests();
        requests.iter().filter(|r| r.api == Api::JoinGroup && r.client_id == of).count()
    };
    wait_until("the other member to join", || joins(counting.consumer("two")) >= 2);
    let of_one = |api| Fault::on(api).client_id(counting.consumer("one"));
    let faults = counting.broker.faults();
    // As the leader it asks for the topics before it assigns, and has the new generation then.
    faults.add(of_one(Api::Metadata).topic("s-b").then(Action::DelayAnswer(ASSIGNING)));
    faults.add(of_one(Api::SyncGroup).then(Action::DelayAnswer(ON_ITS_WAY)));
    counting.broker.create_topic("s-b", PARTITIONS).unwrap();
    wait_until("a generation of both", || counting.is_past(second, 2));
    wait_until("all counts", || counting.counts().len() >= 2 * PARTITIONS * KEYS);
    await_state(&one, ClientState::Running).await;
    await_state(&two, ClientState::Running).await;
    stop(&one).await;
    stop(&two).await;
    assert_eq!(counting.counts(), counts(&[1, 2]));
}
