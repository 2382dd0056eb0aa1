//! `self_join`: a stream joined with itself, on one store. Kafka Streams' `KStreamKStreamSelfJoin`.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::TaskError;
use oncestream_core::serde::DynSerde;
use oncestream_core::state::WindowStore;
use oncestream_core::task::{Context, Downstream, Node, TimeId};
use oncestream_core::{Record, TimestampMs};

use super::joiner::{Inner, Joiner};
use crate::dsl::{Data, StoreKey};
use crate::grouped::fold::null_in;
use crate::options::StreamJoined;
use crate::stream::KStream;
use crate::windows::JoinWindows;

impl<K: StoreKey, V: Data> KStream<K, V> {
    /// Joins the stream with itself: each record with those of its key that lie in its
    /// [window](crate::JoinWindows), as a rule itself among them. `joiner(&left, &right)` makes the result of
    /// each pair, both ways round.
    ///
    /// What comes out is what [`join`](Self::join) with the stream itself gives, and it takes one store in
    /// place of two. It is what Kafka Streams makes of such a join if `topology.optimization` asks for it. The
    /// first argument may be [`JoinWindows`], or a [`StreamJoined`] with names and serdes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{JoinWindows, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let readings = builder.stream::<String, i64>("readings");
    /// // Each reading with those of the minute before.
    /// let minute = JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(60));
    /// let before = minute.after(Duration::ZERO);
    /// readings.self_join(before, |now, before| now - before).to("changes");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn self_join<O: Data, F>(
        &self,
        options: impl Into<StreamJoined<K, V, V>>,
        joiner: F,
    ) -> KStream<K, O>
    where
        F: Fn(&V, &V) -> O + Send + Sync + 'static,
    {
        self.self_join_with_key(options, move |_, left, right| joiner(left, right))
    }

    /// [`self_join`](Self::self_join) with `joiner(&key, &left, &right)`.
    pub fn self_join_with_key<O: Data, F>(
        &self,
        options: impl Into<StreamJoined<K, V, V>>,
        joiner: F,
    ) -> KStream<K, O>
    where
        F: Fn(&K, &V, &V) -> O + Send + Sync + 'static,
    {
        self.self_join_by(options.into(), Inner(joiner))
    }
}

/// The node of one task.
pub(super) struct SelfJoin<K, V, O, J> {
    pub(super) joiner: Arc<J>,
    pub(super) key_serde: DynSerde<K>,
    pub(super) value_serde: DynSerde<V>,
    pub(super) windows: JoinWindows,
    pub(super) store: Rc<RefCell<WindowStore<K, V>>>,
    pub(super) observed: TimeId,
    pub(super) out: Downstream<K, O>,
}

impl<K: StoreKey, V: Data, O: Data, J: Joiner<K, V, V, O>> SelfJoin<K, V, O, J> {
    fn forward(
        &mut self,
        ctx: &mut Context<'_>,
        record: &Record<K, V>,
        (left, right): (&V, &V),
        timestamp: TimestampMs,
    ) -> Result<(), TaskError> {
        let Record { key, headers, .. } = record;
        let Some(value) = self.joiner.join(key, Some(left), Some(right)) else { return Ok(()) };
        let (key, headers) = (key.clone(), headers.clone());
        self.out.forward(ctx, Record { key, value, timestamp, headers })
    }

    /// Joins a record, as the left one, with those of these times.
    fn join_as_left(
        &mut self,
        ctx: &mut Context<'_>,
        record: &Record<K, V>,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<(), TaskError> {
        let store = self.store.clone();
        store.borrow_mut().lend_between(&record.key, times, |time, other| {
            let timestamp = record.timestamp.max(time);
            self.forward(ctx, record, (&record.value, other), timestamp)
        })
    }

    /// Joins a record, as the right one, with those of these times, and with itself between the earlier and
    /// the later ones, if it is kept and in its own window.
    fn join_as_right(
        &mut self,
        ctx: &mut Context<'_>,
        record: &Record<K, V>,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<(), TaskError> {
        let expired = ctx.time(self.observed).saturating_sub(self.windows.retention_ms());
        let mut meets_itself = self.windows.holds_its_record() && record.timestamp > expired;
        let itself = (&record.value, &record.value);
        let store = self.store.clone();
        store.borrow_mut().lend_between(&record.key, times, |time, other| {
            if time > record.timestamp && std::mem::take(&mut meets_itself) {
                self.forward(ctx, record, itself, record.timestamp)?;
            }
            let timestamp = record.timestamp.max(time);
            self.forward(ctx, record, (other, &record.value), timestamp)
        })?;
        if meets_itself { self.forward(ctx, record, itself, record.timestamp) } else { Ok(()) }
    }
}

impl<K: StoreKey, V: Data, O: Data, J: Joiner<K, V, V, O>> Node<K, V> for SelfJoin<K, V, O, J> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        if let Some(reason) = null_in(&record, &self.key_serde, &self.value_serde) {
            ctx.drop_record(reason);
            return Ok(());
        }
        let time = record.timestamp;
        ctx.advance_time(self.observed, time);
        let (before_ms, after_ms) = (self.windows.before_ms(), self.windows.after_ms());
        let reach =
            |back: i64, ahead: i64| time.saturating_sub(back).max(0)..=time.saturating_add(ahead);
        self.join_as_left(ctx, &record, reach(before_ms, after_ms))?;
        self.join_as_right(ctx, &record, reach(after_ms, before_ms))
    }
}
