//! How a grouping names and writes its repartition topic.

use oncestream_core::serde::{DynSerde, HasSerde};

/// Serdes and name of a grouping. The name becomes part of a repartition topic's name, if the
/// grouping needs one; without a name the topic takes that of the store behind it.
///
/// ```
/// use oncestream_operators::{Grouped, Materialized, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<String, i64>("in")
///     .group_by_with(|_, v| v % 10, Grouped::named("by-digit"))
///     .count(Materialized::named("digits"));
/// ```
pub struct Grouped<K, V> {
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) name: Option<String>,
}

impl<K, V> Clone for Grouped<K, V> {
    fn clone(&self) -> Self {
        Self {
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            name: self.name.clone(),
        }
    }
}

impl<K, V> Grouped<K, V> {
    /// The serdes of the types.
    pub fn new() -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self::with(K::serde(), V::serde())
    }

    /// The serdes of the types, and a name.
    pub fn named(name: impl Into<String>) -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self { name: Some(name.into()), ..Self::new() }
    }

    /// These serdes.
    pub fn with(key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self { key_serde: key, value_serde: value, name: None }
    }

    /// Sets the name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl<K: HasSerde, V: HasSerde> Default for Grouped<K, V> {
    fn default() -> Self {
        Self::new()
    }
}
