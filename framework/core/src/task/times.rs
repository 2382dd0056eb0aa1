//! Times that nodes and stores remember across restarts, such as how far an aggregation's own time has
//! come.
//!
//! They travel in the metadata of the committed offsets, with the names that Kafka Streams' processor
//! metadata would have: so they are as far as the offsets are, whatever crashed. A time only rises.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::TimestampMs;

/// A time that a node of a task remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeId(usize);

/// The times of one task.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<(Arc<str>, TimestampMs)>);

impl Times {
    /// The time of this name, -1 at first. One name is one time.
    pub(super) fn add(&mut self, name: &str) -> TimeId {
        let known = self.0.iter().position(|(known, _)| **known == *name);
        TimeId(known.unwrap_or_else(|| {
            self.0.push((name.into(), -1));
            self.0.len() - 1
        }))
    }

    pub(super) fn get(&self, id: TimeId) -> TimestampMs {
        self.0.get(id.0).map_or(-1, |(_, time)| *time)
    }

    pub(super) fn advance(&mut self, id: TimeId, to: TimestampMs) {
        if let Some((_, time)) = self.0.get_mut(id.0) {
            *time = to.max(*time);
        }
    }

    /// Takes over what was committed beside one input. What no node remembers any more is left out.
    pub(super) fn recall(&mut self, committed: &BTreeMap<String, TimestampMs>) {
        for (name, time) in &mut self.0 {
            *time = committed.get(&**name).map_or(*time, |committed| *committed.max(time));
        }
    }

    /// Those that have begun, for the metadata of an offset.
    pub(super) fn begun(&self) -> BTreeMap<String, TimestampMs> {
        let begun = self.0.iter().filter(|(_, time)| *time >= 0);
        begun.map(|(name, time)| (name.to_string(), *time)).collect()
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
}
