//! How `repartition` names and writes its topic.

use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::task::Partitioner;

/// Name, serdes, partition count and partitioner of a repartition topic.
///
/// ```
/// use oncestream_operators::{Repartitioned, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<String, i64>("in")
///     .repartition(Repartitioned::named("wide").partitions(12))
///     .to("out");
/// ```
pub struct Repartitioned<K, V> {
    pub(crate) name: String,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) partitions: Option<i32>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
}

impl<K, V> Repartitioned<K, V> {
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
        Self {
            name: name.into(),
            key_serde: key,
            value_serde: value,
            partitions: None,
            partitioner: None,
        }
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
        self.partitioner = Some(std::sync::Arc::new(choose));
        self
    }
}
