//! What can go wrong in a topology: while it is built, and while a task runs it.

use crate::serde::SerdeError;
use crate::state::BackendError;

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
    /// Inputs of one stateful sub-topology have different partition counts.
    #[error(
        "topics that meet in one stateful sub-topology must have the same number of partitions: {}; repartition() one of them or recreate it",
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

/// Which half of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
        })
    }
}

/// A task could not go on. Nothing of its transaction becomes visible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A record's bytes are not what the source's serde expects.
    #[error(
        "cannot deserialise the {part} of {topic}-{partition} at offset {offset}: {source}; fix the serde, or set deserialization.exception.handler=continue to skip such records"
    )]
    Deserialize {
        /// The source topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// Key or value.
        part: Part,
        /// What the serde said.
        source: SerdeError,
    },
    /// A record has no valid time.
    #[error(
        "{topic}-{partition} at offset {offset} has timestamp {timestamp}; set a timestamp extractor with Consumed::timestamp_extractor"
    )]
    InvalidTimestamp {
        /// The source topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// The time it carries, in milliseconds.
        timestamp: i64,
    },
    /// A record was handed in again, or one before it: the topic was truncated or made anew, or
    /// the client went back.
    #[error(
        "{topic}-{partition} went back to offset {offset} after {taken}; was the topic truncated or created anew?"
    )]
    WentBack {
        /// The source topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// The last offset that was taken before.
        taken: i64,
    },
    /// A sink's serde refused a key or value.
    #[error("cannot serialise the {part} of a record for topic {topic}: {source}")]
    Serialize {
        /// The topic it was meant for.
        topic: String,
        /// Key or value.
        part: Part,
        /// What the serde said.
        source: SerdeError,
    },
    /// A store's serde refused what it was given or what it found.
    #[error(
        "store {store}: {part}: {source}; if the type of the store changed, reset the application with `oncestream reset`"
    )]
    StoreSerde {
        /// The store.
        store: String,
        /// Key or value.
        part: Part,
        /// What the serde said.
        source: SerdeError,
    },
    /// A store was given a null as a key.
    #[error(
        "store {store}: the key is null, which a store has no place for; leave such records out, or give them a key"
    )]
    NullKey {
        /// The store.
        store: String,
    },
    /// The state backend failed.
    #[error("store {store}: {source}")]
    Backend {
        /// The store.
        store: String,
        /// What the backend said.
        source: BackendError,
    },
    /// A record could not be handed to the producer.
    #[error("cannot send to topic {topic}: {source}")]
    Send {
        /// The topic.
        topic: String,
        /// What the producer said.
        source: BoxError,
    },
    /// A user's processor or fallible operator failed, and so did `processing.exception.handler`.
    #[error("processor {node}: {source}")]
    Processor {
        /// The node.
        node: String,
        /// What the processor said.
        source: BoxError,
    },
}
