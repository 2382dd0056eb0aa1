//! `count`: how many entries each group has.

use super::KGroupedTable;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::KTable;

impl<K: StoreKey, V: Data> KGroupedTable<K, V> {
    /// Counts the entries of each group. A group that everything left has 0.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .table::<i64, String>("user-city")
    ///     .group_by(|user, city| (city.clone(), *user))
    ///     .count("users-per-city");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn count(&self, materialized: impl Into<Materialized<K, i64>>) -> KTable<K, i64> {
        self.aggregate(|| 0_i64, |_, _, n| n + 1, |_, _, n| n - 1, materialized)
    }
}
