//! Global tables on a broker: each instance has all of them before it runs, read committed, and keeps them up
//! to date whatever the group does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oncestream::prelude::*;
use oncestream_broker::{Action, Api, Broker, Fault};
use oncestream_core::serde::{HasSerde, fn_serde};
use oncestream_tests::application::*;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tempfile::TempDir;

/// So many partitions have the users; the orders have others.
const USERS: i32 = 3;
const ORDERS: i32 = 4;

/// The values that the tables of the test's instances have taken in.
type Taken = Arc<Mutex<Vec<String>>>;

fn taken(taken: &Taken) -> Vec<String> {
    taken.lock().unwrap().clone()
}

/// A broker with users and orders, and an application that joins them.
struct Joining {
    app: Application,
    broker: Broker,
    taken: Taken,
}

impl Joining {
    async fn new(name: &str) -> Self {
        let app = Application::new(name);
        let broker = Broker::builder().start().await.unwrap();
        broker.create_topic("users", USERS as usize).unwrap();
        broker.create_topic("orders", ORDERS as usize).unwrap();
        broker.create_topic("out", 1).unwrap();
        Self { app, broker, taken: Taken::default() }
    }

    /// Orders, whose values are users, with the users' names.
    fn topology(&self) -> Topology {
        let builder = StreamsBuilder::new();
        let seen = self.taken.clone();
        let names = fn_serde(
            |name: &String, out: &mut Vec<u8>| String::serde().serialize(name, out),
            move |bytes| {
                let name = String::serde().deserialize(bytes)?;
                seen.lock().unwrap().push(name.clone());
                Ok(name)
            },
        );
        let users = oncestream::Consumed::with("users", String::serde(), Arc::new(names));
        let users = builder.global_table::<String, String>(users).materialized("names");
        builder
            .stream::<String, String>("orders")
            .left_join_global(
                &users,
                |_, user| Some(user.clone()),
                |user, name| format!("{user}={}", name.map_or("-", String::as_str)),
            )
            .to("out");
        builder.build().unwrap()
    }

    /// An instance of this name, on a disk of its own.
    fn instance(&self, id: &str, dir: &TempDir, settings: &[(&str, &str)]) -> StreamsClientBuilder {
        let config = self.app.config_at(self.broker.bootstrap_servers(), dir.path());
        let settings = [&[("instance.id", id)], settings].concat();
        streams(self.topology(), config, &settings)
    }

    fn user(&self, partition: i32, user: &str, name: &str) {
        self.broker.append("users", partition, [(Some(user), Some(name), 1)]).unwrap();
    }

    /// An order in each partition.
    fn orders(&self, user: &str) {
        for partition in 0..ORDERS {
            self.broker.append("orders", partition, [(Some("order"), Some(user), 1)]).unwrap();
        }
    }

    fn results(&self) -> Vec<String> {
        let records = self.broker.records("out", 0).into_iter();
        let values = records.filter(|r| r.control.is_none()).filter_map(|r| r.value);
        values.map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
    }

    fn await_results(&self, count: usize) -> Vec<String> {
        wait_until("the results", || self.results().len() >= count);
        self.results()
    }

    /// A producer with an open transaction that has set a user.
    fn begun(&self, user: &str, name: &str) -> BaseProducer {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", self.broker.bootstrap_servers())
            .set("transactional.id", self.app.topic("other"))
            .create()
            .unwrap();
        producer.init_transactions(DEADLINE).unwrap();
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::to("users").key(user).payload(name).partition(0)).unwrap();
        producer.flush(DEADLINE).unwrap();
        producer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_whole_on_each_instance_and_follows_its_topic_while_the_group_rebalances() {
    let joining = Joining::new("global").await;
    for partition in 0..USERS {
        joining.user(partition, &format!("user {partition}"), "first");
    }
    let (dir, other_dir) = (new_dir(), new_dir());
    let one = start(joining.instance("one", &dir, &[])).await;
    for partition in 0..USERS {
        joining.orders(&format!("user {partition}"));
    }
    let results = joining.await_results((USERS * ORDERS) as usize);
    assert!(results.iter().all(|result| result.ends_with("=first")), "{results:?}");

    // The group waits for the first member to join again, and it does not get there.
    let consumer = format!("{}-one-worker-0-consumer", joining.app.id);
    let joins = Fault::on(Api::JoinGroup).client_id(consumer).then(Action::DelayUntilRemoved);
    let joins = joining.broker.faults().add(joins);
    let two = joining.instance("two", &other_dir, &[]).start().await.unwrap();
    wait_until("the rebalance", || joining.broker.faults().fired(joins) > 0);
    // The second has restored its table before it joined.
    let aborted = joining.begun("user 0", "aborted");
    aborted.abort_transaction(DEADLINE).unwrap();
    for partition in 0..USERS {
        joining.user(partition, &format!("user {partition}"), "second");
    }
    let seconds = || taken(&joining.taken).iter().filter(|name| *name == "second").count();
    wait_until("both tables", || seconds() == 2 * USERS as usize);
    assert_eq!(one.state(), ClientState::Rebalancing);
    joining.broker.faults().remove(joins);
    await_state(&one, ClientState::Running).await;
    await_state(&two, ClientState::Running).await;
    let before = joining.results().len();
    for partition in 0..USERS {
        joining.orders(&format!("user {partition}"));
    }
    let results = joining.await_results(2 * before);
    assert!(results[before..].iter().all(|result| result.ends_with("=second")), "{results:?}");
    assert!(!taken(&joining.taken).contains(&"aborted".to_owned()));
    stop(&one).await;
    stop(&two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_goes_on_from_its_checkpoint_and_waits_for_no_open_transaction_of_others() {
    let joining = Joining::new("global-checkpoint").await;
    joining.user(1, "eve", "first");
    let dir = new_dir();
    stop(&start(joining.instance("one", &dir, &[])).await).await;
    joining.user(2, "bob", "second");
    let open = joining.begun("eve", "open");
    let again = start(joining.instance("one", &dir, &[])).await;
    assert_eq!(taken(&joining.taken), ["first", "second"], "the first was read once");
    joining.orders("eve");
    let results = joining.await_results(ORDERS as usize);
    assert!(results.iter().all(|result| result == "eve=first"), "{results:?}");
    open.commit_transaction(DEADLINE).unwrap();
    wait_until("what was open", || taken(&joining.taken).contains(&"open".to_owned()));
    stop(&again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_again_is_read_from_its_beginning() {
    let joining = Joining::new("global-again").await;
    joining.user(0, "eve", "old");
    let dir = new_dir();
    stop(&start(joining.instance("one", &dir, &[])).await).await;
    let admin: rdkafka::admin::AdminClient<_> = ClientConfig::new()
        .set("bootstrap.servers", joining.broker.bootstrap_servers())
        .create()
        .unwrap();
    admin.delete_topics(&["users"], &rdkafka::admin::AdminOptions::new()).await.unwrap();
    joining.broker.create_topic("users", USERS as usize).unwrap();
    joining.user(1, "bob", "new");
    let again = start(joining.instance("one", &dir, &[])).await;
    joining.orders("eve");
    joining.orders("bob");
    let mut results = joining.await_results(2 * ORDERS as usize);
    results.dedup();
    results.sort();
    results.dedup();
    assert_eq!(results, ["bob=new", "eve=-"]);
    stop(&again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_restored_in_time_fails_the_start_with_how_far_it_came() {
    let joining = Joining::new("global-slow").await;
    joining.user(0, "eve", "first");
    joining.user(2, "bob", "second");
    let client = format!("{}-one-global-consumer", joining.app.id);
    let fetches = Fault::on(Api::Fetch).client_id(client).always();
    let fetches = joining.broker.faults().add(fetches.then(Action::DelayUntilRemoved));
    let dir = new_dir();
    let slow = joining.instance("one", &dir, &[("global.restore.timeout.ms", "300")]);
    let error = refused(slow).await;
    let StreamsError::GlobalRestoreTimedOut { store, topic, reached: 0, end: 1, waited, .. } =
        &error
    else {
        panic!("{error}")
    };
    assert_eq!((store.as_str(), topic.as_str()), ("names", "users"));
    assert_eq!(*waited, Duration::from_millis(300));
    assert_tells(&error, &["names", "users-", "offset 0", "global.restore.timeout.ms"]);
    joining.broker.faults().remove(fetches);
    // The directory is free again.
    stop(&start(joining.instance("one", &dir, &[])).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_global_topic_that_is_missing_or_holds_a_bad_record_fails_the_start_and_later_the_instance()
 {
    let joining = Joining::new("global-bad").await;
    let dir = new_dir();
    let running = start(joining.instance("one", &dir, &[])).await;
    joining.broker.append("users", 1, [(Some(&b"eve"[..]), Some(&b"\xff"[..]), 1)]).unwrap();
    await_state(&running, ClientState::Error).await;
    let error = running.shutdown().await.unwrap_err();
    assert_tells(&error, &["global table names", "value", "users-1", "offset 0"]);
    let error = refused(joining.instance("one", &dir, &[])).await;
    assert_tells(&error, &["global table names", "value", "users-1", "offset 0"]);
    let continuing = [("deserialization.exception.handler", "continue")];
    stop(&start(joining.instance("one", &dir, &continuing)).await).await;

    let app = Application::new("global-missing");
    let builder = StreamsBuilder::new();
    builder.global_table::<String, String>(app.topic("nowhere"));
    let input = app.create("in", 1).await;
    builder.stream::<String, String>(&input).to(&app.create("out", 1).await);
    let error = refused(app.streams(builder.build().unwrap(), &[])).await;
    assert_tells(&error, &[&app.topic("nowhere"), "does not exist"]);
}

/// The thread of the tables is replaced like a worker, if the handler says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_thread_of_global_tables_that_fails_may_be_replaced() {
    let joining = Joining::new("global-replaced").await;
    let dir = new_dir();
    let asked = Arc::new(Mutex::new(0));
    let counted = asked.clone();
    let running = joining.instance("one", &dir, &[]).uncaught_error_handler(move |error| {
        *counted.lock().unwrap() += 1;
        assert!(matches!(error, StreamsError::GlobalTable { .. }), "{error}");
        UncaughtErrorResponse::ReplaceWorker
    });
    let running = start(running).await;
    joining.broker.append("users", 1, [(Some(&b"eve"[..]), Some(&b"\xff"[..]), 1)]).unwrap();
    wait_until("the second failure", || *asked.lock().unwrap() > 1);
    // What it cannot get over keeps the table where it is; orders go on.
    joining.orders("eve");
    assert_eq!(joining.await_results(ORDERS as usize), ["eve=-"; ORDERS as usize]);
    stop(&running).await;
}
