//! The errors of this client.
//!
//! Invariant: each error names the broker and the request, or the thing that was asked for; none has
//! a password in it.

use std::time::Duration;

use kafka_protocol::error::ResponseError;

use crate::config::ConfigError;

/// Why something was not found out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// None of the brokers that were named answers.
    #[error("no broker can be reached: {}", .attempts.join("; "))]
    Unreachable {
        /// What became of each.
        attempts: Vec<String>,
    },
    /// A connection could not be made.
    #[error("{broker}: cannot connect: {source}")]
    Connect {
        /// Its address.
        broker: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// TLS could not be agreed on.
    #[error("{broker}: the TLS handshake failed: {reason}")]
    Tls {
        /// Its address.
        broker: String,
        /// What is wrong.
        reason: String,
    },
    /// The broker does not let the user in.
    #[error("{broker}: cannot log in with {mechanism}: {reason}")]
    Login {
        /// Its address.
        broker: String,
        /// The SASL mechanism.
        mechanism: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No answer came in time.
    #[error("{broker} did not answer {request} within {} ms", .within.as_millis())]
    TimedOut {
        /// Its address.
        broker: String,
        /// What was asked.
        request: &'static str,
        /// How long was waited.
        within: Duration,
    },
    /// The connection ended in the place of an answer.
    #[error(
        "{broker} closed the connection instead of answering {request} ({reason}); if it does so each \
         time, check that `security.protocol` fits the port"
    )]
    Closed {
        /// Its address.
        broker: String,
        /// What was asked.
        request: &'static str,
        /// What the system says.
        reason: String,
    },
    /// What came is no answer of Kafka.
    #[error(
        "{broker} answered {request} with something that is not Kafka's protocol: {reason}; check the \
         port, and that `security.protocol` fits it"
    )]
    NotKafka {
        /// Its address.
        broker: String,
        /// What was asked.
        request: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The broker is too old, or too new.
    #[error("{broker} does not answer {request} {reason}")]
    Unsupported {
        /// Its address.
        broker: String,
        /// What was to be asked.
        request: &'static str,
        /// Which versions there are.
        reason: String,
    },
    /// The broker answers with an error.
    #[error("{broker} answered {request} with the error {error}")]
    Refused {
        /// Its address.
        broker: String,
        /// What was asked.
        request: &'static str,
        /// Kafka's name of the error.
        error: String,
    },
    /// The user may not.
    #[error("the user lacks the right {right} on {resource}; grant it")]
    NotAuthorized {
        /// A topic, a transactional id.
        resource: String,
        /// Kafka's name of the right.
        right: &'static str,
    },
    /// There is no such topic.
    #[error("there is no topic `{topic}`, or the user lacks the right Describe on it")]
    NoSuchTopic {
        /// Its name.
        topic: String,
    },
    /// There is no such partition.
    #[error("topic `{topic}` has no partition {partition}; it has {count}, counted from 0")]
    NoSuchPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How many there are.
        count: usize,
    },
    /// There is no such transactional id.
    #[error(
        "no coordinator knows the transactional id `{transactional_id}`, or the user lacks the right \
         Describe on it"
    )]
    NoSuchTransactionalId {
        /// The id.
        transactional_id: String,
    },
}

/// Kafka's name for an error code.
pub(crate) fn name_of(code: i16) -> String {
    ResponseError::try_from_code(code).map_or_else(|| "no error".to_owned(), |e| e.to_string())
}

/// Whether the same question may have another answer soon: leaders and coordinators move.
pub(crate) fn is_passing(code: i16) -> bool {
    ResponseError::try_from_code(code).is_some_and(|error| error.is_retriable())
}
