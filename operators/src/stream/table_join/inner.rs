//! `join_table`: each record with the value that a table has for its key.

use crate::dsl::{Data, StoreKey};
use crate::options::Joined;
use crate::stream::KStream;

impl<K: StoreKey, V: Data> KStream<K, V> {
    /// Joins each record with the value that the table has for its key when the record is taken:
    /// `joiner(&value, &of_table)`. A record whose key is not in the table gives nothing, and no later
    /// update of the table gives it a result: the stream asks, the table answers.
    ///
    /// Records with a null key or a null value are dropped and counted. The result has the time and the
    /// headers of the record. If an operator before may have changed the key, the records go through a
    /// repartition topic. The topics of both must have equal numbers of partitions; a start fails
    /// otherwise ([`TopologyError::NotCopartitioned`](oncestream_core::error::TopologyError::NotCopartitioned)).
    ///
    /// The records of both sides are taken in the order of their times, as far as they are there:
    /// `max.task.idle.ms` says how long one side waits for the other. Under exactly once each record
    /// gives its result once, and a crash does not change what it is joined with.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table::<i64, String>("users");
    /// let orders = builder.stream::<i64, String>("orders");
    /// orders.join_table(&users, |item, user| format!("{user} buys {item}")).to("sales");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn join_table<V2: Data, R: Data, F>(
        &self,
        joined: impl Into<Joined<K, V, V2>>,
        joiner: F,
    ) -> KStream<K, R>
    where
        F: Fn(&V, &V2) -> R + Send + Sync + 'static,
    {
        self.join_table_with_key(joined, move |_, value, of_table| joiner(value, of_table))
    }

    /// [`Self::join_table`] where the joiner sees the key too: `joiner(&key, &value, &of_table)`.
    pub fn join_table_with_key<V2: Data, R: Data, F>(
        &self,
        joined: impl Into<Joined<K, V, V2>>,
        joiner: F,
    ) -> KStream<K, R>
    where
        F: Fn(&K, &V, &V2) -> R + Send + Sync + 'static,
    {
        let join =
            move |key: &K, value: &V, of_table: Option<&V2>| Some(joiner(key, value, of_table?));
        self.join_with_table(joined.into(), "KSTREAM-JOIN-", false, join)
    }
}
