//! The node of one side: joins each record with those that the other stream's store has. Kafka Streams'
//! `KStreamKStreamJoin`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::TaskError;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::DynSerde;
use oncestream_core::state::WindowStore;
use oncestream_core::task::{Context, Downstream, Node};
use oncestream_core::{Headers, Record, TimestampMs};

use super::joiner::Joiner;
use super::non_matches::NonMatches;
use super::row::{LeftOrRight, WaitingKey};
use crate::dsl::{Data, StoreKey};
use crate::windows::JoinWindows;

/// Which of the two streams a node is for.
pub(super) trait Side<L, R>: 'static {
    /// The values of the stream.
    type This: Data;
    /// Those of the other one.
    type Other: Data;

    const IS_LEFT: bool;

    /// Where partners lie: how far back, and how far ahead, in milliseconds.
    fn reach_ms(windows: JoinWindows) -> (i64, i64);

    /// Left and right, as the user's function has them.
    fn sides<'a>(
        this: &'a Self::This,
        other: Option<&'a Self::Other>,
    ) -> (Option<&'a L>, Option<&'a R>);

    fn waiting(this: Self::This) -> LeftOrRight<L, R>;
}

pub(super) struct OfLeft;
pub(super) struct OfRight;

impl<L: Data, R: Data> Side<L, R> for OfLeft {
    type This = L;
    type Other = R;

    const IS_LEFT: bool = true;

    fn reach_ms(windows: JoinWindows) -> (i64, i64) {
        (windows.before_ms(), windows.after_ms())
    }

    fn sides<'a>(this: &'a L, other: Option<&'a R>) -> (Option<&'a L>, Option<&'a R>) {
        (Some(this), other)
    }

    fn waiting(this: L) -> LeftOrRight<L, R> {
        LeftOrRight::Left(this)
    }
}

impl<L: Data, R: Data> Side<L, R> for OfRight {
    type This = R;
    type Other = L;

    const IS_LEFT: bool = false;

    fn reach_ms(windows: JoinWindows) -> (i64, i64) {
        (windows.after_ms(), windows.before_ms())
    }

    fn sides<'a>(this: &'a R, other: Option<&'a L>) -> (Option<&'a L>, Option<&'a R>) {
        (other, Some(this))
    }

    fn waiting(this: R) -> LeftOrRight<L, R> {
        LeftOrRight::Right(this)
    }
}

/// The node of one task.
pub(super) struct SideNode<S: Side<L, R>, K, L, R, O, J> {
    pub(super) joiner: Arc<J>,
    pub(super) key_serde: DynSerde<K>,
    pub(super) value_serde: DynSerde<S::This>,
    pub(super) windows: JoinWindows,
    /// The records of the other stream.
    pub(super) other: Rc<RefCell<WindowStore<K, S::Other>>>,
    /// Those of both that were joined with none; `None` in an inner join.
    pub(super) non_matches: Option<Rc<RefCell<NonMatches<K, L, R>>>>,
    pub(super) out: Downstream<K, O>,
}

impl<S, K, L, R, O, J> SideNode<S, K, L, R, O, J>
where
    S: Side<L, R>,
    K: StoreKey,
    L: Data,
    R: Data,
    O: Data,
    J: Joiner<K, L, R, O>,
{
    /// Whether a record of this stream that was joined with none is a result.
    const KEEPS: bool = if S::IS_LEFT { J::KEEPS_LEFT } else { J::KEEPS_RIGHT };
    /// Whether one of the other stream is.
    const FREES: bool = if S::IS_LEFT { J::KEEPS_RIGHT } else { J::KEEPS_LEFT };

    /// Tells of the records whose window has closed.
    fn tell_closed(&mut self, ctx: &mut Context<'_>, headers: &Headers) -> Result<(), TaskError> {
        let Some(non_matches) = &self.non_matches else { return Ok(()) };
        let closed = non_matches.borrow_mut().take_closed(ctx, S::IS_LEFT)?;
        for (WaitingKey { timestamp, key, .. }, values) in closed {
            for value in values.iter() {
                let (left, right) = value.both();
                let Some(value) = self.joiner.join(&key, left, right) else { continue };
                let (key, headers) = (key.clone(), headers.clone());
                self.out.forward(ctx, Record { key, value, timestamp, headers })?;
            }
        }
        Ok(())
    }

    /// Joins a record with its partners; whether there is one.
    fn join(
        &mut self,
        ctx: &mut Context<'_>,
        record: &Record<K, S::This>,
    ) -> Result<bool, TaskError> {
        let Self { joiner, windows, other, non_matches, out, .. } = self;
        let Record { key, value, timestamp, headers } = record;
        let (back_ms, ahead_ms) = S::reach_ms(*windows);
        let from = timestamp.saturating_sub(back_ms).max(0);
        let to = timestamp.saturating_add(ahead_ms);
        let non_matches = non_matches.as_ref().filter(|_| Self::FREES).map(|all| all.borrow());
        let non_matches = non_matches.filter(|non_matches| non_matches.may_hold(ctx));
        let mut freed = non_matches.is_some().then(|| WaitingKey {
            timestamp: *timestamp,
            is_left: !S::IS_LEFT,
            key: key.clone(),
        });
        let mut is_joined = false;
        other.borrow_mut().lend_between(key, from..=to, |time, other| {
            is_joined = true;
            if let (Some(non_matches), Some(freed)) = (&non_matches, &mut freed) {
                freed.timestamp = time;
                non_matches.found(freed, *timestamp)?;
            }
            let (left, right) = S::sides(value, Some(other));
            let Some(value) = joiner.join(key, left, right) else { return Ok(()) };
            let (key, headers) = (key.clone(), headers.clone());
            let timestamp = time.max(*timestamp);
            out.forward(ctx, Record { key, value, timestamp, headers })
        })?;
        Ok(is_joined)
    }

    /// Forwards a record that has no partner.
    fn alone(
        &mut self,
        ctx: &mut Context<'_>,
        Record { key, value, timestamp, headers }: Record<K, S::This>,
    ) -> Result<(), TaskError> {
        let (left, right) = S::sides(&value, None);
        match self.joiner.join(&key, left, right) {
            Some(value) => self.out.forward(ctx, Record { key, value, timestamp, headers }),
            None => Ok(()),
        }
    }

    /// A record has no partner so far.
    fn has_none(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, S::This>,
    ) -> Result<(), TaskError> {
        let Some(non_matches) = &self.non_matches else { return Ok(()) };
        let waits = non_matches.borrow();
        if waits.has_closed(ctx, record.timestamp, S::IS_LEFT) {
            drop(waits);
            return self.alone(ctx, record);
        }
        let Record { key, value, timestamp, .. } = record;
        let key = WaitingKey { timestamp, is_left: S::IS_LEFT, key };
        match waits.wait(ctx, key, S::waiting(value)) {
            // The store that keeps the record has longer keys: it refuses it too, and leaves it to the
            // handler.
            Err(error) if error.is_of_record() => Ok(()),
            kept => kept,
        }
    }

    /// Why a record takes no part; `None` if it does.
    fn drop_reason(&self, key_is_null: bool, value: &S::This) -> Option<DropReason> {
        if key_is_null && !Self::KEEPS {
            Some(DropReason::NullKey)
        } else {
            self.value_serde.is_null(value).then_some(DropReason::NullValue)
        }
    }

    /// Takes notice of a record's time; whether none of either stream was newer.
    fn observe(&mut self, ctx: &mut Context<'_>, time: TimestampMs) -> bool {
        let Some(non_matches) = &self.non_matches else { return false };
        let non_matches = non_matches.borrow();
        non_matches.observe(ctx, time);
        non_matches.is_newest(ctx, time)
    }
}

impl<S, K, L, R, O, J> Node<K, S::This> for SideNode<S, K, L, R, O, J>
where
    S: Side<L, R>,
    K: StoreKey,
    L: Data,
    R: Data,
    O: Data,
    J: Joiner<K, L, R, O>,
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, S::This>,
    ) -> Result<(), TaskError> {
        let is_newest = self.observe(ctx, record.timestamp);
        let key_is_null = self.key_serde.is_null(&record.key);
        if let Some(reason) = self.drop_reason(key_is_null, &record.value) {
            ctx.drop_record(reason);
            return Ok(());
        }
        if key_is_null {
            return self.alone(ctx, record);
        }
        if is_newest {
            self.tell_closed(ctx, &record.headers)?;
        }
        let is_joined = self.join(ctx, &record)?;
        if Self::KEEPS && !is_joined { self.has_none(ctx, record) } else { Ok(()) }
    }
}
