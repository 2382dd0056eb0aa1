//! The offsets of one input partition: what was taken in, what of it is in work, and so what to commit.
//!
//! It knows no records. Invariant: the position is the offset of the lowest record that is
//! not done: one that waits in its queue, one that a node holds, or the next one to come.

use std::collections::BTreeMap;

use super::run::InputId;

/// A record in work: its offset is not committed until it is released.
///
/// A node gets it from [`Context::hold`](super::Context::hold), and gives it back to
/// [`Context::release`](super::Context::release) when it has handled the record. It names a record of
/// its own task; when the task is dropped, the record is processed again.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a record that is never released stops the commits of its task"]
pub struct Held {
    pub(super) input: InputId,
    pub(super) offset: i64,
}

/// The offsets of one input partition.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The offset after the last record taken in; `None` before the first.
    taken: Option<i64>,
    /// How often each record is held, by offset.
    held: BTreeMap<i64, u32>,
    /// What is committed, as far as the task knows.
    committed: Option<i64>,
}

impl Ledger {
    /// Takes over the offset that the group has committed.
    pub(super) fn set_committed(&mut self, offset: Option<i64>) {
        self.committed = offset;
    }

    /// A record comes in. The last one taken, if this one does not lie behind it.
    pub(super) fn take(&mut self, offset: i64) -> Result<(), i64> {
        match self.taken {
            Some(next) if offset < next => Err(next - 1),
            _ => {
                self.taken = Some(offset + 1);
                Ok(())
            }
        }
    }

    /// A record behind this offset was taken in.
    pub(super) fn is_past(&self, offset: i64) -> bool {
        self.taken.is_some_and(|next| offset < next)
    }

    /// A record is in work until it was released as often.
    pub(super) fn hold(&mut self, offset: i64) {
        *self.held.entry(offset).or_default() += 1;
    }

    pub(super) fn release(&mut self, offset: i64) {
        if let Some(times) = self.held.get_mut(&offset) {
            *times -= 1;
            if *times == 0 {
                self.held.remove(&offset);
            }
        }
    }

    /// A record is in work.
    pub(super) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// The offset to commit, given that of the first record that waits in the queue. `None` while
    /// nothing is known.
    pub(super) fn position(&self, waiting: Option<i64>) -> Option<i64> {
        let next = waiting.or(self.taken).or(self.committed)?;
        Some(self.held.keys().next().map_or(next, |held| next.min(*held)))
    }

    /// The position, if it is not what is committed.
    pub(super) fn changed(&self, waiting: Option<i64>) -> Option<i64> {
        self.position(waiting).filter(|position| Some(*position) != self.committed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_position_is_the_lowest_offset_that_is_not_done() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.position(None), None);
        ledger.set_committed(Some(3));
        assert_eq!((ledger.position(None), ledger.changed(None)), (Some(3), None));
        ledger.take(5).unwrap();
        assert_eq!(ledger.changed(None), Some(6));
        assert_eq!(ledger.position(Some(5)), Some(5), "it waits in the queue");
        ledger.hold(5);
        ledger.take(6).unwrap();
        ledger.hold(6);
        ledger.release(6);
        assert_eq!(ledger.position(None), Some(5), "released out of order");
        ledger.release(5);
        assert_eq!(ledger.position(None), Some(7));
    }

    #[test]
    fn a_record_below_the_last_one_is_refused() {
        let mut ledger = Ledger::default();
        ledger.take(7).unwrap();
        assert_eq!(ledger.take(7), Err(7));
        ledger.take(9).unwrap();
        assert_eq!(ledger.take(8), Err(9));
    }

    proptest! {
        /// Against a plain list of what is not done.
        #[test]
        fn any_order_of_holds_and_releases_gives_the_lowest(
            steps in prop::collection::vec((any::<bool>(), 0..64_usize), 1..200),
        ) {
            let mut ledger = Ledger::default();
            let (mut held, mut next) = (Vec::new(), 0);
            for (take, choice) in steps {
                if take || held.is_empty() {
                    ledger.take(next).unwrap();
                    for _ in 0..choice % 3 {
                        ledger.hold(next);
                        held.push(next);
                    }
                    next += 1;
                } else {
                    ledger.release(held.swap_remove(choice % held.len()));
                }
                let lowest = held.iter().copied().min().unwrap_or(next).min(next);
                prop_assert_eq!(ledger.position(None), Some(lowest));
                prop_assert_eq!(ledger.holds_any(), !held.is_empty());
            }
        }
    }
}
