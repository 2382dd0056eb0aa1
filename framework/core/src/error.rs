//! What can go wrong in a topology: while it is built, and while a task runs it.

mod task;
mod unproducible;

pub use task::{Part, TaskError};
pub use unproducible::Unproducible;

use std::time::Duration;

pub use crate::topic_name::NameFault;

/// Anything a user's own code may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A topology that cannot be built, or does not fit the topics it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// Two things of one kind with one name.
    #[error("{kind} name `{name}` is used twice; give one of them another name")]
    DuplicateName {
        /// Node, store or repartition topic.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A name Kafka would not accept in a topic.
    #[error(
        "{kind} name `{name}` is not valid; use 1 to 200 characters of a-z, A-Z, 0-9, `.`, `_`, `-`"
    )]
    InvalidName {
        /// Node, store or repartition topic.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// The application's id cannot be in front of a topic's name.
    #[error(
        "application.id `{}` is not valid: {fault}; choose another one, because the names of internal topics and of the state directory begin with it",
        crate::topic_name::shown(application_id)
    )]
    InvalidApplicationId {
        /// The id.
        application_id: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// A topic of the user's that no broker could have.
    #[error(
        "`{}`, {used_by}, cannot be the name of a topic: {fault}; correct the name",
        crate::topic_name::shown(topic)
    )]
    InvalidTopicName {
        /// The name.
        topic: String,
        /// What uses it, and how.
        used_by: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// An internal topic would have a name that no broker takes.
    #[error(
        "no broker takes the name of internal topic `{topic}`: {fault}; it is made of application.id and the name of the {made_for}, so choose a shorter one of these"
    )]
    InternalTopicName {
        /// The name on the broker.
        topic: String,
        /// The store or repartition, by kind and name.
        made_for: String,
        /// What is wrong with the topic's name.
        fault: NameFault,
    },
    /// A repartition topic with less than one partition.
    #[error("repartition topic `{name}` was given {partitions} partitions; give it 1 or more")]
    InvalidPartitions {
        /// Its name, without application id and suffix.
        name: String,
        /// What was asked for.
        partitions: i32,
    },
    /// Two topics that brokers cannot have side by side.
    #[error(
        "topics `{topic}` and `{other}` differ only in `.` and `_`, so brokers refuse to keep both; give one of them another name"
    )]
    NamesCollide {
        /// The topic that is not there yet.
        topic: String,
        /// The one that is there, or is to be there too.
        other: String,
    },
    /// A table that has a store is given another.
    #[error(
        "the table of node `{node}` has store `{store}` already; call materialized() once, and first of all that is called on the table. An aggregation is given its store as an argument"
    )]
    AlreadyMaterialized {
        /// The node that makes the table.
        node: String,
        /// The store it has.
        store: String,
    },
    /// The store of a table is asked for that has none.
    #[error(
        "the table of node `{node}` is computed from another table and has no store; call materialized() on it before store() or a join"
    )]
    NoStore {
        /// The node that makes the table.
        node: String,
    },
    /// Final results are asked of what has no windows.
    #[error(
        "suppression `{node}` waits until windows close, but nothing above it is a windowed aggregation; call suppress() on the table of one, or wait with Suppressed::until_time_limit"
    )]
    NoWindowsAbove {
        /// The node that suppresses.
        node: String,
    },
    /// A suppressed table is to have a store, or is asked for the one that it has not.
    #[error(
        "the table of node `{node}` is suppressed: it has a buffer, and no store; call materialized() on the table before suppress(), or on a filter() or map_values() behind it"
    )]
    SuppressedTable {
        /// The node that suppresses.
        node: String,
    },
    /// An operator cannot write the keys or values of a table.
    #[error(
        "node `{node}` has no serde for the {part}s of its table; call materialized() on that table before, or give a join the serde with TableJoined"
    )]
    NoSerde {
        /// The node that suppresses, or joins by a foreign key.
        node: String,
        /// Key or value.
        part: Part,
    },
    /// Windows that cannot be, or a store that cannot hold them.
    #[error("node `{node}` cannot work in these windows: {reason}")]
    InvalidWindows {
        /// The node that aggregates or joins.
        node: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Ids are to be compared within a window that is none.
    #[error(
        "node `{node}` cannot compare ids within {window:?}; give deduplicate() a window of a millisecond or more"
    )]
    InvalidDeduplication {
        /// The node that compares them.
        node: String,
        /// What it is given.
        window: Duration,
    },
    /// A store is given a time to live that is none.
    #[error(
        "store `{store}` cannot have a time to live of {ttl:?}; give ttl() from 1 to 2^63-1 milliseconds, or leave it out"
    )]
    InvalidTimeToLive {
        /// The store.
        store: String,
        /// What it is given.
        ttl: Duration,
    },
    /// Versions are asked for where there cannot be any, or none are where they are needed.
    #[error("{at} cannot be: {reason}")]
    InvalidVersions {
        /// The store, or the node.
        at: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A table is to be read from several topics, or from a pattern.
    #[error(
        "table() reads one topic, but is given {topics}; read them with stream(), and call to_table()"
    )]
    TableTopics {
        /// The topics or the pattern.
        topics: String,
    },
    /// A name that was given to the next operator, and no operator was called.
    #[error(
        "`{name}` names nothing: named() names the operator that is called next on what it returns, unless that operator's options have a name"
    )]
    UnusedName {
        /// The name.
        name: String,
    },
    /// Names were to be given for all internal topics and stores, and some are generated.
    #[error(
        "explicit_names() asks for names of yours, but {}",
        told_generated(stores, repartitions)
    )]
    GeneratedNames {
        /// The stores with a generated name, and with them their changelogs.
        stores: Vec<String>,
        /// The repartition topics with a generated name, without application id and suffix.
        repartitions: Vec<String>,
    },
    /// A topology is to be optimised in a way that is not known.
    #[error(
        "`{given}` is no way to optimise a topology; topology.optimization is `all`, `none`, or a list of `merge.repartition.topics`, `single.store.self.join` and `reuse.ktable.source.topics`"
    )]
    UnknownOptimization {
        /// What was asked for.
        given: String,
    },
    /// A node asks for a store that nobody added.
    #[error(
        "node `{node}` uses store `{store}`, which is not in the topology; add it with add_state_store"
    )]
    UnknownStore {
        /// The node.
        node: String,
        /// The store.
        store: String,
    },
    /// A node asks for a store it was not connected to, or of another type.
    #[error(
        "node `{node}` uses store `{store}` as {asked}, but the store has other types or is not connected to the node; connect it, and ask for it with the types it was made with"
    )]
    StoreType {
        /// The node.
        node: String,
        /// The store.
        store: String,
        /// The type that was asked for.
        asked: &'static str,
    },
    /// Parent and child disagree on the types between them.
    #[error(
        "node `{parent}` forwards {forwards}, which node `{child}` does not take; connect nodes whose types agree"
    )]
    NodeType {
        /// The upstream node.
        parent: String,
        /// The downstream node.
        child: String,
        /// The types the parent forwards.
        forwards: &'static str,
    },
    /// An operator was given a stream or table of another builder, or of one that is built.
    #[error(
        "node `{node}` was added to a stream or table of another StreamsBuilder, or of one that was built already; make the whole topology with one StreamsBuilder before build()"
    )]
    ForeignHandle {
        /// The node.
        node: String,
    },
    /// A topology without a source does nothing.
    #[error(
        "the topology has no source, so it would read nothing; begin it with stream() or table()"
    )]
    NoSource,
    /// A pattern of topics is not a regular expression.
    #[error(
        "topic pattern `{pattern}` is not a regular expression: {message}; correct the pattern"
    )]
    InvalidPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// Records would run in a circle through topics.
    #[error("the topology is a cycle, and would read its own output for ever: {}; write to a topic that it does not read", path.join(" -> "))]
    Cycle {
        /// Nodes and topics on the circle.
        path: Vec<String>,
    },
    /// A source without a topic.
    #[error("source `{source_name}` names no topic; give it one, or a pattern")]
    NoTopic {
        /// The source.
        source_name: String,
    },
    /// Two readings of one topic, or of one pattern, that cannot share a source.
    #[error(
        "the topology reads {topics} twice, with two different {what}s: {first} and {second}; use one stream or table for both, or give both the same {what} (a table reads its values as `Option`)"
    )]
    SourcesDiffer {
        /// The topics or the pattern.
        topics: String,
        /// What differs: a type, a serde, the timestamp extractor.
        what: &'static str,
        /// That of the first reading.
        first: String,
        /// That of the second.
        second: String,
    },
    /// Two sources read one topic, so that it would have two inputs for one partition.
    #[error(
        "two sources read topic `{topic}`: one {first}, one {second}; narrow a pattern, or read each topic with a stream of its own and merge() the streams"
    )]
    ReadTwice {
        /// The topic.
        topic: String,
        /// How the first source names it.
        first: String,
        /// How the second does.
        second: String,
    },
    /// The topic of a global table is read in another way too.
    #[error(
        "topic `{topic}` is read as a global table, and a second time {other}, but has one reader in a topology; read it in one of these ways, or copy it to a topic of its own"
    )]
    GlobalTopicRead {
        /// The topic.
        topic: String,
        /// How the other source names it.
        other: String,
    },
    /// A global table is asked for something that it cannot do.
    #[error("there cannot be such a global table of {topics}: {reason}")]
    InvalidGlobalTable {
        /// The topics or the pattern.
        topics: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// A pattern matches a topic that the same topology writes to.
    #[error(
        "pattern `{pattern}` matches `{topic}`, which sink `{sink}` of the same application writes to; narrow the pattern, or give the output a name that it does not match"
    )]
    PatternMatchesOutput {
        /// The pattern.
        pattern: String,
        /// The topic.
        topic: String,
        /// The node that writes to it.
        sink: String,
    },
    /// A topic that the application keeps for itself is used as if it were the user's.
    #[error(
        "`{topic}` is the name of an internal topic of this application, and {used_by} it; narrow the pattern, or choose another topic or application.id"
    )]
    InternalTopicUsed {
        /// The topic.
        topic: String,
        /// What uses it, and how.
        used_by: String,
    },
    /// The dead-letter topic is an input: a bad record would come back for ever.
    #[error(
        "the application would read its own dead letters for ever, because a source reads the dead-letter topic `{topic}` {reader}; set errors.dead.letter.queue.topic.name to a topic that this application does not read"
    )]
    DeadLetterRead {
        /// The topic.
        topic: String,
        /// How a source names it.
        reader: String,
    },
    /// A topic the topology reads is not there.
    #[error("source topic `{topic}` does not exist; create it before the application starts")]
    MissingSourceTopic {
        /// The topic.
        topic: String,
    },
    /// Inputs whose records meet by key, in a store or a join, have different partition counts.
    #[error(
        "topics whose records meet in a store by key must have the same number of partitions: {}; repartition() one of them, or create it anew with the number of the others",
        topics.iter().map(|(t, n)| format!("`{t}` has {n}")).collect::<Vec<_>>().join(", ")
    )]
    NotCopartitioned {
        /// Each topic with its partition count.
        topics: Vec<(String, i32)>,
    },
    /// The partition count of a repartition topic cannot be found out.
    #[error(
        "the partition count of repartition topic `{topic}` cannot be worked out, because it follows a topic whose count follows this one; set it with Repartitioned::partitions"
    )]
    UnknownPartitionCount {
        /// The topic.
        topic: String,
    },
}

/// What has a generated name, and how to give it another.
fn told_generated(stores: &[String], repartitions: &[String]) -> String {
    let quoted = |names: &[String]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let mut told = Vec::new();
    if !stores.is_empty() {
        told.push(format!(
            "these stores and their changelogs have generated ones: {}; name an aggregation's by its last argument, a table's by materialized(), and a suppression's by Suppressed::with_name",
            quoted(stores)
        ));
    }
    if !repartitions.is_empty() {
        told.push(format!(
            "these repartition topics have generated ones: {}; name a grouping's by grouped(), another's by named() or by the argument of repartition()",
            quoted(repartitions)
        ));
    }
    told.join("; ")
}
