//! One input partition of a task: its queue, its offsets, and whether the broker has more for it.
//!
//! The client tells that a partition is at its end behind all records it gave. Until it has, the broker
//! is taken to have more: an input of which nothing is known yet could hold the earliest record.

use super::OffsetMetadata;
use super::ledger::Ledger;
use super::readiness::InputFact;
use super::run::Position;
use super::source::SourceQueue;
use super::times::Times;
use crate::TopicPartition;
use crate::record::TimestampMs;

/// What the broker has behind the last record taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beyond {
    /// More, or nobody knows.
    More,
    /// Nothing. Since when the queue is empty too, by the wall clock.
    Nothing { empty_since_ms: Option<TimestampMs> },
}

/// One input partition.
pub(crate) struct Input {
    pub(super) partition: TopicPartition,
    pub(super) ledger: Ledger,
    pub(super) queue: Box<dyn SourceQueue>,
    beyond: Beyond,
}

impl Input {
    pub(super) fn new(partition: TopicPartition, queue: Box<dyn SourceQueue>) -> Self {
        Self { partition, ledger: Ledger::default(), queue, beyond: Beyond::More }
    }

    /// A record comes in. The last one taken, if this one does not lie behind it.
    pub(super) fn take(&mut self, offset: i64) -> Result<(), i64> {
        self.beyond = Beyond::More;
        self.ledger.take(offset)
    }

    /// There was nothing at this offset. It was told late if a record behind it is here.
    pub(super) fn at_end(&mut self, offset: i64, now_ms: TimestampMs) {
        if self.beyond == Beyond::More && !self.ledger.is_past(offset) {
            self.beyond = Beyond::Nothing { empty_since_ms: None };
            self.emptied(now_ms);
        }
    }

    /// If the queue is empty, it is so from now on.
    pub(super) fn emptied(&mut self, now_ms: TimestampMs) {
        if let Beyond::Nothing { empty_since_ms: empty @ None } = &mut self.beyond
            && self.queue.len() == 0
        {
            *empty = Some(now_ms);
        }
    }

    /// What is known of it.
    pub(super) fn fact(&mut self, now_ms: TimestampMs) -> InputFact {
        match (self.queue.head(), &mut self.beyond) {
            (Some(head), _) => InputFact::Waiting(head.timestamp),
            (None, Beyond::Nothing { empty_since_ms: Some(since) }) => {
                // A clock that was set back would have it wait until the old time comes again.
                *since = now_ms.min(*since);
                InputFact::AtEnd(*since)
            }
            (None, _) => InputFact::More,
        }
    }

    /// What to commit. `None` while nothing is known.
    pub(super) fn position(&self, times: &Times) -> Option<Position> {
        Some(self.position_at(self.offset()?, times))
    }

    /// The offset of the position.
    pub(super) fn offset(&self) -> Option<i64> {
        self.ledger.position(self.waiting())
    }

    /// The offset of the position, if it is not what is committed.
    pub(super) fn changed_offset(&self) -> Option<i64> {
        self.ledger.changed(self.waiting())
    }

    /// The position, if it is not what is committed.
    pub(super) fn changed(&self, times: &Times) -> Option<Position> {
        Some(self.position_at(self.changed_offset()?, times))
    }

    /// The position is committed.
    pub(super) fn committed(&mut self) {
        let position = self.offset();
        self.ledger.set_committed(position);
    }

    /// The offset of the first record that waits.
    fn waiting(&self) -> Option<i64> {
        self.queue.head().map(|head| head.offset)
    }

    fn position_at(&self, offset: i64, times: &Times) -> Position {
        let metadata =
            OffsetMetadata { partition_time: self.queue.partition_time(), times: times.begun() };
        Position { partition: self.partition.clone(), offset, metadata }
    }
}
