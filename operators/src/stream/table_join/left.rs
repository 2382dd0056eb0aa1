//! `left_join_table`: each record, with the value that a table has for its key if there is one.

use crate::dsl::{Data, StoreKey};
use crate::options::Joined;
use crate::stream::KStream;

impl<K: StoreKey, V: Data> KStream<K, V> {
    /// Joins each record with the value that the table has for its key when the record is taken, if it has
    /// one: `joiner(&value, Option<&of_table>)`.
    ///
    /// A record with a null key is joined with no value, and one with a null value is dropped and
    /// counted. Otherwise as [`Self::join_table`].
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table::<i64, String>("users");
    /// let orders = builder.stream::<i64, String>("orders");
    /// let sales = orders.left_join_table(&users, |item, user| match user {
    ///     Some(user) => format!("{user} buys {item}"),
    ///     None => format!("a guest buys {item}"),
    /// });
    /// sales.to("sales");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn left_join_table<V2: Data, R: Data, F>(
        &self,
        joined: impl Into<Joined<K, V, V2>>,
        joiner: F,
    ) -> KStream<K, R>
    where
        F: Fn(&V, Option<&V2>) -> R + Send + Sync + 'static,
    {
        self.left_join_table_with_key(joined, move |_, value, of_table| joiner(value, of_table))
    }

    /// [`Self::left_join_table`] where the joiner sees the key too:
    /// `joiner(&key, &value, Option<&of_table>)`.
    pub fn left_join_table_with_key<V2: Data, R: Data, F>(
        &self,
        joined: impl Into<Joined<K, V, V2>>,
        joiner: F,
    ) -> KStream<K, R>
    where
        F: Fn(&K, &V, Option<&V2>) -> R + Send + Sync + 'static,
    {
        let join =
            move |key: &K, value: &V, of_table: Option<&V2>| Some(joiner(key, value, of_table));
        self.join_with_table(joined.into(), "KSTREAM-LEFTJOIN-", true, join)
    }
}
