//! How a sink writes.

use std::sync::Arc;

use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::task::Partitioner;

use super::Named;

/// Serdes, name and partitioner of a sink.
///
/// ```
/// use oncestream_operators::{Produced, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let evenly = Produced::new().partitioner(|_key, value: &i64, n| Some((*value as i32).rem_euclid(n)));
/// builder.stream::<String, i64>("in").to_with("out", evenly);
/// ```
pub struct Produced<K, V> {
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
    pub(crate) name: Option<Named>,
}

impl<K, V> Produced<K, V> {
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
        Self { key_serde: key, value_serde: value, partitioner: None, name: None }
    }

    /// Names the sink.
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Picks the partition from key, value and the topic's number of partitions. `None` takes
    /// the default: murmur2 of the key, as Java producers do. Any other answer than 0 to the number,
    /// without it, is the record's fault: the production handler is asked
    /// ([`Unproducible::Partition`](oncestream_core::error::Unproducible::Partition)).
    #[must_use]
    pub fn partitioner(
        mut self,
        choose: impl Fn(&K, &V, i32) -> Option<i32> + Send + Sync + 'static,
    ) -> Self {
        self.partitioner = Some(Arc::new(choose));
        self
    }
}

impl<K: HasSerde, V: HasSerde> Default for Produced<K, V> {
    fn default() -> Self {
        Self::new()
    }
}
