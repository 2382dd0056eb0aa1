//! Where the bytes of a serde go to or come from: [`SerializeContext`] and [`DeserializeContext`].
//!
//! They borrow all they hold, so making one costs nothing. They know no serde.
//!
//! Invariant: a store has no headers, because its rows and its changelog have none. There a serializer
//! is offered none to add to, so that nothing is written where nobody will read it.

use super::Part;
use crate::record::Headers;

static NO_HEADERS: Headers = Headers::new();

/// Where a value is written to.
///
/// | place | `topic` | `headers` |
/// |---|---|---|
/// | a sink, a repartition topic | the topic, by its name on the broker | the record's; what is added is sent with the record |
/// | a store | its changelog, also if it keeps none: `<application.id>-<store>-changelog` | none |
/// | a call of [`Serde::serialize`](super::Serde::serialize) | empty | none |
///
/// The topics are those that Kafka Streams gives to its serializers. A store differs in one point:
/// Kafka Streams gives it the headers of whichever record is in hand, and keeps none of them.
#[derive(Debug)]
pub struct SerializeContext<'a> {
    topic: &'a str,
    part: Part,
    headers: Option<&'a mut Headers>,
}

impl<'a> SerializeContext<'a> {
    /// A key or a value of a topic, without headers.
    pub const fn new(topic: &'a str, part: Part) -> Self {
        Self { topic, part, headers: None }
    }

    /// No topic and no headers: what [`Serde::serialize`](super::Serde::serialize) stands for.
    pub const fn nowhere() -> Self {
        Self::new("", Part::Value)
    }

    /// With the headers of the record.
    #[must_use]
    pub fn with_headers(mut self, headers: &'a mut Headers) -> Self {
        self.headers = Some(headers);
        self
    }

    /// The topic's name on the broker.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// Whether it is the key or the value. It prints as `key` and `value`.
    pub fn part(&self) -> Part {
        self.part
    }

    /// The headers that the record has so far.
    pub fn headers(&self) -> &Headers {
        self.headers.as_deref().unwrap_or(&NO_HEADERS)
    }

    /// The record's headers, to add to; `None` in a store, where the bytes must say all by themselves.
    ///
    /// What is added goes to this topic alone. Other branches of the topology do not see it.
    pub fn headers_mut(&mut self) -> Option<&mut Headers> {
        self.headers.as_deref_mut()
    }
}

/// Where a value was read from.
///
/// | place | `topic` | `headers` |
/// |---|---|---|
/// | a source, a repartition topic | the topic that the record came from, also of a pattern | the record's |
/// | a store | its changelog, also if it keeps none: `<application.id>-<store>-changelog` | none |
/// | a call of [`Serde::deserialize`](super::Serde::deserialize) | empty | none |
#[derive(Clone, Copy, Debug)]
pub struct DeserializeContext<'a> {
    topic: &'a str,
    part: Part,
    headers: &'a Headers,
}

impl<'a> DeserializeContext<'a> {
    /// A key or a value of a topic, without headers.
    pub const fn new(topic: &'a str, part: Part) -> Self {
        Self { topic, part, headers: &NO_HEADERS }
    }

    /// No topic and no headers: what [`Serde::deserialize`](super::Serde::deserialize) stands for.
    pub const fn nowhere() -> Self {
        Self::new("", Part::Value)
    }

    /// With the headers of the record.
    #[must_use]
    pub const fn with_headers(mut self, headers: &'a Headers) -> Self {
        self.headers = headers;
        self
    }

    /// The topic's name on the broker.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// Whether it is the key or the value. It prints as `key` and `value`.
    pub fn part(&self) -> Part {
        self.part
    }

    /// The record's headers; none in a store.
    pub fn headers(&self) -> &'a Headers {
        self.headers
    }
}
