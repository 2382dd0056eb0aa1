//! What is compared: guarantees of delivery, with small and with large batches. Pure.

use std::fmt;
use std::time::Duration;

/// What a producer promises, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// A plain producer; the leader alone acknowledges.
    AcksOne,
    /// A plain producer; all replicas in sync acknowledge.
    AcksAll,
    /// An idempotent producer.
    Idempotent,
    /// A transactional producer that commits so often.
    Transactional {
        /// From the first record of a transaction to its commit.
        commit_interval: Duration,
    },
}

impl Delivery {
    /// Whether its records count only once they are committed.
    pub fn is_transactional(self) -> bool {
        matches!(self, Self::Transactional { .. })
    }

    /// The settings of its producer that make it what it is, under librdkafka's names.
    pub fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::AcksOne => &[("acks", "1"), ("enable.idempotence", "false")],
            Self::AcksAll => &[("acks", "all"), ("enable.idempotence", "false")],
            Self::Idempotent | Self::Transactional { .. } => {
                &[("acks", "all"), ("enable.idempotence", "true")]
            }
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcksOne => f.write_str("acks=1"),
            Self::AcksAll => f.write_str("acks=all"),
            Self::Idempotent => f.write_str("idempotent"),
            Self::Transactional { commit_interval } => {
                write!(f, "transactions of {} ms", commit_interval.as_millis())
            }
        }
    }
}

/// How a producer gathers records into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batches {
    /// Sent at once, 16 KiB at most: the defaults of Java's producer before Kafka 4.0.
    Small,
    /// Gathered for 10 ms or until there is 1 MB.
    Large,
}

impl Batches {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// The settings of the producer, under librdkafka's names.
    pub fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Small => &[("linger.ms", "0"), ("batch.size", "16384")],
            Self::Large => &[("linger.ms", "10"), ("batch.size", "1000000")],
        }
    }
}

impl fmt::Display for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Small => "small",
            Self::Large => "large",
        })
    }
}

/// One producer that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// What it promises.
    pub delivery: Delivery,
    /// How it gathers records.
    pub batches: Batches,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} batches", self.delivery, self.batches)
    }
}

/// What all producers have, under librdkafka's names. A user may set something else.
pub(super) const SHARED: &[(&str, &str)] = &[
    // An idempotent producer may have no more; without this the others would have any number.
    ("max.in.flight.requests.per.connection", "5"),
    // The first record after a commit mostly meets a coordinator that is not done with it. The
    // defaults wait up to a second then, and would be all that is measured.
    ("retry.backoff.ms", "2"),
    ("retry.backoff.max.ms", "10"),
    ("message.timeout.ms", "60000"),
];

/// Settings that are compared or that make the measurement, under all their names.
pub(super) const COMPARED: &[&str] = &[
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "transactional.id",
    "linger.ms",
    "queue.buffering.max.ms",
    "batch.size",
    "bootstrap.servers",
    "metadata.broker.list",
];
