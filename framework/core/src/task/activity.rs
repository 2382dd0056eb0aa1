//! What a task does at the moment, for whoever has to tell where a panic came from.

use std::fmt;

use super::run::{InputId, Task};
use crate::TopicPartition;

/// What a task was in the middle of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It read or processed this record, or wrote what came of it.
    Record {
        /// The input.
        partition: TopicPartition,
        /// The record's offset.
        offset: i64,
    },
    /// Its processors were being started.
    Start,
    /// A schedule was due.
    Punctuation,
    /// A commit took out of its caches and stores what records had left there.
    Flush,
    /// Its processors were being closed.
    Close,
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { partition, offset } => write!(f, "at {partition} at offset {offset}"),
            Self::Start => f.write_str("while its processors were started"),
            Self::Punctuation => f.write_str("in a punctuation"),
            Self::Flush => f.write_str("while its caches and stores were flushed for a commit"),
            Self::Close => f.write_str("while its processors were closed"),
        }
    }
}

/// What a task does, for [`Task::activity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Doing {
    #[default]
    Nothing,
    /// It has the record of an input in hand that has this offset.
    Record(InputId, i64),
    Start,
    Punctuation,
    Flush,
    Close,
}

impl Task {
    /// What it is in the middle of. Asked after a panic: a call that has returned has ended it.
    pub fn activity(&self) -> Option<Activity> {
        match self.doing {
            Doing::Nothing => None,
            Doing::Record(input, offset) => {
                let partition = self.inputs.get(input.0)?.partition.clone();
                Some(Activity::Record { partition, offset })
            }
            Doing::Start => Some(Activity::Start),
            Doing::Punctuation => Some(Activity::Punctuation),
            Doing::Flush => Some(Activity::Flush),
            Doing::Close => Some(Activity::Close),
        }
    }
}
