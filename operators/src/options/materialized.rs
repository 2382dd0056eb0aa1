//! The store behind a table or an aggregation.

use oncestream_core::graph::ChangelogConfig;
use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::state::KeyValue;

/// Name, kind, serdes, caching and changelog of a store.
///
/// A store always has a name of yours: its changelog topic is
/// `<application.id>-<name>-changelog`, and a generated name would change with the topology.
///
/// A value that is null to the value serde
/// ([`Serde::is_null`](oncestream_core::serde::Serde::is_null)), as `None` is, deletes its key.
///
/// ```
/// use oncestream_operators::{Materialized, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let counts = Materialized::named("counts").topic_setting("segment.ms", "600000");
/// builder.stream::<String, i64>("in").group_by_key().count(counts);
/// ```
pub struct Materialized<K, V, Kd = KeyValue> {
    pub(crate) kind: Kd,
    pub(crate) name: String,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    /// The serdes are those of the types.
    pub(crate) by_type: bool,
    pub(crate) caching: bool,
    pub(crate) changelog: Option<ChangelogConfig>,
}

/// A store for [`StreamsBuilder::add_state_store`](crate::StreamsBuilder::add_state_store): the
/// same options, of which caching means nothing there.
pub type KeyValueStoreBuilder<K, V> = Materialized<K, V>;

impl<K, V> Materialized<K, V> {
    /// A name, and the serdes of the types.
    pub fn named(name: impl Into<String>) -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self { by_type: true, ..Self::with(name, K::serde(), V::serde()) }
    }

    /// A name, and these serdes.
    pub fn with(name: impl Into<String>, key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self::of_kind(name, KeyValue, key, value)
    }
}

impl<K, V, Kd> Materialized<K, V, Kd> {
    /// A store of another kind, with these serdes, for
    /// [`StreamsBuilder::add_state_store`](crate::StreamsBuilder::add_state_store).
    ///
    /// The changelog of any kind is compacted, and keeps the last record of each row for ever. What
    /// a window store has expired may be deleted from its changelog by age, with the topic settings
    /// `cleanup.policy=compact,delete` and a `retention.ms` above the store's own retention; by the
    /// clock of the brokers, so not where old records are read again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_core::serde::HasSerde;
    /// use oncestream_core::state::Window;
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let an_hour = Window::new(Duration::from_secs(3600));
    /// let seen = Materialized::of_kind("seen", an_hour, String::serde(), i64::serde());
    /// builder.add_state_store(seen);
    /// ```
    pub fn of_kind(
        name: impl Into<String>,
        kind: Kd,
        key: DynSerde<K>,
        value: DynSerde<V>,
    ) -> Self {
        Self {
            kind,
            name: name.into(),
            key_serde: key,
            value_serde: value,
            by_type: false,
            caching: true,
            changelog: Some(ChangelogConfig::default()),
        }
    }

    /// Forwards every update at once, instead of one per key and commit.
    #[must_use]
    pub fn caching_disabled(mut self) -> Self {
        self.caching = false;
        self
    }

    /// Keeps no changelog. The store is then on the disk of one instance alone, and is lost with it.
    /// An instance that is assigned the partition begins with what its own disk has: nothing, or what
    /// it had when the partition was last its own. Exactly once does not hold for it: a crash between
    /// the commit and its writing to the disk loses that commit's updates. At least once, it is written
    /// before the offsets are committed: it never lacks what they say is done, and may have more.
    #[must_use]
    pub fn logging_disabled(mut self) -> Self {
        self.changelog = None;
        self
    }

    /// A setting of the changelog topic, by Kafka's name.
    #[must_use]
    pub fn topic_setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        if let Some(config) = &mut self.changelog {
            config.topic_settings.insert(key.into(), value.into());
        }
        self
    }
}
