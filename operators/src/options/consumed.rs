//! How a source reads its topics.

use std::fmt;
use std::sync::Arc;

use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::task::SourceConfig;
use oncestream_core::{Record, TimestampMs};

use super::{Named, Topics};
use crate::sources::ExtractorIdentity;

/// Topics, serdes, name and timestamp extractor of a source. The name of a topic, or what else makes
/// [`Topics`], is one by itself, with the serdes of the types.
///
/// ```
/// use oncestream_operators::{Consumed, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let by_value = Consumed::<String, i64>::new("readings")
///     .named("readings-in")
///     .timestamp_extractor(|record, _| record.value);
/// builder.stream(by_value).to("out");
/// builder.stream::<String, i64>(Consumed::new(["north", "south"]).named("both")).to("out");
/// assert!(builder.build().is_ok());
/// ```
pub struct Consumed<K, V> {
    pub(crate) topics: Topics,
    pub(crate) config: SourceConfig<K, V>,
    /// The key's serde is the one of its type.
    pub(crate) key_by_type: bool,
    /// The value's serde is the one of its type.
    pub(crate) value_by_type: bool,
    pub(crate) extractor: Option<ExtractorIdentity>,
    pub(crate) name: Option<Named>,
}

impl<K, V> Consumed<K, V> {
    /// These topics, with the serdes of the types.
    pub fn new(topics: impl Into<Topics>) -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        let these = Self::with(topics, K::serde(), V::serde());
        Self { key_by_type: true, value_by_type: true, ..these }
    }

    /// These topics, with these serdes.
    ///
    /// A topic that is read twice is read once for both, if both read it alike. Serdes are alike if
    /// they are those of the types, or of one Rust type that has no fields, or one and the same
    /// `Arc`; see [`Serde::identity`](oncestream_core::serde::Serde::identity).
    pub fn with(topics: impl Into<Topics>, key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self {
            topics: topics.into(),
            config: SourceConfig {
                key_serde: key,
                value_serde: value,
                timestamp_extractor: None,
                drop_null_keys: false,
            },
            key_by_type: false,
            value_by_type: false,
            extractor: None,
            name: None,
        }
    }

    /// Names the source.
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Reads event time, in milliseconds, from the record. The second argument is the largest
    /// time seen on the partition. A negative result drops the record.
    ///
    /// A [`table`](crate::StreamsBuilder::table) does not ask it about records with a null value,
    /// which keep the time they came with: where that matters, read the topic as a stream on
    /// `Option<V>` and call [`to_table`](crate::KStream::to_table).
    ///
    /// Where a topic is read twice, both must name the same function, or the same closure that
    /// captures nothing.
    #[must_use]
    pub fn timestamp_extractor<F>(mut self, extract: F) -> Self
    where
        F: Fn(&Record<K, V>, TimestampMs) -> TimestampMs + Send + Sync + 'static,
    {
        self.extractor = Some(ExtractorIdentity::of::<F>());
        self.config.timestamp_extractor = Some(Arc::new(extract));
        self
    }
}

impl<T: Into<Topics>, K: HasSerde, V: HasSerde> From<T> for Consumed<K, V> {
    fn from(topics: T) -> Self {
        Self::new(topics)
    }
}

impl<K, V> Clone for Consumed<K, V> {
    fn clone(&self) -> Self {
        Self {
            topics: self.topics.clone(),
            config: self.config.clone(),
            key_by_type: self.key_by_type,
            value_by_type: self.value_by_type,
            extractor: self.extractor,
            name: self.name.clone(),
        }
    }
}

impl<K, V> fmt::Debug for Consumed<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumed")
            .field("topics", &self.topics)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
