//! How a source reads its topics.

use std::sync::Arc;

use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::task::SourceConfig;
use oncestream_core::{Record, TimestampMs};

use super::Named;
use crate::sources::ExtractorIdentity;

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
    /// The key's serde is the one of its type.
    pub(crate) key_by_type: bool,
    /// The value's serde is the one of its type.
    pub(crate) value_by_type: bool,
    pub(crate) extractor: Option<ExtractorIdentity>,
    pub(crate) name: Option<Named>,
}

impl<K, V> Consumed<K, V> {
    /// The serdes of the types.
    pub fn new() -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self { key_by_type: true, value_by_type: true, ..Self::with(K::serde(), V::serde()) }
    }

    /// These serdes.
    ///
    /// A topic that is read twice is read once for both, if both read it alike. Serdes are alike if
    /// they are those of the types, or of one Rust type that has no fields, or one and the same
    /// `Arc`; see [`Serde::identity`](oncestream_core::serde::Serde::identity).
    pub fn with(key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self {
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

impl<K: HasSerde, V: HasSerde> Default for Consumed<K, V> {
    fn default() -> Self {
        Self::new()
    }
}
