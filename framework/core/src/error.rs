//! What can go wrong in a topology: while it is built, and while a task runs it.

mod task;
mod unproducible;

pub use task::{Part, TaskError};
pub use unproducible::Unproducible;

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
        "application.id `{}` is no name for an application: {fault}; it begins the names of internal topics and of the state directory",
        crate::topic_name::shown(application_id)
    )]
    InvalidApplicationId {
        /// The id.
        application_id: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// A topic of the user's that no broker could have.
    #[error("`{}`, {used_by}, is no name for a topic: {fault}", crate::topic_name::shown(topic))]
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
        "internal topic `{topic}` cannot be created: {fault}; it is made of application.id and the name of the {made_for}: choose a shorter one"
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
    #[error("repartition topic `{name}` is to have {partitions} partitions; it needs 1 or more")]
    InvalidPartitions {
        /// Its name, without application id and suffix.
        name: String,
        /// What was asked for.
        partitions: i32,
    },
    /// Two topics that brokers cannot have side by side.
    #[error(
        "topics `{topic}` and `{other}` differ in `.` and `_` alone, and brokers refuse to create one beside the other: give one of them another name"
    )]
    NamesCollide {
        /// The topic that is not there yet.
        topic: String,
        /// The one that is there, or is to be there too.
        other: String,
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
        "node `{node}` uses store `{store}` as {asked}, but the store has other types or is not connected to the node"
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
    #[error("node `{child}` does not take what node `{parent}` forwards ({forwards})")]
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
        "node `{node}` stands on a stream or table of another builder; make both with one StreamsBuilder"
    )]
    ForeignHandle {
        /// The node.
        node: String,
    },
    /// A topology without a source does nothing.
    #[error("the topology has no source; start it with stream() or table()")]
    NoSource,
    /// A pattern of topics is not a regular expression.
    #[error("topic pattern `{pattern}` is not a regular expression: {message}")]
    InvalidPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// Records would run in a circle through topics.
    #[error("the topology is a cycle: {}; write to a topic that it does not read", path.join(" -> "))]
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
        "{topics} is read twice, with two {what}s: {first} and {second}; use one stream or table for both, or read both alike (a table's values are read as `Option`)"
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
        "topic `{topic}` is read {first} and {second}; narrow a pattern, or read each topic with a stream of its own and merge() them where they belong together"
    )]
    ReadTwice {
        /// The topic.
        topic: String,
        /// How the first source names it.
        first: String,
        /// How the second does.
        second: String,
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
        "the dead-letter topic `{topic}` is read {reader}; set errors.dead.letter.queue.topic.name to a topic that this application does not read"
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
        "topics whose records meet in a store must have the same number of partitions: {}; repartition() one of them or recreate it",
        topics.iter().map(|(t, n)| format!("`{t}` has {n}")).collect::<Vec<_>>().join(", ")
    )]
    NotCopartitioned {
        /// Each topic with its partition count.
        topics: Vec<(String, i32)>,
    },
    /// The partition count of a repartition topic cannot be found out.
    #[error(
        "the partition count of repartition topic `{topic}` depends on itself; set it with Repartitioned::partitions"
    )]
    UnknownPartitionCount {
        /// The topic.
        topic: String,
    },
}
