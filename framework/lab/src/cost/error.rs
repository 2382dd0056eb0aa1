//! Why the cost could not be measured.

use rdkafka::error::KafkaError;

use super::Variant;

/// Why a measurement gave no figure. What a client said is part of the text, and no source beside it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CostError {
    /// The plan asks for what cannot be measured.
    #[error("{what}: {reason}")]
    Plan {
        /// What part of the plan.
        what: &'static str,
        /// Why it cannot be.
        reason: String,
    },
    /// A client setting that the measurement itself changes from one producer to the next.
    #[error(
        "{key} cannot be set for all producers, because the measurement compares its values; leave it out"
    )]
    Compared {
        /// The setting.
        key: String,
    },
    /// No broker answered.
    #[error(
        "no broker at {servers} answered within {seconds} s ({reason}); check the address, and that Kafka runs there"
    )]
    Unreachable {
        /// The bootstrap servers.
        servers: String,
        /// For so long was tried.
        seconds: u64,
        /// What the client said last.
        reason: String,
    },
    /// A client could not be made, or failed.
    #[error("{what} failed: {error}")]
    Client {
        /// What was done.
        what: String,
        /// The client's error.
        error: Box<KafkaError>,
    },
    /// A record was not acknowledged.
    #[error("{variant}: the brokers did not acknowledge a record to {topic}: {error}")]
    Unacknowledged {
        /// The producer.
        variant: Variant,
        /// The topic.
        topic: String,
        /// What became of the record.
        error: Box<KafkaError>,
    },
    /// The topic does not hold what was acknowledged, once each.
    #[error(
        "{variant}: the brokers acknowledged {acknowledged} of {sent} records, but a reader of committed \
         records found {lost} missing and {doubled} more than once in {topic}; do not use this measurement"
    )]
    Miscounted {
        /// The producer.
        variant: Variant,
        /// The topic.
        topic: String,
        /// Records that were sent.
        sent: u64,
        /// Records that the producer was told of as stored.
        acknowledged: u64,
        /// Records that are not in the topic.
        lost: u64,
        /// Copies that are too many.
        doubled: u64,
    },
    /// Something did not happen in its time.
    #[error("{what}: this did not happen within {seconds} s")]
    Late {
        /// What was waited for.
        what: String,
        /// For so long.
        seconds: u64,
    },
    /// A topic of the measurement could not be deleted.
    #[error("{outcome}; topic {topic} could not be deleted ({error}); delete it by hand")]
    Left {
        /// The topic that is still there.
        topic: String,
        /// How the measurement itself ended.
        outcome: String,
        /// Why it could not be deleted.
        error: Box<CostError>,
    },
    /// The measurement was told to stop.
    #[error("stopped; nothing of the measurement is left on the brokers")]
    Stopped,
}

pub(super) fn failed(what: impl Into<String>) -> impl FnOnce(KafkaError) -> CostError {
    let what = what.into();
    move |error| CostError::Client { what, error: Box::new(error) }
}
