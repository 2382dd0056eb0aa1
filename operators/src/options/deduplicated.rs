//! How long and for which keys `deduplicate` remembers an id, and where.

use std::fmt;
use std::time::Duration;

use oncestream_core::serde::{DynSerde, HasSerde};

/// Window, serdes and store of a [`deduplicate`](crate::KStream::deduplicate). A [`Duration`] by itself is
/// one: the window, with the serdes of the types.
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{Deduplicated, StreamsBuilder};
/// let hour = Duration::from_secs(3600);
/// let builder = StreamsBuilder::new();
/// let payments = builder.stream::<String, i64>("payments");
/// payments.deduplicate(hour, |_, amount| *amount).to("once-per-key");
/// let once = Deduplicated::new(hour).across_keys().store_name("amounts-seen");
/// payments.deduplicate(once, |_, amount| *amount).to("once-per-partition");
/// assert!(builder.build().unwrap().store_names().contains("amounts-seen"));
/// ```
pub struct Deduplicated<K, V, Id> {
    pub(crate) window: Duration,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) id_serde: DynSerde<Id>,
    pub(crate) store_name: Option<String>,
    pub(crate) across_keys: bool,
}

impl<K, V, Id> Deduplicated<K, V, Id> {
    /// A window, from a millisecond on, and the serdes of the types. With [`Duration::MAX`] an id is
    /// remembered for ever, and no record is late.
    pub fn new(window: Duration) -> Self
    where
        K: HasSerde,
        V: HasSerde,
        Id: HasSerde,
    {
        Self::serdes(window, K::serde(), V::serde(), Id::serde())
    }

    /// A window, and these serdes. That of the values is for a repartition topic, if there is to be one.
    pub fn serdes(
        window: Duration,
        key: DynSerde<K>,
        value: DynSerde<V>,
        id: DynSerde<Id>,
    ) -> Self {
        Self {
            window,
            key_serde: key,
            value_serde: value,
            id_serde: id,
            store_name: None,
            across_keys: false,
        }
    }

    /// Compares ids whatever the keys of their records are, and not only those of one key: within a
    /// partition, because each partition has a store of its own. Records with equal ids and different keys
    /// may lie in different partitions; to compare those too, make the id the key before.
    #[must_use]
    pub fn across_keys(mut self) -> Self {
        self.across_keys = true;
        self
    }

    /// The name of the store, which its changelog and a repartition topic have too. Without it the store is
    /// called `<name>-store` after the name of the operator, or has a generated name.
    #[must_use]
    pub fn store_name(mut self, name: impl Into<String>) -> Self {
        self.store_name = Some(name.into());
        self
    }
}

impl<K: HasSerde, V: HasSerde, Id: HasSerde> From<Duration> for Deduplicated<K, V, Id> {
    fn from(window: Duration) -> Self {
        Self::new(window)
    }
}

impl<K, V, Id> Clone for Deduplicated<K, V, Id> {
    fn clone(&self) -> Self {
        Self {
            window: self.window,
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            id_serde: self.id_serde.clone(),
            store_name: self.store_name.clone(),
            across_keys: self.across_keys,
        }
    }
}

impl<K, V, Id> fmt::Debug for Deduplicated<K, V, Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deduplicated")
            .field("window", &self.window)
            .field("store_name", &self.store_name)
            .field("across_keys", &self.across_keys)
            .finish_non_exhaustive()
    }
}
