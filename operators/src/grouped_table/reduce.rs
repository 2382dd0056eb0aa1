//! `reduce`: a value per group, of the type of the entries.

use super::KGroupedTable;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::KTable;

impl<K: StoreKey, V: Data> KGroupedTable<K, V> {
    /// Combines the values of each group: the first stands alone, `adder(reduced, value)` adds
    /// one and `subtractor(reduced, value)` takes one out. A null from either deletes the group;
    /// the next value stands alone again.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .table("stock", Materialized::<String, i64>::named("stock"))
    ///     .group_by(|item, left| (item.len() as i64, *left))
    ///     .reduce(|sum, v| sum + v, |sum, v| sum - v, Materialized::named("totals"));
    /// ```
    pub fn reduce<A, S>(
        &self,
        adder: A,
        subtractor: S,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V>
    where
        A: Fn(V, V) -> V + Send + Sync + 'static,
        S: Fn(V, V) -> V + Send + Sync + 'static,
    {
        let add = move |_: &K, value, reduced: Option<V>| match reduced {
            Some(reduced) => adder(reduced, value),
            None => value,
        };
        let subtract = move |_: &K, value, reduced| subtractor(reduced, value);
        self.fold("KTABLE-REDUCE-", add, subtract, materialized)
    }
}
