//! Whether a global table goes on from its checkpoints, or is read from the beginning. Pure.
//!
//! Each partition is judged as the changelog of a task's store is (`worker/stale.rs`). The rows of all
//! partitions lie side by side, so a table is emptied as a whole.

use oncestream_core::state::{Checkpoint, Incarnation};

use crate::worker::stale::{Followed, staleness};

/// A partition of the topic of a global table.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// How far the table has come on this disk.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Its first offset.
    pub(super) low: i64,
    /// Its high watermark.
    pub(super) high: i64,
    /// Its last stable offset.
    pub(super) end: i64,
}

impl Partition {
    /// From this offset on, of a table that was whole up to it at this time.
    fn from(&self, next: i64, as_of_ms: i64) -> Reading {
        Reading { next, target: self.end, as_of_ms }
    }
}

/// How a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The first offset that is not in the table.
    pub(super) next: i64,
    /// Where the table is restored.
    pub(super) target: i64,
    /// When the table was at the end of the partition last, or began with it, in milliseconds of wall clock.
    /// Deletions that the topic forgot since may be missing.
    pub(super) as_of_ms: i64,
}

/// Where a table begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// So, partition by partition.
    GoOn(Vec<Reading>),
    /// Nowhere: it is emptied, and read from the first offsets. The reason is for the log.
    Anew(&'static str),
}

/// Decides for one table. `has_more` says that there is a checkpoint of a partition that the topic does not
/// have.
pub(super) fn begin(
    partitions: &[Partition],
    has_more: bool,
    source: &Incarnation,
    retention_ms: i64,
    now_ms: i64,
) -> Begin {
    // Each batch has the checkpoints of all partitions that there were. So those without one are the last
    // ones, which the topic got since.
    let Some(known) = partitions.iter().rposition(|p| p.checkpoint.is_some()) else {
        return Begin::Anew("it has no checkpoint");
    };
    if has_more {
        return Begin::Anew("its topic has fewer partitions than before");
    }
    let mut readings = Vec::with_capacity(partitions.len());
    for (at, partition) in partitions.iter().enumerate() {
        let Partition { checkpoint, low, high, .. } = partition;
        if at > known {
            readings.push(partition.from(*low, now_ms));
            continue;
        }
        let now = Followed { source, low: *low, high: *high, end: *high, retention_ms };
        match (staleness(checkpoint.as_ref(), &now, now_ms), checkpoint) {
            (None, Some(Checkpoint { offset, written_at_ms, .. })) => {
                readings.push(partition.from(*offset, *written_at_ms));
            }
            (reason, _) => return Begin::Anew(reason.unwrap_or("it has no checkpoint")),
        }
    }
    Begin::GoOn(readings)
}

/// All partitions from their first offsets, for a table that is empty.
pub(super) fn from_the_beginning(partitions: &[Partition], now_ms: i64) -> Vec<Reading> {
    partitions.iter().map(|partition| partition.from(partition.low, now_ms)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(topic: u128) -> Incarnation {
        Incarnation { cluster: "here".into(), topic }
    }

    fn partition(offset: Option<i64>) -> Partition {
        let at = |offset| Checkpoint { offset, written_at_ms: 950, source: of(7) };
        Partition { checkpoint: offset.map(at), low: 10, high: 20, end: 20 }
    }

    fn begun(offsets: &[Option<i64>]) -> Begin {
        let partitions: Vec<_> = offsets.iter().map(|offset| partition(*offset)).collect();
        begin(&partitions, false, &of(7), 100, 1000)
    }

    #[test]
    fn a_table_goes_on_from_its_checkpoints_and_new_partitions_begin_at_their_first_record() {
        let at = |next, as_of_ms| Reading { next, target: 20, as_of_ms };
        assert_eq!(begun(&[Some(15), Some(20)]), Begin::GoOn(vec![at(15, 950), at(20, 950)]));
        let with_new = vec![at(15, 950), at(10, 1000), at(10, 1000)];
        assert_eq!(begun(&[Some(15), None, None]), Begin::GoOn(with_new));
        assert_eq!(from_the_beginning(&[partition(None)], 1000), [at(10, 1000)]);
    }

    #[test]
    fn one_partition_that_cannot_go_on_empties_the_whole_table() {
        for offsets in [[None, None], [None, Some(15)], [Some(15), Some(9)], [Some(21), Some(15)]] {
            assert!(matches!(begun(&offsets), Begin::Anew(_)), "{offsets:?}");
        }
    }

    #[test]
    fn a_topic_that_was_made_again_or_has_fewer_partitions_empties_it_too() {
        let partitions = [partition(Some(15))];
        let anew = |begin| matches!(begin, Begin::Anew(_));
        assert!(anew(begin(&partitions, false, &of(8), 100, 1000)));
        assert!(anew(begin(&partitions, true, &of(7), 100, 1000)));
        // Tombstones may be gone.
        assert!(anew(begin(&partitions, false, &of(7), 100, 2000)));
        assert!(!anew(begin(&partitions, false, &of(7), 2000, 2000)));
    }
}
