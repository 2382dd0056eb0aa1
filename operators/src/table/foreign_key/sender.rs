//! The left table's side: tells the foreign table who asks for which of its keys.
//!
//! What a change of the left table asks for is decided by [`Plan::of`] alone.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::TaskError;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::SerdeError;
use oncestream_core::task::{Context, Downstream, FailedAt, Flush, Flushed, Node};
use oncestream_core::{Headers, Record};

use super::codec::{Codec, failed};
use super::doubts::Doubts;
use super::murmur3::{Hash, hash128};
use super::subscription::{Instruction, Subscription};
use crate::dsl::{Data, StoreKey};
use crate::table::Change;

/// The foreign key of a row, before or after a change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    /// There is no row.
    Absent,
    /// A row without a foreign key.
    Unkeyed,
    /// A row with one.
    Keyed,
}

/// What is sent for a change: first to the old foreign key, then to the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    old: Option<Instruction>,
    /// Without a foreign key it goes anywhere: a left join needs an answer.
    new: Option<Instruction>,
    /// The new row cannot join.
    dropped: bool,
}

impl Plan {
    /// `moved`: the rows have different foreign keys. The rules are those of Kafka Streams'
    /// `SubscriptionSendProcessorSupplier`, but for a key in doubt, which always asks for an answer.
    fn of(is_left: bool, old: Row, new: Row, moved: bool, in_doubt: bool) -> Self {
        use Instruction::{Answer, AnswerIfFound, Unsubscribe, UnsubscribeAndAnswer};
        let was_keyed = old == Row::Keyed;
        let (old, new, dropped) = match (is_left, new) {
            (true, Row::Absent) if old == Row::Absent => (None, None, false),
            // Each change of a left join is answered, so that it always has a result.
            (true, Row::Absent | Row::Unkeyed) => {
                (was_keyed.then_some(Unsubscribe), Some(Answer), false)
            }
            (true, Row::Keyed) => {
                ((was_keyed && moved).then_some(Unsubscribe), Some(Answer), false)
            }
            (false, Row::Absent) => (was_keyed.then_some(UnsubscribeAndAnswer), None, false),
            (false, Row::Unkeyed) => (was_keyed.then_some(UnsubscribeAndAnswer), None, true),
            // The old row may have joined, so its result is taken back if the new one does not.
            (false, Row::Keyed) if was_keyed && moved => (Some(Unsubscribe), Some(Answer), false),
            (false, Row::Keyed) if in_doubt => (None, Some(Answer), false),
            (false, Row::Keyed) => (None, Some(AnswerIfFound), false),
        };
        Self { old, new, dropped }
    }
}

/// Sends subscriptions.
pub(super) struct Sender<K, V, KO, F> {
    pub(super) name: Arc<str>,
    pub(super) is_left: bool,
    pub(super) extract: Arc<F>,
    pub(super) primary_keys: Codec<K>,
    pub(super) foreign_keys: Codec<KO>,
    pub(super) values: Codec<V>,
    pub(super) doubts: Rc<RefCell<Doubts<K, V>>>,
    pub(super) buffers: Buffers,
    pub(super) out: Downstream<Option<KO>, Subscription>,
}

/// Bytes that are written again and again.
#[derive(Default)]
pub(super) struct Buffers {
    value: Vec<u8>,
    old_key: Vec<u8>,
    new_key: Vec<u8>,
}

impl<K: StoreKey, V, KO, F: Fn(&K, &V) -> Option<KO>> Sender<K, V, KO, F> {
    fn foreign_key(&self, key: &K, value: Option<&V>) -> (Row, Option<KO>) {
        let Some(value) = value.filter(|value| !self.values.is_null(value)) else {
            return (Row::Absent, None);
        };
        let foreign_key = (self.extract)(key, value).filter(|key| !self.foreign_keys.is_null(key));
        (if foreign_key.is_some() { Row::Keyed } else { Row::Unkeyed }, foreign_key)
    }

    /// Whether two foreign keys have different bytes.
    fn moved(&mut self, old: Option<&KO>, new: Option<&KO>) -> Result<bool, SerdeError> {
        let (Some(old), Some(new)) = (old, new) else { return Ok(true) };
        let Buffers { old_key, new_key, .. } = &mut self.buffers;
        self.foreign_keys.write(old, old_key)?;
        self.foreign_keys.write(new, new_key)?;
        Ok(old_key != new_key)
    }

    fn hash(&mut self, value: Option<&V>) -> Result<Option<Hash>, SerdeError> {
        let Some(value) = value else { return Ok(None) };
        let written = self.values.write(value, &mut self.buffers.value)?;
        Ok(written.then(|| hash128(&self.buffers.value)))
    }

    /// What to send, each with the foreign key that it is for, and whether the new row cannot join.
    fn messages(
        &mut self,
        key: &K,
        change: &Change<V>,
        partition: i32,
    ) -> Result<Messages<KO>, SerdeError> {
        let (old_row, old_key) = self.foreign_key(key, change.old.as_ref());
        let (new_row, new_key) = self.foreign_key(key, change.new.as_ref());
        let moved = self.moved(old_key.as_ref(), new_key.as_ref())?;
        let in_doubt = self.doubts.borrow_mut().remove(key);
        let plan = Plan::of(self.is_left, old_row, new_row, moved, in_doubt);
        if plan.old.is_none() && plan.new.is_none() {
            return Ok(Messages { old: None, new: None, dropped: plan.dropped });
        }
        let hash = self.hash(change.new.as_ref())?;
        let mut primary_key = Vec::new();
        self.primary_keys.append(key, &mut primary_key)?;
        let old = plan.old.map(|instruction| {
            let primary_key = primary_key.clone();
            let primary_partition = Some(partition);
            (old_key, Subscription { hash, instruction, primary_key, primary_partition })
        });
        let new = plan.new.map(|instruction| {
            let primary_partition = Some(partition);
            (new_key, Subscription { hash, instruction, primary_key, primary_partition })
        });
        Ok(Messages { old, new, dropped: plan.dropped })
    }
}

/// What is sent for one change.
struct Messages<KO> {
    old: Option<(Option<KO>, Subscription)>,
    new: Option<(Option<KO>, Subscription)>,
    dropped: bool,
}

impl<K: StoreKey, V: Data, KO: StoreKey, F> Node<K, Change<V>> for Sender<K, V, KO, F>
where
    F: Fn(&K, &V) -> Option<KO>,
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value: change, timestamp, headers } = record;
        if !change.is_latest {
            ctx.drop_record(DropReason::OutOfOrder);
            return Ok(());
        }
        // That of the record too, which is not in hand while a cache is flushed.
        let partition = ctx.task_id().partition;
        let messages = match self.messages(&key, &change, partition) {
            Ok(messages) => messages,
            Err(error) => {
                let at = FailedAt { node: &self.name, timestamp, headers: &headers };
                return failed(ctx, at, error);
            }
        };
        if messages.dropped {
            ctx.drop_record(DropReason::NullForeignKey);
        }
        for (key, value) in messages.old.into_iter().chain(messages.new) {
            let headers = headers.clone();
            self.out.forward(ctx, Record { key, value, timestamp, headers })?;
        }
        Ok(())
    }
}

impl<K: StoreKey, V: Data, KO: StoreKey, F> Flush for Sender<K, V, KO, F>
where
    F: Fn(&K, &V) -> Option<KO>,
{
    /// Who is still in doubt asks again. The caches above have told by now of each row that has changed.
    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<Flushed, TaskError> {
        let in_doubt = self.doubts.borrow_mut().take();
        for (key, value, timestamp) in in_doubt {
            // As a row that was there before, with a key in doubt.
            self.doubts.borrow_mut().add(key.clone(), value.clone(), timestamp);
            let value = Change::latest(Some(value), None);
            let headers = Headers::default();
            self.process(ctx, Record { key, value, timestamp, headers })?;
        }
        Ok(Flushed::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [Row; 3] = [Row::Absent, Row::Unkeyed, Row::Keyed];

    #[test]
    fn who_has_subscribed_is_told_of_each_leave_and_of_no_other() {
        for is_left in [false, true] {
            for (old, new) in ROWS.iter().flat_map(|old| ROWS.map(|new| (*old, new))) {
                for moved in [false, true] {
                    let moved = moved || old != Row::Keyed || new != Row::Keyed;
                    let plan = Plan::of(is_left, old, new, moved, false);
                    let left = old == Row::Keyed && (new != Row::Keyed || moved);
                    assert_eq!(plan.old.is_some(), left, "{is_left} {old:?} {new:?} {moved}");
                    assert!(plan.old.is_none_or(|instruction| !instruction.subscribes()));
                    let subscribes = plan.new.is_some_and(Instruction::subscribes);
                    assert!(subscribes || new != Row::Keyed, "{is_left} {old:?} {new:?}");
                    assert_eq!(plan.dropped, !is_left && new == Row::Unkeyed);
                }
            }
        }
    }

    #[test]
    fn a_result_that_may_be_there_is_always_answered() {
        let changes = ROWS.iter().flat_map(|old| ROWS.map(|new| (*old, new)));
        for ((old, new), in_doubt) in changes.flat_map(|change| [(change, false), (change, true)]) {
            let plan = Plan::of(false, old, new, true, in_doubt);
            let answers = [plan.old, plan.new].into_iter().flatten().any(|instruction| {
                matches!(instruction, Instruction::Answer | Instruction::UnsubscribeAndAnswer)
            });
            let asks = in_doubt && new == Row::Keyed;
            assert_eq!(answers, old == Row::Keyed || asks, "{old:?} {new:?} {in_doubt}");
            let plan = Plan::of(true, old, new, true, in_doubt);
            let is_change = (old, new) != (Row::Absent, Row::Absent);
            assert_eq!(plan.new == Some(Instruction::Answer), is_change, "{old:?} {new:?}");
        }
    }
}
