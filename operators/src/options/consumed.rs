//! How a source reads its topics.

use std::sync::Arc;

use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::task::SourceConfig;
use oncestream_core::{Record, TimestampMs};

use super::Named;

/// Serdes, name and timestamp extractor of a source.
///
/// ```
/// use oncestream_operators::{Consumed, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let by_value = Consumed::<String, i64>::new().timestamp_extractor(|record, _| record.value);
/// builder.stream_with("readings", by_value).to("out");
/// ```
pub struct Consumed<K, V> {
    pub(crate) config: SourceConfig<K, V>,
    pub(crate) name: Option<Named>,
}

impl<K, V> Consumed<K, V> {
    /// The serdes of the types.
    pub fn new() -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self::with(K::serde(), V::serde())
    }

    /// These serdes.
    pub fn with(key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self {
            config: SourceConfig { key_serde: key, value_serde: value, timestamp_extractor: None },
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
    #[must_use]
    pub fn timestamp_extractor(
        mut self,
        extract: impl Fn(&Record<K, V>, TimestampMs) -> TimestampMs + Send + Sync + 'static,
    ) -> Self {
        self.config.timestamp_extractor = Some(Arc::new(extract));
        self
    }
}

impl<K: HasSerde, V: HasSerde> Default for Consumed<K, V> {
    fn default() -> Self {
        Self::new()
    }
}
