//! How a grouping names and writes its repartition topic.

use std::fmt;

use oncestream_core::serde::{DynSerde, HasSerde};

/// Serdes and name of a grouping. A name by itself is one, with the serdes of the types.
///
/// The name becomes part of a repartition topic's name, if the grouping needs one; without a name the
/// topic takes that of the store behind it. All aggregations of a named grouping share its topic. The
/// node that `group_by` adds has the name too.
///
/// ```
/// use oncestream_operators::StreamsBuilder;
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<String, i64>("in")
///     .group_by(|_, v| v % 10)
///     .grouped("by-digit")
///     .count("digits");
/// let topology = builder.build().unwrap();
/// assert!(topology.internal_topics("app").contains("app-by-digit-repartition"));
/// ```
pub struct Grouped<K, V> {
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) name: Option<String>,
}

impl<K, V> Grouped<K, V> {
    /// The serdes of the types, and no name.
    pub fn new() -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self::serdes(K::serde(), V::serde())
    }

    /// A name, and the serdes of the types.
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

    /// These serdes, and no name.
    pub fn serdes(key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self { key_serde: key, value_serde: value, name: None }
    }
}

impl<K: HasSerde, V: HasSerde> Default for Grouped<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Into<String>, K: HasSerde, V: HasSerde> From<T> for Grouped<K, V> {
    fn from(name: T) -> Self {
        Self::named(name)
    }
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

impl<K, V> fmt::Debug for Grouped<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grouped").field("name", &self.name).finish_non_exhaustive()
    }
}
