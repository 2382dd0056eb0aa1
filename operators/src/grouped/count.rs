//! `count`: how many records each key has.

use super::KGroupedStream;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::KTable;

impl<K: StoreKey, V: Data> KGroupedStream<K, V> {
    /// Counts the records of each key. Under exactly once each record counts once.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").group_by_key().count(Materialized::named("counts"));
    /// ```
    pub fn count(&self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        self.fold("KSTREAM-AGGREGATE-", materialized, |_, _, old| Some(old.unwrap_or(0) + 1))
    }
}
