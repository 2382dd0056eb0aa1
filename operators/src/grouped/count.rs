//! `count`: how many records each key has.

use super::KGroupedStream;
use super::fold::Counting;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::KTable;

pub(crate) const PREFIX: &str = "KSTREAM-AGGREGATE-";

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// Counts the records of each key, in a store: its name, or more about it, is the argument.
    /// Under exactly once each record counts once.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, i64>("in").group_by_key();
    /// grouped.count("counts").to_stream().to("counts");
    /// grouped.count(Materialized::new()).to_stream().to("counts-of-a-store-without-a-name");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn count(&self, materialized: impl Into<Materialized<K, i64>>) -> KTable<K, i64>
    where
        K: StoreKey,
    {
        let materialized = materialized.into();
        materialized.burn_name(&self.stream.dsl, PREFIX);
        self.fold(PREFIX, materialized, Counting)
    }
}
