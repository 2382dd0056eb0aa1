//! `reduce`: a value per key, of the type of the records.

use super::KGroupedStream;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::KTable;

impl<K: StoreKey, V: Data> KGroupedStream<K, V> {
    /// Combines the values of each key: the first stands alone, and each further one makes it
    /// `reducer(reduced, value)`. If that is a null, the key is deleted, and its next value stands
    /// alone again.
    ///
    /// Under exactly once each record is folded in once. The result's timestamp is the largest
    /// of the records folded in.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .reduce(i64::max, Materialized::named("maxima"));
    /// ```
    pub fn reduce<F>(&self, reducer: F, materialized: Materialized<K, V>) -> KTable<K, V>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
    {
        self.fold("KSTREAM-REDUCE-", materialized, move |_, value, old| {
            Some(match old {
                Some(old) => reducer(old, value),
                None => value,
            })
        })
    }
}
