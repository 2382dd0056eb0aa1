//! The errors of an application. Each names the thing that it is about, and says what to do.

use std::time::Duration;

use oncestream_core::TaskId;
use oncestream_core::commit::Verdict;
use oncestream_core::error::{BoxError, TaskError, TopologyError};
use oncestream_core::state::BackendError;
use oncestream_core::task::{Activity, BuildError};

mod config;

pub use config::ConfigError;

use crate::access::{ConnectionFault, Resource};
use crate::client_error::{ClientError, ClientFault as _};
use crate::verdict::{ErrorKind, Step};

/// An application that could not start, or had to stop.
///
/// Under exactly once, nothing of the transaction in which an error occurred becomes visible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamsError {
    /// The configuration is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The topology does not fit itself or the topics.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A task failed.
    #[error("task {task}: {source}")]
    Task {
        /// The task.
        task: TaskId,
        /// What went wrong.
        source: TaskError,
    },
    /// No broker answers.
    #[error(
        "no broker at {bootstrap_servers} answered within {waited:?}: {reason}; check bootstrap.servers, the network and the security settings"
    )]
    BrokerUnreachable {
        /// What was configured.
        bootstrap_servers: String,
        /// For how long it was tried.
        waited: Duration,
        /// Why the last connection failed.
        reason: String,
        /// What the client said last.
        source: Box<ClientError>,
    },
    /// Brokers answer and refuse: wrong credentials, an unknown certificate, another protocol.
    #[error("the brokers at {bootstrap_servers} refuse the connection: {fault} ({reason})")]
    ConnectionRefused {
        /// What was configured.
        bootstrap_servers: String,
        /// Which part of the security settings does not fit.
        fault: ConnectionFault,
        /// What the client said.
        reason: String,
    },
    /// The user this application authenticates as lacks a right.
    #[error(
        "the user of this application lacks the right {operation} on {resource} {name}; grant it, or check the name"
    )]
    NotAuthorized {
        /// On what kind of thing.
        resource: Resource,
        /// Its name.
        name: String,
        /// Kafka's name of the right.
        operation: &'static str,
    },
    /// A topic the topology writes to is not there, and the broker does not create it.
    #[error("sink topic {topic} does not exist; create it before the application starts")]
    MissingSinkTopic {
        /// The topic.
        topic: String,
    },
    /// An internal topic is there with another number of partitions.
    #[error(
        "internal topic {topic} has {actual} partitions and needs {expected}, because the number of partitions of an input has changed; restore the old number, or reset the application with `oncestream reset`"
    )]
    PartitionCount {
        /// The topic.
        topic: String,
        /// What the topology needs.
        expected: i32,
        /// What the broker has.
        actual: i32,
    },
    /// An internal topic is there with a setting that it cannot work with.
    #[error(
        "internal topic {topic} has {setting}={found} and needs {needed}: {why}; set it with `kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {setting}={needed}`, and reset the application with `oncestream reset` if the topic has lost or changed records already"
    )]
    InternalTopicSetting {
        /// The topic.
        topic: String,
        /// Kafka's name of the setting.
        setting: &'static str,
        /// Its value.
        found: String,
        /// The value it needs.
        needed: &'static str,
        /// What goes wrong otherwise.
        why: &'static str,
    },
    /// The topic of a table is its changelog, and forgets rows that the table has.
    #[error(
        "topic {topic} has cleanup.policy={found} and deletes records by age or size, and a table of the topology has it for its changelog, so rows would be lost with the disk; set cleanup.policy=compact, or retention.ms=-1 and retention.bytes=-1, or build the topology without reuse.ktable.source.topics"
    )]
    TableTopicForgets {
        /// The topic.
        topic: String,
        /// Its `cleanup.policy`.
        found: String,
    },
    /// The topic of a table is its changelog, and has got partitions.
    #[error(
        "topic {topic} has {now} partitions and had {before} when a table was made of it that has it for its changelog, so the rows of some keys are where these no longer come; reset the application with `oncestream reset`, from the first record of {topic} on"
    )]
    TableTopicGrew {
        /// The topic.
        topic: String,
        /// How many it had.
        before: i64,
        /// How many it has.
        now: i32,
    },
    /// An internal topic would be made with a setting that it cannot work with.
    #[error(
        "internal topic {topic} would be created with {setting}={found} and needs {needed}: {why}; take the setting out of {given_by}"
    )]
    UnfitTopicSetting {
        /// The topic.
        topic: String,
        /// Where the setting was given: a `topic.` key, or the store's own settings.
        given_by: String,
        /// Kafka's name of the setting.
        setting: &'static str,
        /// The value given.
        found: String,
        /// The value it needs.
        needed: &'static str,
        /// What goes wrong otherwise.
        why: &'static str,
    },
    /// The brokers do not take the name of an internal topic.
    #[error(
        "the brokers refuse the name of internal topic {topic}: {message}; it is made of application.id and the name of a store or repartition, so choose another one of these"
    )]
    TopicNameRefused {
        /// The topic.
        topic: String,
        /// What the broker said.
        message: String,
    },
    /// An internal topic could not be created.
    #[error(
        "the brokers do not create internal topic {topic}: {message}; grant the right to create topics, or create it by hand"
    )]
    CreateTopic {
        /// The topic.
        topic: String,
        /// What the broker said.
        message: String,
    },
    /// Another process works in the state directory.
    #[error(
        "state directory {path} is in use by another process; give each instance its own state.dir"
    )]
    StateDirInUse {
        /// The directory.
        path: String,
    },
    /// The state directory cannot be used.
    #[error(
        "state directory {path} cannot be used: {source}; check that it exists or can be made, and its permissions"
    )]
    StateDir {
        /// The directory.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A partition without a committed offset, and nowhere to begin.
    #[error(
        "{topic}-{partition} has no committed offset and auto.offset.reset=none; commit one, or set auto.offset.reset to earliest or latest"
    )]
    NoCommittedOffset {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
    },
    /// The log of a partition has nothing at the committed offset, and nowhere to go on.
    #[error(
        "{topic}-{partition} has no record at its committed offset {offset}, because records were deleted before they were read or the topic was created anew, and auto.offset.reset=none; commit an offset that exists, or set auto.offset.reset to earliest or latest"
    )]
    CommittedOffsetOutOfRange {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// What is committed.
        offset: i64,
    },
    /// No input of a task has a committed offset, but its changelog has records: what the store
    /// has counted already would be counted again.
    #[error(
        "task {task}: no input has a committed offset, but changelog {changelog}-{partition} has records (the first at offset {offset}), so input records that the store has counted would be counted again; the offsets have expired (offsets.retention.minutes), or the group or all input topics were deleted: commit the offsets to go on from, or begin anew with `oncestream reset`"
    )]
    CommittedOffsetsLost {
        /// The task.
        task: TaskId,
        /// The changelog topic.
        changelog: String,
        /// Its partition.
        partition: i32,
        /// Of the first record that is visible.
        offset: i64,
    },
    /// A changelog has a record that no store has written.
    #[error(
        "task {task}: the record of changelog {changelog}-{partition} at offset {offset} cannot be restored: {source}; Oncestream writes no such record: find out who wrote it, and reset the application with `oncestream reset`"
    )]
    ChangelogRecord {
        /// The task.
        task: TaskId,
        /// The changelog topic.
        changelog: String,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// What the store said.
        source: Box<TaskError>,
    },
    /// A reset of the application was begun and is not complete: its topics may be deleted, and its
    /// offsets are not set.
    #[error(
        "a reset of the application was begun and not completed, so {topic}-{partition} cannot be read; run `oncestream reset` again with the same flags, and with {topic} among its topics"
    )]
    ResetUnfinished {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
    },
    /// A global table failed on a record, or could not be kept.
    #[error("global table {store}: {source}")]
    GlobalTable {
        /// Its store.
        store: String,
        /// What went wrong.
        source: Box<TaskError>,
    },
    /// A global table was not restored in time.
    #[error(
        "global table {store} was not restored within {waited:?}: it has come to offset {reached} of {topic}-{partition}, which ends at {end}; raise global.restore.timeout.ms, or start again: the next start goes on from there"
    )]
    GlobalRestoreTimedOut {
        /// Its store.
        store: String,
        /// Its topic.
        topic: String,
        /// The partition that is furthest from its end.
        partition: i32,
        /// The first offset of it that is not in the table.
        reached: i64,
        /// Where it ended when the restore began.
        end: i64,
        /// `global.restore.timeout.ms`.
        waited: Duration,
    },
    /// A global table cannot go on from where it is, and workers read it.
    #[error(
        "global table {store} cannot follow topic {topic} any more: {reason}; start again, and it is built anew from the records that are left"
    )]
    GlobalTableStale {
        /// Its store.
        store: String,
        /// Its topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// A record was refused by the broker for good.
    #[error("a record for {} cannot be produced: {source}{}", place(topic, *partition, *timestamp), source.advice())]
    Produce {
        /// The topic.
        topic: String,
        /// Its partition; -1 where none was chosen.
        partition: i32,
        /// The record's time in milliseconds; -1 where it is not known.
        timestamp: i64,
        /// What the client said.
        source: ClientError,
    },
    /// A changelog's record was refused by the broker for good. No handler may drop it: the store
    /// would differ from its changelog.
    #[error(
        "store {store}: a record for its changelog {} cannot be produced: {source}{}",
        place(topic, *partition, *timestamp), source.advice()
    )]
    Changelog {
        /// The store.
        store: String,
        /// The changelog topic.
        topic: String,
        /// Its partition; -1 where none was chosen.
        partition: i32,
        /// The record's time in milliseconds; -1 where it is not known.
        timestamp: i64,
        /// What the client said.
        source: Box<ClientError>,
    },
    /// A Kafka client failed for good.
    #[error("{action} failed: {source}{}", source.advice())]
    Client {
        /// What was being done, with the name of the thing.
        action: String,
        /// What the client said.
        source: ClientError,
    },
    /// Something that commits together with Kafka's transactions has failed for good.
    #[error("{participant} cannot {action}: {source}")]
    Participant {
        /// What it calls itself.
        participant: String,
        /// What it was asked for: to recover, to prepare or to apply.
        action: &'static str,
        /// What it said.
        source: BoxError,
    },
    /// The same thing went wrong again and again, and nothing could be committed in between.
    #[error(
        "the worker gave up after {failures} failures in a row without a commit in between; remove the cause and start again; the last failure: {source}"
    )]
    NoProgress {
        /// How often.
        failures: u32,
        /// What went wrong the last time.
        source: Box<StreamsError>,
    },
    /// One record takes longer to process than a transaction may last.
    #[error(
        "processing one record ({record}) takes longer than transaction.timeout.ms, {} ms, so the broker aborts its transaction each time; make the slow function faster, or raise transaction.timeout.ms, and session.timeout.ms above it",
        timeout.as_millis()
    )]
    TooSlow {
        /// The record, by topic, partition and offset where they are known.
        record: String,
        /// The configured timeout.
        timeout: Duration,
    },
    /// The application was stopped, and its last commit failed.
    #[error(
        "worker {worker}: the last commit before the end failed: {source}; the records since the commit before are processed again at the next start"
    )]
    LastCommit {
        /// The worker.
        worker: usize,
        /// Why.
        source: Box<StreamsError>,
    },
    /// Another producer uses the same transactional id.
    #[error(
        "the broker fenced this worker, because another producer uses transactional id {transactional_id}; give each instance its own instance.id and state.dir"
    )]
    Fenced {
        /// The id.
        transactional_id: String,
    },
    /// Another member of the group has the id of this instance.
    #[error(
        "another instance (member {member} at {host}) uses instance.id {instance_id} and goes on, so this one stops; give each instance its own instance.id and state.dir, and never copy a state directory"
    )]
    InstanceIdInUse {
        /// The id, configured or from the state directory.
        instance_id: String,
        /// The other member of the group.
        member: String,
        /// Where it runs.
        host: String,
    },
    /// A call did not end in time.
    #[error(
        "{action} did not end within {waited:?}; check that the brokers answer, and what the log says before this"
    )]
    TimedOut {
        /// What was waited for.
        action: String,
        /// For how long.
        waited: Duration,
    },
    /// A user's function panicked, or a serde, or a library below.
    #[error(
        "worker {worker} panicked{}: {message}; the records since its last commit are processed again: fix the cause",
        doing(*task, activity.as_ref())
    )]
    Panicked {
        /// The worker.
        worker: usize,
        /// The task that was in the middle of something, if one was.
        task: Option<TaskId>,
        /// What it was in the middle of: a record, by its partition and offset, or something else.
        activity: Option<Activity>,
        /// What the panic said.
        message: String,
    },
    /// A serde or the function of a global table panicked, or a library below.
    #[error(
        "the thread of the global tables panicked{}: {message}; the records since its last batch are read again: fix the cause",
        doing(None, at.as_ref())
    )]
    GlobalPanicked {
        /// What it was in the middle of: a record, by its partition and offset, or something else.
        at: Option<Activity>,
        /// What the panic said.
        message: String,
    },
    /// The system gives the application no more threads.
    #[error(
        "cannot start a thread: {source}; raise the limit on the threads of a user (ulimit -u), or lower num.stream.threads"
    )]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
}

/// A place a record was meant for, and its time where that is known.
fn place(topic: &str, partition: i32, timestamp: i64) -> String {
    let partition = if partition < 0 { String::new() } else { format!("-{partition}") };
    let time = if timestamp < 0 { String::new() } else { format!(" with timestamp {timestamp}") };
    format!("{topic}{partition}{time}")
}

/// What a task was in the middle of, to go on after "panicked".
fn doing(task: Option<TaskId>, activity: Option<&Activity>) -> String {
    let task = task.map(|task| format!(" in task {task}")).unwrap_or_default();
    let activity = activity.map(|activity| format!(" {activity}")).unwrap_or_default();
    format!("{task}{activity}")
}

impl StreamsError {
    /// A right on something is missing.
    pub fn not_authorized(
        resource: Resource,
        name: impl Into<String>,
        operation: &'static str,
    ) -> Self {
        Self::NotAuthorized { resource, name: name.into(), operation }
    }

    /// The group has gone on without this member.
    pub fn is_of_group(&self) -> bool {
        match self {
            Self::Client { source, .. } => {
                source.judge(Step::GroupCommit, None) == Verdict::StaleMember
            }
            _ => false,
        }
    }

    /// An error while a topic was read.
    pub fn reading(action: String, topic: &str, source: ClientError) -> Self {
        if source.denied() == Some(Resource::Topic) {
            return Self::not_authorized(Resource::Topic, topic, "Read");
        }
        Self::client(action, source)
    }

    /// A client has failed at an action.
    pub fn client(action: impl Into<String>, source: ClientError) -> Self {
        Self::Client { action: action.into(), source }
    }

    pub(crate) fn build(task: TaskId, source: BuildError) -> Self {
        match source {
            BuildError::Topology(e) => Self::Topology(e),
            BuildError::Store(source) => Self::Task { task, source },
            other => Self::client(
                format!("making task {task}"),
                ClientError::new(ErrorKind::Other, other),
            ),
        }
    }
}
