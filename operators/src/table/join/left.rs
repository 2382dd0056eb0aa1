//! `left_join` of a table with a table.

use super::Needs;
use crate::dsl::{Data, StoreKey};
use crate::table::KTable;

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Joins each value of this table with that of the other, if it has one:
    /// `joiner(&value, Option<&other>)`. Otherwise as [`Self::join`].
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<i64, String>("names");
    /// let cities = builder.table::<i64, String>("cities");
    /// let people = names.left_join(&cities, |name, city| match city {
    ///     Some(city) => format!("{name} of {city}"),
    ///     None => name.clone(),
    /// });
    /// people.to_stream().to("people");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn left_join<V2: Data, R: Data, F>(&self, other: &KTable<K, V2>, joiner: F) -> KTable<K, R>
    where
        F: Fn(&V, Option<&V2>) -> R + Send + Sync + 'static,
    {
        self.left_join_with_key(other, move |_, value, other| joiner(value, other))
    }

    /// [`Self::left_join`] where the joiner sees the key too: `joiner(&key, &value, Option<&other>)`.
    pub fn left_join_with_key<V2: Data, R: Data, F>(
        &self,
        other: &KTable<K, V2>,
        joiner: F,
    ) -> KTable<K, R>
    where
        F: Fn(&K, &V, Option<&V2>) -> R + Send + Sync + 'static,
    {
        let join =
            move |key: &K, value: Option<&V>, other: Option<&V2>| Some(joiner(key, value?, other));
        self.join_by_key(other, Needs::Left, join)
    }
}
