//! `count`: how many entries each group has.

use super::KGroupedTable;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::KTable;

impl<K: StoreKey, V: Data> KGroupedTable<K, V> {
    /// Counts the entries of each group. A group that everything left has 0.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .table("user-city", Materialized::<i64, String>::named("cities"))
    ///     .group_by(|user, city| (city.clone(), *user))
    ///     .count(Materialized::named("users-per-city"));
    /// ```
    pub fn count(&self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        self.aggregate(|| 0, |_, _, n| n + 1, |_, _, n| n - 1, materialized)
    }
}
