//! The settings of topics: Kafka's names, defaults and checks.
//!
//! All of Kafka's names are known, so that clients may set and list them. Those that speak of
//! files, replicas or tiers change nothing here.

use std::collections::BTreeMap;

use crate::log::LogSettings;

/// What a setting's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    /// At least this.
    Integer(i64),
    Double,
    /// One of these.
    Word(&'static [&'static str]),
    /// Some of these, with commas between.
    Words(&'static [&'static str]),
    Text,
}

/// A setting of topics.
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) default: &'static str,
    pub(crate) kind: Kind,
}

const fn define(name: &'static str, default: &'static str, kind: Kind) -> Definition {
    Definition { name, default, kind }
}

const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const LONGEST: &str = "9223372036854775807";

/// All settings, by name. From `LogConfig` and `TopicConfig` of Kafka 4.3.1.
pub(crate) const DEFINITIONS: &[Definition] = &[
    define("cleanup.policy", "delete", Kind::Words(&["compact", "delete"])),
    define("compression.gzip.level", "-1", Kind::Integer(-1)),
    define("compression.lz4.level", "9", Kind::Integer(1)),
    define("compression.type", "producer", Kind::Word(CODECS)),
    define("compression.zstd.level", "3", Kind::Integer(-131_072)),
    define("delete.retention.ms", "86400000", Kind::Integer(0)),
    define("file.delete.delay.ms", "60000", Kind::Integer(0)),
    define("flush.messages", LONGEST, Kind::Integer(1)),
    define("flush.ms", LONGEST, Kind::Integer(0)),
    define("follower.replication.throttled.replicas", "", Kind::Text),
    define("index.interval.bytes", "4096", Kind::Integer(0)),
    define("leader.replication.throttled.replicas", "", Kind::Text),
    define("local.retention.bytes", "-2", Kind::Integer(-2)),
    define("local.retention.ms", "-2", Kind::Integer(-2)),
    define("max.compaction.lag.ms", LONGEST, Kind::Integer(1)),
    define("max.message.bytes", "1048588", Kind::Integer(0)),
    define("message.timestamp.after.max.ms", "3600000", Kind::Integer(0)),
    define("message.timestamp.before.max.ms", LONGEST, Kind::Integer(0)),
    define("message.timestamp.type", "CreateTime", Kind::Word(&["CreateTime", "LogAppendTime"])),
    define("min.cleanable.dirty.ratio", "0.5", Kind::Double),
    define("min.compaction.lag.ms", "0", Kind::Integer(0)),
    define("min.insync.replicas", "1", Kind::Integer(1)),
    define("preallocate", "false", Kind::Boolean),
    define("remote.log.copy.disable", "false", Kind::Boolean),
    define("remote.log.delete.on.disable", "false", Kind::Boolean),
    define("remote.storage.enable", "false", Kind::Boolean),
    define("retention.bytes", "-1", Kind::Integer(-1)),
    define("retention.ms", "604800000", Kind::Integer(-1)),
    define("segment.bytes", "1073741824", Kind::Integer(1_048_576)),
    define("segment.index.bytes", "10485760", Kind::Integer(4)),
    define("segment.jitter.ms", "0", Kind::Integer(0)),
    define("segment.ms", "604800000", Kind::Integer(1)),
    define("unclean.leader.election.enable", "false", Kind::Boolean),
];

/// The settings of one topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct TopicSettings {
    set: BTreeMap<String, String>,
    log: LogSettings,
}

impl TopicSettings {
    /// Settings as given; the others have their defaults.
    ///
    /// # Errors
    ///
    /// A sentence about the first setting that is unknown or has a wrong value.
    pub(crate) fn new(set: BTreeMap<String, String>) -> Result<Self, String> {
        for (name, value) in &set {
            let definition =
                definition(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
            definition.check(value)?;
        }
        let mut settings = Self { set, log: LogSettings::default() };
        settings.log = settings.derive();
        Ok(settings)
    }

    /// What the logs of the topic go by.
    pub(crate) fn log(&self) -> &LogSettings {
        &self.log
    }

    /// The settings that are not left to their defaults.
    pub(crate) fn set(&self) -> &BTreeMap<String, String> {
        &self.set
    }

    /// The value of a setting; empty for an unknown name.
    pub(crate) fn get(&self, name: &str) -> &str {
        let default = definition(name).map_or("", |definition| definition.default);
        self.set.get(name).map_or(default, String::as_str)
    }

    /// A number, which `new` has checked.
    fn number(&self, name: &str) -> i64 {
        self.get(name).trim().parse().unwrap_or(i64::MAX)
    }

    fn derive(&self) -> LogSettings {
        let policies = |policy| self.get("cleanup.policy").split(',').any(|p| p.trim() == policy);
        LogSettings {
            max_message_bytes: self.number("max.message.bytes") as usize,
            log_append_time: self.get("message.timestamp.type") == "LogAppendTime",
            compact: policies("compact"),
            delete: policies("delete"),
            retention_ms: self.number("retention.ms"),
            retention_bytes: self.number("retention.bytes"),
            delete_retention_ms: self.number("delete.retention.ms"),
            min_compaction_lag_ms: self.number("min.compaction.lag.ms"),
            segment_bytes: self.number("segment.bytes") as u64,
            segment_ms: self.number("segment.ms"),
            min_cleanable_dirty_ratio: self
                .get("min.cleanable.dirty.ratio")
                .trim()
                .parse()
                .unwrap_or(0.5),
            timestamp_before_max_ms: self.number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: self.number("message.timestamp.after.max.ms"),
        }
    }
}

/// The setting with this name.
pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.name == name)
}

impl Definition {
    /// Is the value one this setting can have? If not, a sentence says why, in Kafka's words.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let wrong = |why: &str| {
            Err(format!("Invalid value {value} for configuration {}: {why}", self.name))
        };
        match self.kind {
            Kind::Text => Ok(()),
            Kind::Boolean => match value.to_lowercase().as_str() {
                "true" | "false" => Ok(()),
                _ => wrong("Expected value to be either true or false"),
            },
            Kind::Integer(least) => match value.trim().parse::<i64>() {
                Err(_) => wrong("Not a number of the right type"),
                Ok(number) if number < least => wrong(&format!("Value must be at least {least}")),
                Ok(_) => Ok(()),
            },
            Kind::Double => match value.trim().parse::<f64>() {
                Ok(number) if (0.0..=1.0).contains(&number) => Ok(()),
                _ => wrong("Value must be a number between 0 and 1"),
            },
            Kind::Word(words) if words.contains(&value) => Ok(()),
            Kind::Word(words) => wrong(&format!("String must be one of: {}", words.join(", "))),
            Kind::Words(words) => {
                let known = value.split(',').all(|word| words.contains(&word.trim()));
                if known { Ok(()) } else { wrong(&format!("It may hold: {}", words.join(", "))) }
            }
        }
    }
}
