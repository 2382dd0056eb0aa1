//! How settings are told to clients: value, where it comes from, and the broker's name for it.
//!
//! Owns the numbers of sources and types. Does not know requests, and changes nothing.

use crate::settings::BrokerSettings;
use crate::topics::settings::{DEFINITIONS, Definition, Kind, TopicSettings};

/// Set for the topic.
pub(super) const TOPIC: i8 = 1;
/// Set for the broker, which it started with.
pub(super) const STATIC_BROKER: i8 = 4;
/// Kafka's default.
pub(super) const DEFAULT: i8 = 5;

const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;
const DOUBLE: i8 = 6;
const LIST: i8 = 7;

/// The topic setting that the broker has a setting for.
pub(super) const MAX_MESSAGE_BYTES: &str = "max.message.bytes";

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api) struct Entry {
    pub(in crate::api) name: &'static str,
    pub(in crate::api) value: String,
    pub(in crate::api) source: i8,
    pub(super) kind: i8,
    pub(super) read_only: bool,
    /// Name, value and source, the one that counts first.
    pub(super) synonyms: Vec<(String, String, i8)>,
}

/// All settings of a topic, by name.
pub(in crate::api) fn of_topic(broker: &BrokerSettings, topic: &TopicSettings) -> Vec<Entry> {
    DEFINITIONS.iter().map(|definition| topic_entry(broker, topic, definition)).collect()
}

fn topic_entry(broker: &BrokerSettings, topic: &TopicSettings, definition: &Definition) -> Entry {
    let name = definition.name;
    let mut synonyms = Vec::new();
    if is_own(broker, topic, name) {
        synonyms.push((name.to_owned(), plain(definition, topic.get(name)), TOPIC));
    }
    if let Some(synonym) = synonym(name) {
        if let Some(value) = broker.message_max_bytes.as_ref().filter(|_| name == MAX_MESSAGE_BYTES)
        {
            synonyms.push((synonym.clone(), value.clone(), STATIC_BROKER));
        }
        synonyms.push((synonym, definition.default.to_owned(), DEFAULT));
    }
    Entry {
        name,
        value: plain(definition, topic.get(name)),
        source: synonyms.first().map_or(DEFAULT, |(_, _, source)| *source),
        kind: kind(definition),
        read_only: false,
        synonyms,
    }
}

/// Is this setting the topic's own? What the broker's `message.max.bytes` put into the topic when
/// it was created is not.
pub(super) fn is_own(broker: &BrokerSettings, topic: &TopicSettings, name: &str) -> bool {
    let from_broker = broker.message_max_bytes.as_ref().filter(|_| name == MAX_MESSAGE_BYTES);
    topic.set().get(name).is_some_and(|value| Some(value) != from_broker)
}

/// The value as Kafka tells it: parsed and written again.
fn plain(definition: &Definition, value: &str) -> String {
    match definition.kind {
        Kind::Boolean => value.trim().to_lowercase(),
        Kind::Integer(_) => value.trim().to_owned(),
        Kind::Double => {
            value.trim().parse::<f64>().map_or_else(|_| value.to_owned(), |v| format!("{v:?}"))
        }
        Kind::Words(_) => value.split(',').map(str::trim).collect::<Vec<_>>().join(","),
        Kind::Word(_) | Kind::Text => value.to_owned(),
    }
}

fn kind(definition: &Definition) -> i8 {
    match definition.kind {
        Kind::Boolean => BOOLEAN,
        Kind::Double => DOUBLE,
        Kind::Word(_) => STRING,
        Kind::Words(_) | Kind::Text => LIST,
        Kind::Integer(_) => match definition.name {
            "compression.gzip.level"
            | "compression.lz4.level"
            | "compression.zstd.level"
            | "index.interval.bytes"
            | "max.message.bytes"
            | "min.insync.replicas"
            | "segment.bytes"
            | "segment.index.bytes" => INT,
            _ => LONG,
        },
    }
}

/// Can values be appended to this setting?
pub(super) fn is_list(definition: &Definition) -> bool {
    kind(definition) == LIST
}

/// The broker's name for a topic setting, from `ServerTopicConfigSynonyms`; `None` where the
/// broker has none, or none of that name with a default.
fn synonym(name: &str) -> Option<String> {
    Some(match name {
        "cleanup.policy"
        | "index.interval.bytes"
        | "local.retention.bytes"
        | "local.retention.ms"
        | "message.timestamp.after.max.ms"
        | "message.timestamp.before.max.ms"
        | "message.timestamp.type"
        | "preallocate"
        | "retention.bytes"
        | "segment.bytes" => format!("log.{name}"),
        "delete.retention.ms" | "max.compaction.lag.ms" | "min.compaction.lag.ms" => {
            format!("log.cleaner.{name}")
        }
        "compression.gzip.level"
        | "compression.lz4.level"
        | "compression.type"
        | "compression.zstd.level"
        | "min.insync.replicas"
        | "unclean.leader.election.enable" => name.to_owned(),
        "file.delete.delay.ms" => "log.segment.delete.delay.ms".to_owned(),
        "flush.messages" => "log.flush.interval.messages".to_owned(),
        "max.message.bytes" => "message.max.bytes".to_owned(),
        "min.cleanable.dirty.ratio" => "log.cleaner.min.cleanable.ratio".to_owned(),
        "segment.index.bytes" => "log.index.size.max.bytes".to_owned(),
        _ => return None,
    })
}

/// What the broker itself goes by. Settings of Kafka that mean nothing here are not listed.
pub(super) fn of_broker(broker: &BrokerSettings, node: i32) -> Vec<Entry> {
    let millis = |duration: std::time::Duration| duration.as_millis().to_string();
    let bytes = broker.message_max_bytes.clone().unwrap_or_else(|| "1048588".to_owned());
    // Name, Kafka's default, type, value.
    [
        ("auto.create.topics.enable", "true", BOOLEAN, broker.auto_create_topics.to_string()),
        ("broker.id", "-1", INT, node.to_string()),
        ("connections.max.idle.ms", "600000", LONG, millis(broker.max_idle)),
        ("default.replication.factor", "1", INT, "1".to_owned()),
        (
            "group.initial.rebalance.delay.ms",
            "3000",
            INT,
            millis(broker.group_initial_rebalance_delay),
        ),
        ("group.max.session.timeout.ms", "1800000", INT, millis(broker.group_max_session_timeout)),
        ("group.max.size", "2147483647", INT, broker.group_max_size.to_string()),
        ("group.min.session.timeout.ms", "6000", INT, millis(broker.group_min_session_timeout)),
        ("log.cleaner.backoff.ms", "15000", LONG, millis(broker.cleaner_backoff)),
        ("message.max.bytes", "1048588", INT, bytes),
        ("num.partitions", "1", INT, broker.num_partitions.to_string()),
        ("offset.metadata.max.bytes", "4096", INT, broker.offset_metadata_max_bytes.to_string()),
        ("socket.request.max.bytes", "104857600", INT, broker.request_max_bytes.to_string()),
        ("transaction.max.timeout.ms", "900000", INT, millis(broker.transaction_max_timeout)),
    ]
    .into_iter()
    .map(|(name, default, kind, value)| {
        let mut synonyms = vec![(name.to_owned(), default.to_owned(), DEFAULT)];
        if value != default {
            synonyms.insert(0, (name.to_owned(), value.clone(), STATIC_BROKER));
        }
        let source = synonyms[0].2;
        Entry { name, value, source, kind, read_only: true, synonyms }
    })
    .collect()
}
