//! Errors of a running task.

use super::BoxError;
use crate::record::RecordMetadata;
use crate::serde::SerdeError;
use crate::state::BackendError;

/// Which part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
    /// The names of its headers.
    Headers,
}

impl Part {
    /// What else can be done about one that cannot be read.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Key | Self::Value => "fix the serde",
            Self::Headers => "correct the producer that writes such headers",
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
            Self::Headers => "headers",
        })
    }
}

/// A task could not go on. Under exactly once, nothing of its transaction becomes visible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A record's bytes are not what the source's serde expects.
    #[error(
        "cannot deserialise the {part} of the record in {topic}-{partition} at offset {offset}: {source}; {}, or set deserialization.exception.handler=continue to skip such records", part.remedy()
    )]
    Deserialize {
        /// The source topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// Key, value or headers.
        part: Part,
        /// What the serde said.
        source: SerdeError,
    },
    /// A record has no valid time.
    #[error(
        "the record in {topic}-{partition} at offset {offset} has timestamp {timestamp}, which is no time in Kafka; correct its producer, or take the time from elsewhere with Consumed::timestamp_extractor"
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
        "{topic}-{partition} went back to offset {offset} after {taken}, and its records would be counted twice; find out whether the topic was truncated or created anew, and if so begin anew with `oncestream reset`"
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
    #[error(
        "cannot serialise the {part} of a record for topic {topic}{}: {source}; fix the serde, or set production.exception.handler=continue to leave such records out", record(", from", at.as_deref())
    )]
    Serialize {
        /// The topic it was meant for.
        topic: String,
        /// Key or value.
        part: Part,
        /// The record in hand; `None` in punctuations, and where caches and stores are flushed.
        at: Option<Box<RecordMetadata>>,
        /// What the serde said.
        source: SerdeError,
    },
    /// A store's serde refused what it was given or what it found.
    #[error(
        "store {store} cannot read or write a {part}{}: {source}; if the types of the store have changed, reset the application with `oncestream reset`, else fix the serde", record(" for", at.as_deref())
    )]
    StoreSerde {
        /// The store.
        store: String,
        /// Key or value.
        part: Part,
        /// The record in hand; `None` in punctuations, and where caches and stores are flushed.
        at: Option<Box<RecordMetadata>>,
        /// What the serde said.
        source: SerdeError,
    },
    /// A store was given a null as a key.
    #[error(
        "store {store} was given a null as a key{}, which no store keeps; filter such records out, or give them a key", record(" for", at.as_deref())
    )]
    NullKey {
        /// The store.
        store: String,
        /// The record in hand; `None` in punctuations, and where caches and stores are flushed.
        at: Option<Box<RecordMetadata>>,
    },
    /// A store was given a key that is larger than backends take.
    #[error(
        "store {store} was given a key of {length} bytes{}, and a store takes keys of up to {limit} bytes; shorten such keys, by a hash for instance, or filter such records out", record(" for", at.as_deref())
    )]
    KeyTooLarge {
        /// The store.
        store: String,
        /// The key's length, in bytes.
        length: usize,
        /// The most there may be, in bytes.
        limit: usize,
        /// The record in hand; `None` in punctuations, and where caches and stores are flushed.
        at: Option<Box<RecordMetadata>>,
    },
    /// A store is used while a call on it is under way.
    #[error(
        "store {store}: the function that was given to update() uses the store; read what it needs before, and write what follows after"
    )]
    StoreInUse {
        /// The store.
        store: String,
    },
    /// A buffer of suppressed results is full, and may not emit early.
    #[error(
        "the buffer of suppression {node} is full: it holds {held} {unit} and may hold {limit}; {}raise the limit, make fewer keys wait by a shorter time limit or grace, or let the buffer emit early with emit_early_when_full()", filled_by(at.as_ref())
    )]
    BufferFull {
        /// The node.
        node: String,
        /// The record that has filled it; `None` if caches did, which were flushed for a commit.
        at: Option<RecordMetadata>,
        /// What it holds, with what has filled it.
        held: u64,
        /// What it may hold.
        limit: u64,
        /// What is counted: `records` or `bytes`.
        unit: &'static str,
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
    #[error("cannot send to topic {topic}{}: {source}", record(", from", at.as_deref()))]
    Send {
        /// The topic.
        topic: String,
        /// The record in hand; `None` in punctuations, and where caches and stores are flushed.
        at: Option<Box<RecordMetadata>>,
        /// What the producer said.
        source: BoxError,
    },
    /// A user's processor or fallible operator failed, and so did `processing.exception.handler`.
    #[error("processor {node} failed{}: {source}", record(" for", at.as_deref()))]
    Processor {
        /// The node.
        node: String,
        /// The record in hand; `None` in punctuations, and where caches and stores are flushed.
        at: Option<Box<RecordMetadata>>,
        /// What the processor said.
        source: BoxError,
    },
}

/// What has filled a buffer.
fn filled_by(at: Option<&RecordMetadata>) -> String {
    at.map_or_else(String::new, |RecordMetadata { topic, partition, offset }| {
        format!("the record in {topic}-{partition} at offset {offset} has filled it; ")
    })
}

/// The record in hand, behind a word.
fn record(word: &str, at: Option<&RecordMetadata>) -> String {
    at.map_or_else(String::new, |RecordMetadata { topic, partition, offset }| {
        format!("{word} the record in {topic}-{partition} at offset {offset}")
    })
}

impl TaskError {
    /// Names the record in hand, where nothing is named yet.
    #[cold]
    pub(crate) fn for_record(mut self, record: impl FnOnce() -> RecordMetadata) -> Self {
        match &mut self {
            Self::Serialize { at, .. }
            | Self::StoreSerde { at, .. }
            | Self::NullKey { at, .. }
            | Self::KeyTooLarge { at, .. }
            | Self::Send { at, .. }
            | Self::Processor { at, .. } => {
                at.get_or_insert_with(|| Box::new(record()));
            }
            _ => {}
        }
        self
    }

    /// Whether the record in hand is at fault, and not the store that was given it: then
    /// `processing.exception.handler` decides.
    pub fn is_of_record(&self) -> bool {
        matches!(self, Self::KeyTooLarge { .. } | Self::NullKey { .. })
    }
}
