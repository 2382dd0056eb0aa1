//! `join`: pairs of records of two streams.

use super::joiner::Inner;
use crate::dsl::{Data, StoreKey};
use crate::options::StreamJoined;
use crate::stream::KStream;

impl<K: StoreKey, V: Data> KStream<K, V> {
    /// Joins each record with those of another stream that have its key and lie in its
    /// [window](crate::JoinWindows): `joiner(&value, &other)` makes the result of each pair. Of one stream
    /// the order is kept: the pairs of a record come when its second record does, by the times of the
    /// other stream's records and then in their order.
    ///
    /// A result has the later time of the two, and the headers of the record that came last. Under exactly
    /// once each pair comes once.
    ///
    /// - Records with a null key or value are dropped and counted.
    /// - A late record is joined with what the other stream's store still has, as in Kafka Streams. Its own
    ///   partners do not find it when it is later than the window's length and the grace; it counts as
    ///   dropped when it is later by half of that, or a minute, again.
    /// - The streams must have equal numbers of partitions. A stream whose key may have changed goes through
    ///   a repartition topic: `<name>-left` or `<name>-right`, if the join has a name.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{JoinWindows, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<String, String>("orders");
    /// let payments = builder.stream::<String, i64>("payments");
    /// let an_hour = JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(3600));
    /// orders.join(&payments, an_hour, |order, amount| format!("{order}: {amount}")).to("paid");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn join<V2: Data, O: Data, F>(
        &self,
        other: &KStream<K, V2>,
        options: impl Into<StreamJoined<K, V, V2>>,
        joiner: F,
    ) -> KStream<K, O>
    where
        F: Fn(&V, &V2) -> O + Send + Sync + 'static,
    {
        self.join_with_key(other, options, move |_, value, other| joiner(value, other))
    }

    /// [`join`](Self::join) with `joiner(&key, &value, &other)`.
    pub fn join_with_key<V2: Data, O: Data, F>(
        &self,
        other: &KStream<K, V2>,
        options: impl Into<StreamJoined<K, V, V2>>,
        joiner: F,
    ) -> KStream<K, O>
    where
        F: Fn(&K, &V, &V2) -> O + Send + Sync + 'static,
    {
        self.join_by(other, options.into(), Inner(joiner))
    }
}
