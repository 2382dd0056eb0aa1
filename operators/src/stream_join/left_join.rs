//! `left_join`: pairs, and each record of the left stream without one.

use super::joiner::Left;
use crate::dsl::{Data, StoreKey};
use crate::options::StreamJoined;
use crate::stream::KStream;

impl<K: StoreKey, V: Data> KStream<K, V> {
    /// Joins as [`join`](Self::join) does, and gives a result too for each record of this stream that has
    /// no partner: `joiner(&value, None)`, with the record's time.
    ///
    /// That one comes when the record's window has closed, which a later record of either stream shows: until
    /// then a partner may come. Under exactly once it comes once, whatever crashes. No record, no time: the
    /// last records of a stream wait for newer ones.
    ///
    /// - It has the headers of the record that has closed the window, as in Kafka Streams.
    /// - It may come later than that, at most by the length of a window: as in Kafka Streams, what has closed
    ///   is looked for when the last record has closed that was seen open.
    /// - A record of this stream with a null key has no partner, and its result comes at once. Records with a
    ///   null value, and those of the other stream with a null key, are dropped and counted.
    /// - A record that comes when its window has closed already is joined with what is there, or told of at
    ///   once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{JoinWindows, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<String, String>("orders");
    /// let payments = builder.stream::<String, i64>("payments");
    /// let an_hour = JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(3600));
    /// orders
    ///     .left_join(&payments, an_hour, |order, amount| match amount {
    ///         Some(amount) => format!("{order}: {amount}"),
    ///         None => format!("{order} was not paid within an hour"),
    ///     })
    ///     .to("checked");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn left_join<V2: Data, O: Data, F>(
        &self,
        other: &KStream<K, V2>,
        options: impl Into<StreamJoined<K, V, V2>>,
        joiner: F,
    ) -> KStream<K, O>
    where
        F: Fn(&V, Option<&V2>) -> O + Send + Sync + 'static,
    {
        self.left_join_with_key(other, options, move |_, value, other| joiner(value, other))
    }

    /// [`left_join`](Self::left_join) with `joiner(&key, &value, other)`.
    pub fn left_join_with_key<V2: Data, O: Data, F>(
        &self,
        other: &KStream<K, V2>,
        options: impl Into<StreamJoined<K, V, V2>>,
        joiner: F,
    ) -> KStream<K, O>
    where
        F: Fn(&K, &V, Option<&V2>) -> O + Send + Sync + 'static,
    {
        self.join_by(other, options.into(), Left(joiner))
    }
}
