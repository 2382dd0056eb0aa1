//! How a join of two streams is named, written and kept.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use oncestream_core::graph::ChangelogConfig;
use oncestream_core::serde::{DynSerde, HasSerde};

use crate::windows::JoinWindows;

/// Windows, serdes, names and stores of a join of two streams. [`JoinWindows`] by themselves are one, with
/// the serdes of the types.
///
/// - Each stream has a store, which keeps its records as long as a window and its grace. A left or outer
///   join has a third one, of the records that were joined with none so far.
/// - A [name](Self::name) is that of the join's nodes. It begins those of repartition topics too, if the
///   join needs some: `<name>-left` and `<name>-right`.
/// - The stores have generated names without a [`store_name`](Self::store_name), whatever the join's own
///   name, as in Kafka Streams.
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{JoinWindows, StreamJoined, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let orders = builder.stream::<String, String>("orders");
/// let payments = builder.stream::<String, i64>("payments");
/// let an_hour = JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(3600));
/// let paid = StreamJoined::new(an_hour).name("paid").store_name("payable");
/// orders.join(&payments, paid, |order, amount| format!("{order}: {amount}")).to("paid-orders");
/// let topology = builder.build().unwrap();
/// assert!(topology.store_names().contains("payable-this-join-store"));
/// ```
pub struct StreamJoined<K, V, V2> {
    pub(crate) windows: JoinWindows,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) other_value_serde: DynSerde<V2>,
    pub(crate) name: Option<String>,
    pub(crate) store_name: Option<String>,
    pub(crate) look_every: Duration,
    /// Of the changelogs; `None` where there are none.
    pub(crate) topic_settings: Option<BTreeMap<String, String>>,
}

impl<K, V, V2> StreamJoined<K, V, V2> {
    /// These windows, the serdes of the types, and generated names.
    pub fn new(windows: JoinWindows) -> Self
    where
        K: HasSerde,
        V: HasSerde,
        V2: HasSerde,
    {
        Self::serdes(windows, K::serde(), V::serde(), V2::serde())
    }

    /// These windows, the serdes of the key and of the values of both streams, and generated names.
    pub fn serdes(
        windows: JoinWindows,
        key: DynSerde<K>,
        value: DynSerde<V>,
        other_value: DynSerde<V2>,
    ) -> Self {
        Self {
            windows,
            key_serde: key,
            value_serde: value,
            other_value_serde: other_value,
            name: None,
            store_name: None,
            look_every: Duration::ZERO,
            topic_settings: Some(BTreeMap::new()),
        }
    }

    /// Another serde of the keys.
    #[must_use]
    pub fn key_serde(self, serde: DynSerde<K>) -> Self {
        Self { key_serde: serde, ..self }
    }

    /// Another serde of the values of the stream that is joined.
    #[must_use]
    pub fn value_serde(self, serde: DynSerde<V>) -> Self {
        Self { value_serde: serde, ..self }
    }

    /// Another serde of the values of the stream that it is joined with.
    #[must_use]
    pub fn other_value_serde(self, serde: DynSerde<V2>) -> Self {
        Self { other_value_serde: serde, ..self }
    }

    /// The name of the join.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The beginning of the names of its stores, and so of their changelogs.
    #[must_use]
    pub fn store_name(self, name: impl Into<String>) -> Self {
        Self { store_name: Some(name.into()), ..self }
    }

    /// A setting of the changelog topics, by Kafka's name.
    ///
    /// The changelogs of the two streams are not compacted, whatever is set: their records are all of
    /// different keys.
    #[must_use]
    pub fn topic_setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        if let Some(settings) = &mut self.topic_settings {
            settings.insert(key.into(), value.into());
        }
        self
    }

    /// Keeps no changelogs: see
    /// [`Materialized::logging_disabled`](crate::Materialized::logging_disabled).
    #[must_use]
    pub fn logging_disabled(self) -> Self {
        Self { topic_settings: None, ..self }
    }

    /// Looks for records that were joined with none, and whose window has closed, at most once in this time
    /// of the wall clock. The default is to look with each record that moves time on; Kafka Streams looks
    /// once a second. It changes nothing for an inner join.
    #[must_use]
    pub fn look_at_most_every(self, interval: Duration) -> Self {
        Self { look_every: interval, ..self }
    }

    /// The same for a join of the stream with itself.
    pub(crate) fn of_one(&self) -> StreamJoined<K, V, V> {
        StreamJoined {
            windows: self.windows,
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            other_value_serde: self.value_serde.clone(),
            name: self.name.clone(),
            store_name: self.store_name.clone(),
            look_every: self.look_every,
            topic_settings: self.topic_settings.clone(),
        }
    }

    /// The changelog of a store that keeps the records of a stream.
    pub(crate) fn changelog_of_stream(&self) -> Option<ChangelogConfig> {
        let mut topic_settings = self.topic_settings.clone()?;
        // Compaction would find nothing: each record has a key of its own.
        topic_settings.insert("cleanup.policy".to_owned(), "delete".to_owned());
        Some(ChangelogConfig { topic_settings, retention_ms: Some(self.windows.retention_ms()) })
    }

    /// The changelog of the store of what was joined with none.
    pub(crate) fn changelog_of_waiting(&self) -> Option<ChangelogConfig> {
        let topic_settings = self.topic_settings.clone()?;
        Some(ChangelogConfig { topic_settings, retention_ms: None })
    }
}

impl<K: HasSerde, V: HasSerde, V2: HasSerde> From<JoinWindows> for StreamJoined<K, V, V2> {
    fn from(windows: JoinWindows) -> Self {
        Self::new(windows)
    }
}

impl<K, V, V2> Clone for StreamJoined<K, V, V2> {
    fn clone(&self) -> Self {
        Self {
            windows: self.windows,
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            other_value_serde: self.other_value_serde.clone(),
            name: self.name.clone(),
            store_name: self.store_name.clone(),
            look_every: self.look_every,
            topic_settings: self.topic_settings.clone(),
        }
    }
}

impl<K, V, V2> fmt::Debug for StreamJoined<K, V, V2> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamJoined")
            .field("windows", &self.windows)
            .field("name", &self.name)
            .field("store_name", &self.store_name)
            .finish_non_exhaustive()
    }
}
