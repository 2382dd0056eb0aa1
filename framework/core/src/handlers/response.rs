//! What a handler answers: go on or stop, and what to write to dead-letter topics.

use crate::record::{Headers, TimestampMs};

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandlerResult {
    /// Drop the record and go on.
    Resume,
    /// Stop with the error. Under exactly once the transaction is aborted, dead letters included.
    Fail,
}

/// The answer of a handler.
///
/// ```
/// use oncestream_core::handlers::{HandlerResponse, HandlerResult};
/// assert_eq!(HandlerResponse::resume().result, HandlerResult::Resume);
/// assert!(HandlerResponse::fail().dead_letters.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerResponse {
    /// Whether to go on.
    pub result: HandlerResult,
    /// Records to write, in this order, whatever the result.
    pub dead_letters: Vec<DeadLetter>,
}

impl HandlerResponse {
    /// Drop the record and go on.
    pub fn resume() -> Self {
        Self { result: HandlerResult::Resume, dead_letters: Vec::new() }
    }

    /// Stop with the error.
    pub fn fail() -> Self {
        Self { result: HandlerResult::Fail, dead_letters: Vec::new() }
    }

    /// The same answer with one more dead letter.
    #[must_use]
    pub fn with_dead_letter(mut self, letter: DeadLetter) -> Self {
        self.dead_letters.push(letter);
        self
    }
}

/// A record for a dead-letter topic, by its bytes. [`ErrorHandlerContext::dead_letter`] makes the usual one.
///
/// [`ErrorHandlerContext::dead_letter`]: super::ErrorHandlerContext::dead_letter
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The topic. It must exist: a dead letter that cannot be written is an error that no handler
    /// is asked about.
    pub topic: String,
    /// The partition; `None` leaves it to the default partitioner.
    pub partition: Option<i32>,
    /// The key's bytes; `None` is null.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is null.
    pub value: Option<Vec<u8>>,
    /// Event time; negative becomes 0, and one in the future becomes the present, since brokers
    /// refuse what lies too far ahead.
    pub timestamp: TimestampMs,
    /// Headers.
    pub headers: Headers,
}

impl DeadLetter {
    /// A record for `topic` without headers, of time 0. The other fields can be set.
    pub fn new(topic: impl Into<String>, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Self {
        let (partition, headers) = (None, Headers::default());
        Self { topic: topic.into(), partition, key, value, timestamp: 0, headers }
    }
}
