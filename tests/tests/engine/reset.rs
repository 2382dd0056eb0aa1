//! An application that is reset counts exactly once from where it was told to, and nobody else is
//! touched.

use std::path::Path;
use std::time::Instant;

use oncestream::reset::{ApplicationReset, Notice, ResetError, ResetPlan, To, WrongTopic};
use oncestream::{StreamsError, Topology};
use oncestream_tests::application::*;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// Every update is seen in the output.
const UNCACHED: [(&str, &str); 1] = [("statestore.cache.max.bytes", "0")];

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers());
    config
}

/// What a group has committed for a topic, with the text beside it.
fn committed_with(group: &str, topic: &str) -> Vec<Option<(i64, String)>> {
    let consumer: BaseConsumer = client().set("group.id", group).create().unwrap();
    let partitions = partition_count(topic);
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let found = consumer.committed_offsets(list, DEADLINE).unwrap();
    let of = |p| {
        let element = found.find_partition(topic, p).unwrap();
        match element.offset() {
            Offset::Offset(offset) => Some((offset, element.metadata().to_owned())),
            _ => None,
        }
    };
    (0..partitions).map(of).collect()
}

fn committed(group: &str, topic: &str) -> Vec<Option<i64>> {
    committed_with(group, topic).into_iter().map(|c| c.map(|(offset, _)| offset)).collect()
}

/// Commits what is committed, with another text beside it.
fn mark(group: &str, topic: &str, text: &str) {
    let consumer: BaseConsumer = client().set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    for (partition, offset) in (0..).zip(committed(group, topic)) {
        let Some(offset) = offset else { continue };
        let mut element = list.add_partition(topic, partition);
        element.set_offset(Offset::Offset(offset)).unwrap();
        element.set_metadata(text);
    }
    consumer.commit(&list, CommitMode::Sync).unwrap();
}

/// A plan, once the members that have just been stopped have gone.
async fn planned(reset: &ApplicationReset) -> ResetPlan {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match reset.plan().await {
            Err(ResetError::MembersAlive { .. }) if Instant::now() < deadline => {}
            plan => return plan.unwrap(),
        }
    }
}

async fn reset(reset: &ApplicationReset) -> String {
    let plan = planned(reset).await;
    let shown = plan.to_string();
    plan.execute().await.unwrap();
    shown
}

fn resets(app: &Application) -> ApplicationReset {
    ApplicationReset::new(app.config().build().unwrap())
}

/// The counts of a word, in the order of the output.
fn counts_of(output: &str, word: &str) -> Vec<i64> {
    let of_word = |(key, value): Seen| (key.as_deref() == Some(word)).then_some(value?);
    let seen = visible(output).into_iter().filter_map(of_word);
    seen.map(|bytes| i64::from_be_bytes(bytes.try_into().unwrap())).collect()
}

/// An application that counts words has counted three lines and is stopped.
async fn counted(name: &str) -> (Application, String, String) {
    let app = Application::new(name);
    let (input, output) = (app.create("in", 2).await, app.create("out", 1).await);
    produce_lines(&input, ["a b", "a", "a b"]);
    run_until_counts(&app, word_count(&input, &output), &output, "a", &[1, 2, 3]).await;
    (app, input, output)
}

async fn run_until_counts(
    app: &Application,
    topology: Topology,
    output: &str,
    word: &str,
    counts: &[i64],
) {
    run_until_counts_in(app, app.state_dir(), topology, output, word, counts).await;
}

async fn run_until_counts_in(
    app: &Application,
    state_dir: &Path,
    topology: Topology,
    output: &str,
    word: &str,
    counts: &[i64],
) {
    let streams = streams(topology, app.config_at(servers(), state_dir), &UNCACHED);
    let streams = start(streams).await;
    wait_until("the counts", || counts_of(output, word).len() >= counts.len());
    stop(&streams).await;
    assert_eq!(counts_of(output, word), counts, "{word}");
}

// ---- From zero ----

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_was_reset_counts_exactly_once_from_zero() {
    let (app, input, output) = counted("from-zero").await;
    let internal = ["counts-changelog", "counts-repartition"].map(|t| format!("{}-{t}", app.id));
    assert!(internal.iter().all(|topic| partition_count(topic) == 2));
    let directory = app.state_dir().join(&app.id);
    assert!(directory.join("stores").exists());

    let whole = resets(&app).input_topic(&*input, To::Earliest).local_state();
    let shown = reset(&whole).await;
    for part in [&*input, "FROM", &internal[0], &internal[1], directory.to_str().unwrap()] {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
    assert!(internal.iter().all(|topic| partition_count(topic) == 0));
    assert!(!directory.exists() && app.state_dir().exists());
    assert_eq!(committed(&app.id, &input), [Some(0), Some(0)]);

    produce_lines(&input, ["a"]);
    let topology = word_count(&input, &output);
    run_until_counts(&app, topology, &output, "a", &[1, 2, 3, 1, 2, 3, 4]).await;
    assert_eq!(counts_of(&output, "b"), [1, 2, 1, 2]);
}

/// The state that is on another host: it is not deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_of_before_the_reset_is_stale_by_itself() {
    let (app, input, output) = counted("other-host").await;
    reset(&resets(&app).input_topic(&*input, To::Earliest)).await;
    assert!(app.state_dir().join(&app.id).join("stores").exists());
    let topology = word_count(&input, &output);
    run_until_counts(&app, topology, &output, "a", &[1, 2, 3, 1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_is_run_twice_does_the_same() {
    let (app, input, output) = counted("twice").await;
    let whole = resets(&app)
        .topology(word_count(&input, &output))
        .input_topic(&*input, To::Earliest)
        .local_state();
    reset(&whole).await;
    let plan = planned(&whole).await;
    assert_eq!((plan.topics(), plan.directory()), (&[][..], None));
    plan.execute().await.unwrap();
    // The same by name: what is named and gone is told, and no error.
    let changelog = format!("{}-counts-changelog", app.id);
    let named =
        resets(&app).internal_topic(&*changelog).input_topic(&*input, To::Earliest).local_state();
    let plan = planned(&named).await;
    assert!(plan.notices().contains(&Notice::AlreadyGone { topic: changelog }));
    plan.execute().await.unwrap();
    let topology = word_count(&input, &output);
    run_until_counts(&app, topology, &output, "a", &[1, 2, 3, 1, 2, 3]).await;
}

// ---- Where inputs begin ----

fn send_at(topic: &str, times_ms: &[i64]) {
    let producer: BaseProducer = client().create().unwrap();
    for time in times_ms {
        let (key, value) = (time.to_string(), "v");
        let record = BaseRecord::to(topic).key(&key).payload(value).timestamp(*time).partition(0);
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

/// Resets an application that has read records of the times 1000, 2000, ... 5000, runs it again,
/// and gives the times that it read.
async fn read_again(name: &str, to: To) -> (Vec<i64>, Vec<Notice>) {
    let app = Application::new(name);
    let (input, output) = (app.topic("in"), app.topic("out"));
    for topic in [&input, &output] {
        // Brokers would delete records of 1970.
        create_topic(topic, 1, &[("retention.ms", "-1")]).await;
    }
    send_at(&input, &[1000, 2000, 3000, 4000, 5000]);
    let read = |output: &str| -> Vec<i64> {
        let keys = visible(output).into_iter().filter_map(|(key, _)| key);
        keys.map(|key| key.parse().unwrap()).collect()
    };
    let first = app.streams(counting(&input, &output), &UNCACHED);
    let first = start(first).await;
    wait_until("the first counts", || read(&output).len() == 5);
    stop(&first).await;

    let plan = planned(&resets(&app).input_topic(&*input, to).local_state()).await;
    let (notices, wanted) = (plan.notices().to_vec(), plan.offsets()[0].to);
    plan.execute().await.unwrap();
    assert_eq!(committed(&app.id, &input), [wanted]);

    send_at(&input, &[6000]);
    let second = app.streams(counting(&input, &output), &UNCACHED);
    let second = start(second).await;
    wait_until("the last count", || read(&output).contains(&6000));
    stop(&second).await;
    // Counted anew, whatever was counted before.
    assert!(visible_counts(&output).values().all(|count| *count == 1));
    (read(&output)[5..].to_vec(), notices)
}

/// Runs cases at the same time, since each mostly waits.
async fn all_at_once<F: Future<Output = ()> + Send + 'static>(cases: Vec<F>) {
    let cases: Vec<_> = cases.into_iter().map(tokio::spawn).collect();
    for case in cases {
        case.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn inputs_begin_where_they_are_told_to() {
    let cases = [
        ("earliest", To::Earliest, &[1000, 2000, 3000, 4000, 5000, 6000][..]),
        ("latest", To::Latest, &[6000]),
        ("offset", To::Offset(3), &[4000, 5000, 6000]),
        ("time", To::Time(3500), &[4000, 5000, 6000]),
        ("shift", To::ShiftBy(-2), &[4000, 5000, 6000]),
    ];
    let case = |(name, to, times)| async move {
        let (read, notices) = read_again(name, to).await;
        assert_eq!((&*read, &*notices), (times, &[][..]), "{to:?}");
    };
    all_at_once(cases.into_iter().map(case).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_log_is_told_and_the_nearest_is_taken() {
    let (read, notices) = read_again("before-all", To::ShiftBy(-100)).await;
    assert_eq!(read.len(), 6);
    let [Notice::Clamped { asked: -95, set: 0, .. }] = notices[..] else { panic!("{notices:?}") };
    let (read, notices) = read_again("after-all", To::Time(99_000)).await;
    assert_eq!(read, [6000]);
    assert!(matches!(notices[..], [Notice::NoRecordSince { .. }]), "{notices:?}");
}

// ---- Refused ----

#[tokio::test(flavor = "multi_thread")]
async fn while_an_instance_runs_nothing_is_reset_and_its_members_are_named() {
    let (app, input, output) = counted("alive").await;
    let whole = resets(&app).input_topic(&*input, To::Earliest).local_state();
    let early = planned(&whole).await;
    let other = new_dir();
    let config = app.config_at(servers(), other.path());
    let running = streams(word_count(&input, &output), config, &UNCACHED);
    let running = start(running).await;
    for error in [whole.plan().await.unwrap_err(), early.execute().await.unwrap_err()] {
        let ResetError::MembersAlive { group, members } = &error else { panic!("{error}") };
        assert_eq!((group, members.len()), (&app.id, 1));
        assert!(members[0].client_id.ends_with("-worker-0-consumer"), "{error}");
        assert_tells(&error, &[&app.id, &members[0].client_id, "127.0.0.1"]);
    }
    produce_lines(&input, ["a"]);
    wait_until("the next count", || counts_of(&output, "a") == [1, 2, 3, 4]);
    // Its directory is another one; that of a running instance is refused too.
    let of_running = app.config_at(servers(), other.path()).build().unwrap();
    let error = ApplicationReset::new(of_running).local_state().plan().await.unwrap_err();
    assert!(matches!(error, ResetError::StateDirInUse { .. }), "{error}");
    stop(&running).await;
    assert!(app.state_dir().join(&app.id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_not_executed_changes_nothing() {
    let (app, input, output) = counted("dry").await;
    let before = committed_with(&app.id, &input);
    let plan = planned(&resets(&app).input_topic(&*input, To::Earliest).local_state()).await;
    assert_eq!(plan.offsets().len(), 2);
    assert_eq!(plan.offsets()[0].from, before[0].as_ref().map(|(offset, _)| *offset));
    assert_eq!(plan.topics().len(), 2);
    drop(plan);
    assert_eq!(committed_with(&app.id, &input), before);
    produce_lines(&input, ["a"]);
    run_until_counts(&app, word_count(&input, &output), &output, "a", &[1, 2, 3, 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_made_before_the_application_ran_again_is_refused() {
    let (app, input, output) = counted("outdated").await;
    let plan = planned(&resets(&app).input_topic(&*input, To::Earliest)).await;
    produce_lines(&input, ["a"]);
    let topology = word_count(&input, &output);
    run_until_counts(&app, topology, &output, "a", &[1, 2, 3, 4]).await;
    // Waits until the members have gone.
    drop(planned(&resets(&app).input_topic(&*input, To::Earliest)).await);
    let error = plan.execute().await.unwrap_err();
    assert!(matches!(error, ResetError::Interfered { .. }), "{error}");
    assert_tells(&error, &[&input, "run the reset again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_names_are_told_in_one_answer() {
    let (app, input, output) = counted("names").await;
    let internal = format!("{}-counts-changelog", app.id);
    let mistyped = format!("{}-cuonts-changelog", app.id);
    let wrong = resets(&app)
        .input_topic(&*input, To::Earliest)
        .input_topic("no-such-input", To::Earliest)
        .input_topic("nor-this", To::Latest)
        .input_topic(&*internal, To::Earliest)
        .internal_topic(&*internal)
        .internal_topic(&*mistyped)
        .internal_topic(&*output);
    drop(planned(&resets(&app).input_topic(&*input, To::Earliest)).await);
    let error = wrong.plan().await.unwrap_err();
    let ResetError::WrongTopics { topics } = &error else { panic!("{error}") };
    assert_eq!(topics.len(), 5, "{error}");
    assert!(topics.contains(&WrongTopic::InputIsInternal { topic: internal.clone() }));
    assert!(topics.contains(&WrongTopic::NotInternal { topic: output.clone() }));
    assert_tells(&error, &["no-such-input", "nor-this", &internal, &mistyped, &output]);
    run_until_counts(&app, word_count(&input, &output), &output, "a", &[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_nobody_has_is_told() {
    let app = Application::new("nobody");
    let input = app.create("in", 1).await;
    let plan = resets(&app).input_topic(&*input, To::Earliest).plan().await.unwrap();
    assert_eq!(plan.notices(), [Notice::UnknownApplication]);
    let error = resets(&app).local_state().plan().await.unwrap_err();
    assert!(matches!(error, ResetError::NothingToReset { .. }), "{error}");
    assert_tells(&error, &[&app.id]);
}

/// The offsets of an instance that was killed in the middle of a commit come when its transaction
/// ends, and not after a reset.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_open_on_the_offsets_is_waited_for() {
    let (app, input, output) = counted("open").await;
    drop(planned(&resets(&app).input_topic(&*input, To::Earliest)).await);
    let before = committed(&app.id, &input);
    let killed: BaseProducer = client()
        .set("transactional.id", format!("{}-killed", app.id))
        .set("transaction.timeout.ms", "4000")
        .create()
        .unwrap();
    let consumer: BaseConsumer = client().set("group.id", &app.id).create().unwrap();
    killed.init_transactions(DEADLINE).unwrap();
    killed.begin_transaction().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&input, 0, Offset::Offset(1)).unwrap();
    let group = consumer.group_metadata().unwrap();
    killed.send_offsets_to_transaction(&list, &group, DEADLINE).unwrap();

    let begun = Instant::now();
    let plan = resets(&app).input_topic(&*input, To::Earliest).plan().await.unwrap();
    assert!(begun.elapsed().as_secs() >= 2, "it was not waited for");
    assert_eq!(plan.offsets().iter().map(|o| o.from).collect::<Vec<_>>(), before);
    plan.execute().await.unwrap();
    drop(killed);
    let topology = word_count(&input, &output);
    run_until_counts(&app, topology, &output, "a", &[1, 2, 3, 1, 2, 3]).await;
}

// ---- Others ----

#[tokio::test(flavor = "multi_thread")]
async fn an_application_whose_id_begins_the_same_is_left_alone() {
    let (app, input, output) = counted("pair").await;
    let mut other = Application::new("pair");
    other.id = format!("{}-2", app.id);
    let other_output = app.create("other-out", 1).await;
    let topology = || word_count(&input, &other_output);
    run_until_counts(&other, topology(), &other_output, "a", &[1, 2, 3]).await;

    let plan = planned(&resets(&app).input_topic(&*input, To::Earliest)).await;
    let topics: Vec<&str> = plan.topics().iter().map(|(topic, _)| &**topic).collect();
    let own = ["counts-changelog", "counts-repartition"].map(|t| format!("{}-{t}", app.id));
    assert_eq!(topics, own);
    let left = |n: &Notice| matches!(n, Notice::LeftToOther { application_id, .. } if *application_id == other.id);
    assert_eq!(plan.notices().iter().filter(|n| left(n)).count(), 2);
    plan.execute().await.unwrap();
    let again = [1, 2, 3, 1, 2, 3];
    run_until_counts(&app, word_count(&input, &output), &output, "a", &again).await;
    produce_lines(&input, ["a"]);
    run_until_counts(&other, topology(), &other_output, "a", &[1, 2, 3, 4]).await;

    // Without it, it cannot be told whose the topics are, but for who has the topology. A consumer
    // whose group has that name says nothing.
    drop(planned(&resets(&other).input_topic(&*input, To::Earliest)).await);
    let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
    let gone = admin.delete_groups(&[&other.id], &AdminOptions::new()).await.unwrap();
    assert!(gone.iter().all(Result::is_ok), "{gone:?}");
    let consumer: BaseConsumer = client().set("group.id", &other.id).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&input, 0, Offset::Offset(0)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    let by_name = resets(&app).input_topic(&*input, To::Earliest);
    drop(planned(&by_name.clone().topology(word_count(&input, &output))).await);
    let error = by_name.plan().await.unwrap_err();
    let ResetError::UnsureTopics { topics, own: certain, .. } = &error else { panic!("{error}") };
    assert_eq!((topics.len(), &certain[..]), (2, &own[..]));
    assert_tells(&error, &["--internal-topics", &other.id]);
    let plan = planned(&by_name.topology(word_count(&input, &output))).await;
    assert_eq!(plan.topics().len(), 2);
    plan.execute().await.unwrap();
    assert_eq!(partition_count(&format!("{}-counts-changelog", other.id)), 2);
}

// ---- Interrupted ----

/// As a process leaves it that ends after so many of the steps in `reset/plan.rs`.
async fn interrupted_after(step: usize, app: &Application, input: &str) {
    let [changelog, repartition] =
        ["counts-changelog", "counts-repartition"].map(|t| format!("{}-{t}", app.id));
    for topic in [input, &repartition] {
        mark(&app.id, topic, "oncestream-reset");
    }
    if step >= 2 {
        delete_topic(&changelog).await;
        delete_topic(&repartition).await;
    }
    if step >= 3 {
        std::fs::remove_dir_all(app.state_dir().join(&app.id)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_reset_that_was_interrupted_keeps_instances_from_starting_until_it_is_run_again() {
    let case = |step| async move {
        let (app, input, output) = counted("midway").await;
        let whole = resets(&app).input_topic(&*input, To::ShiftBy(-1)).local_state();
        let before = planned(&whole).await.offsets().to_vec();
        interrupted_after(step, &app, &input).await;

        let instance = app.streams(word_count(&input, &output), &UNCACHED);
        let error = run_to_error(instance).await;
        assert!(matches!(error, StreamsError::ResetUnfinished { .. }), "{error}");
        assert_tells(&error, &["oncestream reset"]);

        let plan = planned(&whole).await;
        assert_eq!(plan.offsets(), before, "it shifts from the same place");
        assert!(plan.notices().contains(&Notice::Resumed));
        plan.execute().await.unwrap();
        // Lines lie in turn in two partitions: `a b` and `a b`, and `a`.
        let again = [1, 2, 3, 1, 2];
        run_until_counts(&app, word_count(&input, &output), &output, "a", &again).await;
        assert_eq!(counts_of(&output, "b"), [1, 2, 1]);
    };
    all_at_once((1..=3).map(case).collect()).await;
}
