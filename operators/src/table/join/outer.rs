//! `outer_join` of a table with a table.

use super::Needs;
use crate::dsl::{Data, StoreKey};
use crate::table::KTable;

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Joins the values of each key that one of the tables has: `joiner(Option<&value>, Option<&other>)`,
    /// of which at least one is there. Otherwise as [`Self::join`].
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let paid = builder.table::<String, i64>("paid");
    /// let owed = builder.table::<String, i64>("owed");
    /// let balances =
    ///     paid.outer_join(&owed, |paid, owed| paid.unwrap_or(&0) - owed.unwrap_or(&0));
    /// balances.to_stream().to("balances");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn outer_join<V2: Data, R: Data, F>(&self, other: &KTable<K, V2>, joiner: F) -> KTable<K, R>
    where
        F: Fn(Option<&V>, Option<&V2>) -> R + Send + Sync + 'static,
    {
        self.outer_join_with_key(other, move |_, value, other| joiner(value, other))
    }

    /// [`Self::outer_join`] where the joiner sees the key too:
    /// `joiner(&key, Option<&value>, Option<&other>)`.
    pub fn outer_join_with_key<V2: Data, R: Data, F>(
        &self,
        other: &KTable<K, V2>,
        joiner: F,
    ) -> KTable<K, R>
    where
        F: Fn(&K, Option<&V>, Option<&V2>) -> R + Send + Sync + 'static,
    {
        let join = move |key: &K, value: Option<&V>, other: Option<&V2>| {
            (value.is_some() || other.is_some()).then(|| joiner(key, value, other))
        };
        self.join_by_key(other, Needs::Any, join)
    }
}
