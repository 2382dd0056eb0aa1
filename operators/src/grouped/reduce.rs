//! `reduce`: a value per key, of the type of the records.

use super::KGroupedStream;
use super::fold::Reducing;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::KTable;

pub(crate) const PREFIX: &str = "KSTREAM-REDUCE-";

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// Combines the values of each key: the first stands alone, and each further one makes it
    /// `reducer(reduced, value)`. If that is `None`, or a null to the store's serde, the key is
    /// deleted, and its next value stands alone again.
    ///
    /// Under exactly once each record is folded in once. The result's timestamp is the largest
    /// of the records folded in.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, i64>("in").group_by_key();
    /// grouped.reduce(i64::max, "maxima").to_stream().to("maxima");
    /// // A negative value begins a key anew.
    /// grouped.reduce(|sum, v| (v >= 0).then_some(sum + v), "sums").to_stream().to("sums");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn reduce<R, F>(
        &self,
        reducer: F,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<K, V>
    where
        K: StoreKey,
        R: Into<Option<V>>,
        F: Fn(V, V) -> R + Send + Sync + 'static,
    {
        self.fold(PREFIX, materialized.into(), Reducing(reducer))
    }
}
