//! Where a partition of an input is to begin. Pure.

use oncestream_core::TopicPartition;

use super::To;
use super::plan::Notice;

/// What is known of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) committed: Option<i64>,
    /// Its first offset.
    pub(super) beginning: i64,
    /// Its last stable offset.
    pub(super) end: i64,
    /// The first offset with a record of the time that was asked for, if one was.
    pub(super) since: Option<i64>,
}

/// The offset to commit, within the log, and what a user should know of it. `None`: there is
/// nothing to shift, and the partition begins as `auto.offset.reset` says.
pub(super) fn target(at: &TopicPartition, to: To, known: Known) -> (Option<i64>, Option<Notice>) {
    let Known { committed, beginning, end, since } = known;
    let (topic, partition) = (at.topic.to_string(), at.partition);
    let asked = match to {
        To::Earliest => return (Some(beginning), None),
        To::Latest => return (Some(end), None),
        To::Offset(offset) => offset,
        To::Time(_) => match since {
            Some(offset) => offset,
            None => return (Some(end), Some(Notice::NoRecordSince { topic, partition, end })),
        },
        To::ShiftBy(by) => match committed {
            Some(committed) => committed.saturating_add(by),
            None => return (None, Some(Notice::NothingToShift { topic, partition })),
        },
    };
    // A log that lost records may end before it begins for a moment.
    let set = asked.min(end).max(beginning);
    let notice = (set != asked).then_some(Notice::Clamped { topic, partition, asked, set });
    (Some(set), notice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(to: To, committed: Option<i64>, since: Option<i64>) -> (Option<i64>, bool) {
        let known = Known { committed, beginning: 10, end: 20, since };
        let (offset, notice) = target(&TopicPartition::new("t", 0), to, known);
        (offset, notice.is_some())
    }

    #[test]
    fn every_target_lies_within_the_log_and_what_was_cut_is_told() {
        assert_eq!(to(To::Earliest, Some(15), None), (Some(10), false));
        assert_eq!(to(To::Latest, None, None), (Some(20), false));
        for (asked, set, told) in
            [(i64::MIN, 10, true), (9, 10, true), (10, 10, false), (20, 20, false), (21, 20, true)]
        {
            assert_eq!(to(To::Offset(asked), None, None), (Some(set), told), "{asked}");
        }
        for (by, set, told) in [
            (0, 15, false),
            (-5, 10, false),
            (-6, 10, true),
            (5, 20, false),
            (6, 20, true),
            (i64::MAX, 20, true),
            (i64::MIN, 10, true),
        ] {
            assert_eq!(to(To::ShiftBy(by), Some(15), None), (Some(set), told), "{by}");
        }
    }

    #[test]
    fn without_a_record_of_that_time_it_is_the_end_and_that_is_told() {
        assert_eq!(to(To::Time(7), None, Some(13)), (Some(13), false));
        assert_eq!(to(To::Time(7), None, None), (Some(20), true));
    }

    #[test]
    fn what_is_not_committed_is_not_shifted() {
        assert_eq!(to(To::ShiftBy(-1), None, None), (None, true));
    }
}
