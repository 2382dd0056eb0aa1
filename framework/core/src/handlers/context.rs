//! What a handler is told about the record in hand, and the dead letter made of it.

use std::error::Error;
use std::fmt::Write as _;

use super::DeadLetter;
use crate::TaskId;
use crate::record::{Headers, TimestampMs};

/// Header of a dead letter: the type of the error.
pub const HEADER_EXCEPTION: &str = "__streams.errors.exception";
/// Header of a dead letter: the error and its causes. A Rust error has no stack trace.
pub const HEADER_STACKTRACE: &str = "__streams.errors.stacktrace";
/// Header of a dead letter: the error's message.
pub const HEADER_MESSAGE: &str = "__streams.errors.message";
/// Header of a dead letter: the source topic; null where there is none.
pub const HEADER_TOPIC: &str = "__streams.errors.topic";
/// Header of a dead letter: the source partition in decimal, or -1.
pub const HEADER_PARTITION: &str = "__streams.errors.partition";
/// Header of a dead letter: the source offset in decimal, or -1.
pub const HEADER_OFFSET: &str = "__streams.errors.offset";

/// Where a record came from and where it failed.
///
/// In a punctuation, and for what a cache emits at a commit, there is no source record: the topic
/// and the bytes are `None`, partition and offset -1.
#[derive(Clone, Copy, Debug)]
pub struct ErrorHandlerContext<'a> {
    pub(crate) topic: Option<&'a str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: TimestampMs,
    pub(crate) headers: &'a Headers,
    pub(crate) processor_node_id: &'a str,
    pub(crate) task_id: TaskId,
    pub(crate) source_raw_key: Option<&'a [u8]>,
    pub(crate) source_raw_value: Option<&'a [u8]>,
    pub(crate) exception: &'static str,
}

impl<'a> ErrorHandlerContext<'a> {
    /// The source topic: of the sub-topology, so it may be a repartition topic.
    pub fn topic(&self) -> Option<&'a str> {
        self.topic
    }

    /// The source partition; -1 where there is none.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The source offset; -1 where there is none.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// The time of the record that reached the failing node, in milliseconds.
    pub fn timestamp(&self) -> TimestampMs {
        self.timestamp
    }

    /// The headers of the record that reached the failing node.
    pub fn headers(&self) -> &'a Headers {
        self.headers
    }

    /// The name of the failing node.
    pub fn processor_node_id(&self) -> &'a str {
        self.processor_node_id
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.task_id
    }

    /// The key of the source record as it came from the broker; `None` is null, or not known.
    ///
    /// Kafka Streams forgets both once the record has led to an output; here they stay.
    pub fn source_raw_key(&self) -> Option<&'a [u8]> {
        self.source_raw_key
    }

    /// The value of the source record as it came from the broker; `None` is null, or not known.
    pub fn source_raw_value(&self) -> Option<&'a [u8]> {
        self.source_raw_value
    }

    /// The dead letter of Kafka Streams (KIP-1034): the source's key and value, and the headers
    /// in hand with the `__streams.errors.*` headers behind them.
    ///
    /// ```
    /// use oncestream_core::handlers::{ErrorHandlerContext, HandlerResponse};
    /// let handler = |ctx: &ErrorHandlerContext<'_>, error: &(dyn std::error::Error + 'static)| {
    ///     HandlerResponse::resume().with_dead_letter(ctx.dead_letter("bad-orders", error))
    /// };
    /// # fn takes(_: impl oncestream_core::handlers::ProcessingExceptionHandler) {}
    /// # takes(handler);
    /// ```
    pub fn dead_letter(&self, topic: &str, error: &(dyn Error + 'static)) -> DeadLetter {
        let message = error.to_string();
        let mut trace = format!("{}: {message}", self.exception);
        let mut cause = error.source();
        while let Some(error) = cause {
            // Writing to a string cannot fail.
            let _ = write!(trace, "\nCaused by: {error}");
            cause = error.source();
        }
        let mut headers = self.headers.clone();
        let text = |text: String| Some(text.into_bytes());
        headers.add(HEADER_EXCEPTION, text(self.exception.to_owned()));
        headers.add(HEADER_MESSAGE, text(message));
        headers.add(HEADER_STACKTRACE, text(trace));
        headers.add(HEADER_TOPIC, self.topic.map(|t| t.as_bytes().to_vec()));
        headers.add(HEADER_PARTITION, text(self.partition.to_string()));
        headers.add(HEADER_OFFSET, text(self.offset.to_string()));
        DeadLetter {
            topic: topic.to_owned(),
            partition: None,
            key: self.source_raw_key.map(<[u8]>::to_vec),
            value: self.source_raw_value.map(<[u8]>::to_vec),
            timestamp: self.timestamp,
            headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Header;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);

    fn context<'a>(headers: &'a Headers, value: &'a [u8]) -> ErrorHandlerContext<'a> {
        ErrorHandlerContext {
            topic: Some("in"),
            partition: 2,
            offset: 7,
            timestamp: 5,
            headers,
            processor_node_id: "node",
            task_id: TaskId::new(0, 2),
            source_raw_key: None,
            source_raw_value: Some(value),
            exception: "Outer",
        }
    }

    #[test]
    fn a_dead_letter_has_the_source_bytes_and_appends_its_headers_in_kafka_streams_order() {
        let own = Header { key: "h".into(), value: Some(b"1".to_vec()) };
        let headers: Headers = [own].into_iter().collect();
        let letter = context(&headers, b"\xff").dead_letter("dlq", &Outer(std::fmt::Error));
        assert_eq!((letter.topic.as_str(), letter.partition, letter.timestamp), ("dlq", None, 5));
        assert_eq!((letter.key, letter.value), (None, Some(vec![0xff])));
        let cause = std::fmt::Error.to_string();
        let expected = [
            ("h", "1".to_owned()),
            (HEADER_EXCEPTION, "Outer".to_owned()),
            (HEADER_MESSAGE, "outer".to_owned()),
            (HEADER_STACKTRACE, format!("Outer: outer\nCaused by: {cause}")),
            (HEADER_TOPIC, "in".to_owned()),
            (HEADER_PARTITION, "2".to_owned()),
            (HEADER_OFFSET, "7".to_owned()),
        ];
        let expected: Headers = expected
            .map(|(key, value)| Header { key: key.into(), value: Some(value.into_bytes()) })
            .into_iter()
            .collect();
        assert_eq!(letter.headers, expected);
    }

    #[test]
    fn without_a_source_record_the_topic_header_is_null() {
        let headers = Headers::default();
        let no_source = ErrorHandlerContext { topic: None, ..context(&headers, b"") };
        let letter = no_source.dead_letter("dlq", &std::fmt::Error);
        let topic = letter.headers.iter().find(|h| h.key == HEADER_TOPIC);
        assert_eq!(topic.map(|h| h.value.clone()), Some(None));
    }
}
