//! `outer_join`: pairs, and each record of either stream without one.

use super::joiner::Outer;
use crate::dsl::{Data, StoreKey};
use crate::options::StreamJoined;
use crate::stream::KStream;

impl<K: StoreKey, V: Data> KStream<K, V> {
    /// Joins as [`left_join`](Self::left_join) does, and gives a result too for each record of the other
    /// stream that has no partner: `joiner(None, Some(&other))`. One of the two is there, or both are.
    ///
    /// Records of either stream with a null key have no partner, and their results come at once. Those with
    /// a null value are dropped and counted.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{JoinWindows, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let booked = builder.stream::<String, i64>("booked");
    /// let charged = builder.stream::<String, i64>("charged");
    /// let a_day = JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(86_400));
    /// booked
    ///     .outer_join(&charged, a_day, |booked, charged| match (booked, charged) {
    ///         (Some(booked), Some(charged)) => charged - booked,
    ///         (Some(booked), None) => -booked,
    ///         (None, charged) => charged.copied().unwrap_or_default(),
    ///     })
    ///     .to("differences");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn outer_join<V2: Data, O: Data, F>(
        &self,
        other: &KStream<K, V2>,
        options: impl Into<StreamJoined<K, V, V2>>,
        joiner: F,
    ) -> KStream<K, O>
    where
        F: Fn(Option<&V>, Option<&V2>) -> O + Send + Sync + 'static,
    {
        self.outer_join_with_key(other, options, move |_, value, other| joiner(value, other))
    }

    /// [`outer_join`](Self::outer_join) with `joiner(&key, value, other)`.
    pub fn outer_join_with_key<V2: Data, O: Data, F>(
        &self,
        other: &KStream<K, V2>,
        options: impl Into<StreamJoined<K, V, V2>>,
        joiner: F,
    ) -> KStream<K, O>
    where
        F: Fn(&K, Option<&V>, Option<&V2>) -> O + Send + Sync + 'static,
    {
        self.join_by(other, options.into(), Outer(joiner))
    }
}
