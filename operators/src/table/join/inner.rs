//! `join` of a table with a table.

use super::Needs;
use crate::dsl::{Data, StoreKey};
use crate::table::KTable;

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Joins the values of each key that both tables have: `joiner(&value, &other)`.
    ///
    /// A change of either table changes the result, and a key that one of them loses is deleted. The
    /// result has the later time of both values. A table that is a topic gets a store by being joined;
    /// the result has none unless it is [materialized](Self::materialized), and is then computed anew
    /// when another operator reads it. `joiner` must give the same for the same values.
    ///
    /// The topics of both tables must have equal numbers of partitions; a start fails otherwise
    /// ([`TopologyError::NotCopartitioned`](oncestream_core::error::TopologyError::NotCopartitioned)). Under
    /// exactly once a crash changes no result.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<i64, String>("names");
    /// let cities = builder.table::<i64, String>("cities");
    /// names.join(&cities, |name, city| format!("{name} of {city}")).to_stream().to("people");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn join<V2: Data, R: Data, F>(&self, other: &KTable<K, V2>, joiner: F) -> KTable<K, R>
    where
        F: Fn(&V, &V2) -> R + Send + Sync + 'static,
    {
        self.join_with_key(other, move |_, value, other| joiner(value, other))
    }

    /// [`Self::join`] where the joiner sees the key too: `joiner(&key, &value, &other)`.
    pub fn join_with_key<V2: Data, R: Data, F>(
        &self,
        other: &KTable<K, V2>,
        joiner: F,
    ) -> KTable<K, R>
    where
        F: Fn(&K, &V, &V2) -> R + Send + Sync + 'static,
    {
        let join =
            move |key: &K, value: Option<&V>, other: Option<&V2>| Some(joiner(key, value?, other?));
        self.join_by_key(other, Needs::Both, join)
    }
}
