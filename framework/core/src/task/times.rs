//! Times that nodes and stores remember across restarts, such as how far an aggregation's own time has
//! come; and other numbers that only rise.
//!
//! They travel in the metadata of the committed offsets, with the names that Kafka Streams' processor
//! metadata would have: so they are as far as the offsets are, whatever crashed.
//!
//! A commit tells of the inputs that it moves, so what was committed beside another input may be older.
//! Therefore a time only rises, and the latest is recalled. A mark may also fall: it goes with the number of
//! its changes, and that of the most changes is recalled.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::TimestampMs;

/// A time that a node of a task remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeId(usize);

/// A time of a task that may also fall, such as the earliest of what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkId(usize);

/// The times of one task.
#[derive(Debug, Default)]
pub(crate) struct Times {
    rising: Vec<(Arc<str>, TimestampMs)>,
    marks: Vec<Mark>,
}

#[derive(Debug)]
struct Mark {
    name: Arc<str>,
    at: TimestampMs,
    /// The name of the number of changes.
    counted: Arc<str>,
    /// 0 before the mark is set first.
    changes: i64,
}

impl Times {
    /// The time of this name, -1 at first. One name is one time.
    pub(super) fn add(&mut self, name: &str) -> TimeId {
        let known = self.rising.iter().position(|(known, _)| **known == *name);
        TimeId(known.unwrap_or_else(|| {
            self.rising.push((name.into(), -1));
            self.rising.len() - 1
        }))
    }

    /// The mark of this name. One name is one mark.
    pub(super) fn add_mark(&mut self, name: &str) -> MarkId {
        let known = self.marks.iter().position(|known| *known.name == *name);
        MarkId(known.unwrap_or_else(|| {
            let counted = format!("{name}-changes").into();
            self.marks.push(Mark { name: name.into(), at: -1, counted, changes: 0 });
            self.marks.len() - 1
        }))
    }

    pub(super) fn get(&self, id: TimeId) -> TimestampMs {
        self.rising.get(id.0).map_or(-1, |(_, time)| *time)
    }

    pub(super) fn advance(&mut self, id: TimeId, to: TimestampMs) {
        if let Some((_, time)) = self.rising.get_mut(id.0) {
            *time = to.max(*time);
        }
    }

    pub(super) fn mark(&self, id: MarkId) -> Option<TimestampMs> {
        self.marks.get(id.0).filter(|mark| mark.changes > 0).map(|mark| mark.at)
    }

    pub(super) fn set_mark(&mut self, id: MarkId, to: TimestampMs) {
        if let Some(mark) = self.marks.get_mut(id.0)
            && (mark.changes == 0 || mark.at != to)
        {
            mark.at = to;
            mark.changes += 1;
        }
    }

    /// Takes over what was committed beside one input. What no node remembers any more is left out.
    pub(super) fn recall(&mut self, committed: &BTreeMap<String, TimestampMs>) {
        for (name, time) in &mut self.rising {
            *time = committed.get(&**name).map_or(*time, |committed| *committed.max(time));
        }
        for mark in &mut self.marks {
            let told = committed.get(&*mark.counted).zip(committed.get(&*mark.name));
            if let Some((changes, at)) = told.filter(|(changes, _)| **changes > mark.changes) {
                (mark.changes, mark.at) = (*changes, *at);
            }
        }
    }

    /// Those that have begun, for the metadata of an offset.
    pub(super) fn begun(&self) -> BTreeMap<String, TimestampMs> {
        let begun = self.rising.iter().filter(|(_, time)| *time >= 0);
        let marks = self.marks.iter().filter(|mark| mark.changes > 0);
        let marks = marks.flat_map(|mark| [(&mark.name, mark.at), (&mark.counted, mark.changes)]);
        let begun = begun.map(|(name, time)| (name, *time)).chain(marks);
        begun.map(|(name, time)| (name.to_string(), time)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_rises_and_the_latest_that_was_committed_is_recalled() {
        let mut times = Times::default();
        let (one, two) = (times.add("one"), times.add("two"));
        assert_eq!(times.add("one"), one);
        times.advance(one, 7);
        times.advance(one, 5);
        assert_eq!((times.get(one), times.get(two)), (7, -1));
        assert_eq!(times.begun(), BTreeMap::from([("one".to_owned(), 7)]));

        let mut restarted = Times::default();
        let (two, one) = (restarted.add("two"), restarted.add("one"));
        restarted.recall(&BTreeMap::from([("one".to_owned(), 9), ("gone".to_owned(), 1)]));
        restarted.recall(&times.begun());
        assert_eq!((restarted.get(one), restarted.get(two)), (9, -1));
    }

    #[test]
    fn a_mark_may_fall_and_the_one_of_the_most_changes_is_recalled() {
        let mut times = Times::default();
        let mark = times.add_mark("first");
        assert_eq!((times.add_mark("first"), times.mark(mark)), (mark, None));
        assert!(times.begun().is_empty());
        times.set_mark(mark, 9);
        let older = times.begun();
        times.set_mark(mark, 9);
        assert_eq!(times.begun(), older, "it has not changed");
        times.set_mark(mark, 3);
        let newer = times.begun();

        for order in [[&older, &newer], [&newer, &older]] {
            let mut restarted = Times::default();
            let mark = restarted.add_mark("first");
            for committed in order {
                restarted.recall(committed);
            }
            assert_eq!(restarted.mark(mark), Some(3), "whichever input is asked first");
            restarted.set_mark(mark, 5);
            restarted.recall(&newer);
            assert_eq!(restarted.mark(mark), Some(5));
        }
    }
}
