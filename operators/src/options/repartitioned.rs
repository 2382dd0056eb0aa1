//! How `repartition` names and writes its topic.

use std::fmt;
use std::sync::Arc;

use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::task::Partitioner;

/// Name, serdes, partition count and partitioner of a repartition topic. A name by itself is one,
/// with the serdes of the types.
///
/// ```
/// use oncestream_operators::{Repartitioned, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let stream = builder.stream::<String, i64>("in");
/// stream.repartition("again").to("out");
/// stream.repartition(Repartitioned::named("wide").partitions(12)).to("out");
/// assert!(builder.build().is_ok());
/// ```
pub struct Repartitioned<K, V> {
    pub(crate) name: Option<String>,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) partitions: Option<i32>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
}

impl<K, V> Repartitioned<K, V> {
    /// The serdes of the types, and a generated name.
    pub fn new() -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self::serdes(K::serde(), V::serde())
    }

    /// A name, and the serdes of the types. The name is part of the topic's name.
    pub fn named(name: impl Into<String>) -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self::with(name, K::serde(), V::serde())
    }

    /// A name, and these serdes.
    pub fn with(name: impl Into<String>, key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self { name: Some(name.into()), ..Self::serdes(key, value) }
    }

    /// These serdes, and a generated name.
    pub fn serdes(key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self { name: None, key_serde: key, value_serde: value, partitions: None, partitioner: None }
    }

    /// The number of partitions, 1 or more; without it, the largest number of a topic upstream.
    #[must_use]
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Picks the partition from key, value and the number of partitions, as
    /// [`Produced::partitioner`](crate::Produced::partitioner) does.
    #[must_use]
    pub fn partitioner(
        mut self,
        choose: impl Fn(&K, &V, i32) -> Option<i32> + Send + Sync + 'static,
    ) -> Self {
        self.partitioner = Some(Arc::new(choose));
        self
    }
}

impl<K: HasSerde, V: HasSerde> Default for Repartitioned<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Into<String>, K: HasSerde, V: HasSerde> From<T> for Repartitioned<K, V> {
    fn from(name: T) -> Self {
        Self::named(name)
    }
}

impl<K, V> Clone for Repartitioned<K, V> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            partitions: self.partitions,
            partitioner: self.partitioner.clone(),
        }
    }
}

impl<K, V> fmt::Debug for Repartitioned<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repartitioned")
            .field("name", &self.name)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}
