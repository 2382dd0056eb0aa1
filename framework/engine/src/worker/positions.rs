//! Where the inputs of an assignment begin.
//!
//! Invariants:
//! - Where a partition begins is committed as soon as it is known, and before its task runs. Whoever
//!   gets it next begins where this member would have, and not at a newer end.
//! - While a store may already hold what its inputs would add a second time, the beginnings of those
//!   inputs are not committed. Otherwise the next start would find offsets, and would not check.
//! - The worker logs a position that differs from the committed one.
//! - Nothing begins at an offset that bears the mark of a reset: what the stores hold may be gone, or
//!   not yet (`reset/plan.rs`).

use std::time::{Duration, Instant};

use oncestream_core::TopicPartition;
use oncestream_core::task::{OffsetMetadata, Position};

use super::Worker;
use super::restore::{LOOK_EVERY, LOOK_TIMEOUT, UNSETTLED_LIMIT};
use crate::client_error::ClientFault as _;
use crate::error::StreamsError;
use crate::ports::{Cluster, Committed, GroupConsumer, Ports};
use crate::settings::AutoOffsetReset;

/// How long the leaders of all inputs may take to know ends that were committed: longer than a
/// leader that was cut off takes to learn that it is none.
pub(super) const END_PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a partition when it is assigned.
#[derive(Clone, Copy, Debug)]
struct Known {
    committed: Option<i64>,
    /// Its first offset.
    low: i64,
    /// Its high watermark.
    high: i64,
}

/// Where a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// Where it was left.
    Committed(i64),
    /// At its first record, because nothing is committed.
    Start(i64),
    /// At the end that a consumer sees, because nothing is committed.
    End,
    /// At its first record: those between the committed offset and it are deleted.
    BehindGap(i64),
    /// At the end, which lies before the committed offset: the log has lost records that were
    /// processed. (Brokers forget the offsets of a topic that is deleted.)
    ShorterEnd,
    /// Nowhere: the user wants to be asked.
    Refused,
}

/// Whose a topic is, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Input,
    /// Ours from its first record on, whatever is asked of the inputs.
    Repartition,
    /// The changelog of a table too. A restore begins with its first record, so the table does: a row that is
    /// there, and was never forwarded, would be taken away from an aggregation that never had it.
    TableTopic,
}

/// Where a partition begins.
fn begin(known: Known, reset: AutoOffsetReset, role: Role) -> Begin {
    let Known { committed, low, high } = known;
    let reset = match (role, reset) {
        (Role::Repartition, _) | (Role::TableTopic, AutoOffsetReset::Latest) => {
            AutoOffsetReset::Earliest
        }
        _ => reset,
    };
    match (committed, reset) {
        (Some(offset), _) if (low..=high).contains(&offset) => Begin::Committed(offset),
        (_, AutoOffsetReset::None) => Begin::Refused,
        (Some(offset), _) if offset < low => Begin::BehindGap(low),
        (Some(_), _) => Begin::ShorterEnd,
        (None, AutoOffsetReset::Earliest) => Begin::Start(low),
        (None, AutoOffsetReset::Latest) => Begin::End,
    }
}

impl<P: Ports> Worker<P> {
    /// Where each of the assigned partitions begins. What has no committed offset there is noted,
    /// to be committed before the first record.
    pub(super) fn first_positions(
        &mut self,
        partitions: &[TopicPartition],
        committed: &[Option<Committed>],
    ) -> Result<Vec<i64>, StreamsError> {
        let bounds = self.cluster().bounds(partitions);
        let patience = self.now() + END_PATIENCE;
        let mut positions = Vec::with_capacity(partitions.len());
        self.starts.clear();
        for (partition, c) in partitions.iter().zip(committed) {
            if c.as_ref().is_some_and(|c| c.is_resetting) {
                let (topic, partition) = (partition.topic.to_string(), partition.partition);
                return Err(StreamsError::ResetUnfinished { topic, partition });
            }
            if let Some(c) = c.as_ref().filter(|c| !c.is_own) {
                tracing::warn!(
                    %partition, offset = c.offset, group = &*self.shared.settings.application_id,
                    "the committed offset was not written by this application: it was set by hand, \
                     or another consumer has this group.id and needs one of its own"
                );
            }
        }
        for ((partition, committed), bounds) in partitions.iter().zip(committed).zip(bounds) {
            let begin =
                self.begin(partition, committed.as_ref().map(|c| c.offset), bounds, patience)?;
            let offset = match begin {
                Begin::Committed(offset) | Begin::Start(offset) | Begin::BehindGap(offset) => {
                    offset
                }
                Begin::End | Begin::ShorterEnd => self.stable_end(partition)?,
                Begin::Refused => return Err(refused(partition, committed.as_ref())),
            };
            if !matches!(begin, Begin::Committed(_)) {
                let metadata =
                    committed.as_ref().map_or_else(OffsetMetadata::unknown, |c| c.metadata.clone());
                let partition = partition.clone();
                self.starts.add(Position { partition, offset, metadata });
            }
            positions.push(offset);
        }
        Ok(positions)
    }

    /// Decides for one partition, and logs what a user should know.
    fn begin(
        &self,
        partition: &TopicPartition,
        committed: Option<i64>,
        bounds: Option<(i64, i64)>,
        patience: Instant,
    ) -> Result<Begin, StreamsError> {
        let (low, high) = match (bounds, committed) {
            // A leader that is new may not know yet the end that was committed: it is asked more
            // than once before the log is taken for another.
            (Some((_, high)), Some(offset)) if high < offset => {
                self.end_after(partition, offset, patience)?
            }
            (Some(bounds), _) => bounds,
            // Its leader is away. If the offset is not there, the consumer will say so.
            (None, Some(offset)) => return Ok(Begin::Committed(offset)),
            (None, None) => self.watermarks(partition)?,
        };
        let reset = self.shared.settings.auto_offset_reset;
        let begin = begin(Known { committed, low, high }, reset, self.role(&partition.topic));
        match begin {
            Begin::BehindGap(start) => tracing::warn!(
                %partition, ?committed, start,
                "records were deleted before they were read: going on at the first one left"
            ),
            Begin::ShorterEnd => tracing::warn!(
                %partition, ?committed, end = high,
                "the committed offset lies past the end, because the log has lost records that \
                 were processed: going on at the end"
            ),
            _ => {}
        }
        Ok(begin)
    }

    /// The bounds of a partition once its end has reached an offset, or when it should have.
    pub(super) fn end_after(
        &self,
        partition: &TopicPartition,
        offset: i64,
        patience: Instant,
    ) -> Result<(i64, i64), StreamsError> {
        loop {
            let bounds = self.watermarks(partition)?;
            if bounds.1 >= offset || self.now() >= patience || self.is_stopping() {
                return Ok(bounds);
            }
            self.sleep(LOOK_EVERY);
        }
    }

    /// The end that a consumer of this application sees: if it reads committed, the last stable
    /// offset. Records of a transaction that is open now come after it.
    fn stable_end(&self, partition: &TopicPartition) -> Result<i64, StreamsError> {
        let deadline = self.now() + UNSETTLED_LIMIT;
        loop {
            match self.consumer.end_offset(partition, LOOK_TIMEOUT) {
                Ok(end) => return Ok(end),
                Err(e) if e.is_unsettled() && self.now() < deadline && !self.is_stopping() => {
                    self.sleep(LOOK_EVERY);
                }
                Err(e) => {
                    let action = format!("reading the end of {partition}");
                    return Err(StreamsError::reading(action, &partition.topic, e));
                }
            }
        }
    }

    fn role(&self, topic: &str) -> Role {
        let topology = &self.shared.topology;
        let mut of_tables = topology.stores().iter().filter_map(|s| topology.source_topic_of(s));
        match of_tables.any(|table_topic| **table_topic == *topic) {
            true => Role::TableTopic,
            false if self.is_repartition(topic) => Role::Repartition,
            false => Role::Input,
        }
    }

    /// Whether a topic is a repartition topic of this application.
    pub(super) fn is_repartition(&self, topic: &str) -> bool {
        let application_id = &self.shared.settings.application_id;
        let mut own = self.shared.topology.repartitions().iter();
        own.any(|def| &*def.topic.resolve(application_id) == topic)
    }
}

fn refused(partition: &TopicPartition, committed: Option<&Committed>) -> StreamsError {
    let (topic, partition) = (partition.topic.to_string(), partition.partition);
    match committed {
        None => StreamsError::NoCommittedOffset { topic, partition },
        Some(Committed { offset, .. }) => {
            StreamsError::CommittedOffsetOutOfRange { topic, partition, offset: *offset }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AutoOffsetReset::{Earliest, Latest, None as NoReset};

    fn at(committed: Option<i64>, reset: AutoOffsetReset) -> Begin {
        begin(Known { committed, low: 10, high: 20 }, reset, Role::Input)
    }

    #[test]
    fn what_is_committed_and_there_is_where_it_begins() {
        for reset in [Earliest, Latest, NoReset] {
            for offset in [10, 15, 20] {
                assert_eq!(at(Some(offset), reset), Begin::Committed(offset));
            }
        }
    }

    #[test]
    fn records_that_are_gone_are_never_jumped_over_to_the_end() {
        assert_eq!(at(Some(9), Earliest), Begin::BehindGap(10));
        assert_eq!(at(Some(9), Latest), Begin::BehindGap(10));
        assert_eq!(at(Some(9), NoReset), Begin::Refused);
    }

    #[test]
    fn a_log_that_lost_records_goes_on_at_its_end() {
        assert_eq!(at(Some(21), Earliest), Begin::ShorterEnd);
        assert_eq!(at(Some(21), Latest), Begin::ShorterEnd);
        assert_eq!(at(Some(21), NoReset), Begin::Refused);
    }

    #[test]
    fn without_anything_committed_the_reset_decides_but_for_our_own_topics() {
        assert_eq!(at(None, Earliest), Begin::Start(10));
        assert_eq!(at(None, Latest), Begin::End);
        assert_eq!(at(None, NoReset), Begin::Refused);
        let known = Known { committed: None, low: 10, high: 20 };
        assert_eq!(begin(known, Latest, Role::Repartition), Begin::Start(10));
        assert_eq!(begin(known, NoReset, Role::Repartition), Begin::Start(10));
        assert_eq!(begin(known, Latest, Role::TableTopic), Begin::Start(10));
        assert_eq!(begin(known, NoReset, Role::TableTopic), Begin::Refused);
    }
}
