//! `reduce`: a value per group, of the type of the entries.

use super::KGroupedTable;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::KTable;

impl<K: StoreKey, V: Data> KGroupedTable<K, V> {
    /// Combines the values of each group: the first stands alone, `adder(reduced, value)` adds
    /// one and `subtractor(reduced, value)` takes one out. `None` from either, or a null to the
    /// store's serde, deletes the group; the next value stands alone again.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .table::<String, i64>("stock")
    ///     .group_by(|item, left| (item.len() as i64, *left))
    ///     .reduce(|sum, v| sum + v, |sum, v| sum - v, "totals");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn reduce<R, Q, A, S>(
        &self,
        adder: A,
        subtractor: S,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<K, V>
    where
        R: Into<Option<V>>,
        Q: Into<Option<V>>,
        A: Fn(V, V) -> R + Send + Sync + 'static,
        S: Fn(V, V) -> Q + Send + Sync + 'static,
    {
        let add = move |_: &K, value, reduced: Option<V>| match reduced {
            Some(reduced) => adder(reduced, value).into(),
            None => Some(value),
        };
        let subtract = move |_: &K, value, reduced| subtractor(reduced, value).into();
        self.fold("KTABLE-REDUCE-", add, subtract, materialized.into())
    }
}
