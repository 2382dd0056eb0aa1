//! The input topics of one application: how they are named, and how many partitions they have.
//!
//! The first is named by the application, the others match its pattern. Knows nothing of records.
//! Invariant: what is told here exists, and all nodes know it.

use std::sync::{Mutex, PoisonError};

/// Input topics, which come and grow.
pub(crate) struct Inputs {
    first: String,
    /// Of each topic the number of partitions.
    counts: Mutex<Vec<i32>>,
}

impl Inputs {
    /// One topic that is there.
    pub(crate) fn new(first: String, partitions: i32) -> Self {
        Self { first, counts: Mutex::new(vec![partitions]) }
    }

    /// The topic that the application names.
    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    /// What all others match, and nothing else does.
    pub(crate) fn pattern(&self) -> String {
        format!("{}-[0-9]+", self.first)
    }

    /// The name of a topic, be it there or not.
    pub(crate) fn name(&self, topic: usize) -> String {
        if topic == 0 { self.first.clone() } else { format!("{}-{topic}", self.first) }
    }

    /// The names of those that are there.
    pub(crate) fn names(&self) -> Vec<String> {
        (0..self.counts().len()).map(|topic| self.name(topic)).collect()
    }

    /// Their partitions.
    pub(crate) fn counts(&self) -> Vec<i32> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the partitions of a topic, which may be the next one.
    pub(crate) fn set(&self, topic: usize, partitions: i32) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let length = counts.len().max(topic + 1);
        counts.resize(length, 0);
        counts[topic] = partitions;
    }
}
