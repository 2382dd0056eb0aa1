//! The beginnings of inputs that have no committed offset, until they are committed.
//!
//! Invariant: while a store may already hold what its inputs would add a second time, the beginnings of
//! those inputs are not committed. Otherwise the next start would find offsets, and would not check.

use std::collections::HashSet;
use std::time::Instant;

use oncestream_core::TopicPartition;
use oncestream_core::task::Position;

use super::Worker;
use super::restore::{LOOK_EVERY, UNSETTLED_LIMIT};
use crate::client_error::{ClientError, ClientFault as _};
use crate::error::StreamsError;
use crate::ports::{GroupConsumer, Ports};
use crate::verdict::ErrorKind;

/// The beginnings that are to be committed before their tasks run.
#[derive(Default)]
pub(super) struct Starts {
    uncommitted: Vec<Position>,
    next_commit: Option<Instant>,
    /// Since when the coordinator does not take them.
    refused_since: Option<Instant>,
    /// Inputs of waiting tasks of which none has a committed offset.
    held: HashSet<TopicPartition>,
}

impl Starts {
    /// Nothing is assigned.
    pub(super) fn clear(&mut self) {
        self.uncommitted.clear();
        self.held.clear();
    }

    pub(super) fn add(&mut self, start: Position) {
        self.uncommitted.push(start);
    }

    /// Holds the beginnings of these inputs back until their tasks are there.
    pub(super) fn hold(&mut self, inputs: HashSet<TopicPartition>) {
        self.held = inputs;
    }

    /// Whether something of a task's inputs is still to be committed before it may run.
    pub(super) fn has_any_of(&self, partitions: &[TopicPartition]) -> bool {
        self.uncommitted.iter().any(|start| partitions.contains(&start.partition))
    }

    fn is_due(&self, now: Instant) -> bool {
        !self.uncommitted.is_empty() && self.next_commit.is_none_or(|at| now >= at)
    }
}

impl<P: Ports> Worker<P> {
    /// Commits where partitions begin that have nothing committed there, as soon as that can be
    /// done: the group may be changing, or its coordinator away.
    pub(super) fn commit_starts(&mut self) -> Result<(), StreamsError> {
        let now = self.now();
        if !self.starts.is_due(now) || !self.group.is_confirmed() || self.consumer.is_rebalancing()
        {
            return Ok(());
        }
        self.starts.next_commit = Some(now + LOOK_EVERY);
        let (held, free): (Vec<_>, Vec<_>) = std::mem::take(&mut self.starts.uncommitted)
            .into_iter()
            .partition(|start| self.must_not_begin(&start.partition));
        let done = if free.is_empty() { Ok(()) } else { self.consumer.commit(&free) };
        self.starts.uncommitted = held;
        let Err(error) = done else {
            self.starts.refused_since = None;
            return Ok(());
        };
        self.starts.uncommitted.extend(free);
        // A coordinator may not know of a topic yet that the others know.
        let is_patient = now - *self.starts.refused_since.get_or_insert(now) < UNSETTLED_LIMIT;
        if error.is_transient()
            || error.is_unsettled() && is_patient
            || is_fenced_by_a_rejoin(&error, self)
        {
            tracing::info!(worker = self.index, %error, "the first positions are not committed yet");
            return Ok(());
        }
        Err(StreamsError::client("committing the first positions", error))
    }

    /// Whether the store of a partition's task may turn out to be a reason not to begin.
    fn must_not_begin(&self, partition: &TopicPartition) -> bool {
        let of_task = self.tasks.entries().iter().find(|e| e.partitions.contains(partition));
        match of_task {
            Some(entry) => entry.offsets_missing && self.restorer.is_restoring(entry.task.id()),
            None => self.starts.held.contains(partition),
        }
    }
}

/// A broker answers a static member that was thought dead that it is fenced, until it joins again.
fn is_fenced_by_a_rejoin<P: Ports>(error: &ClientError, worker: &Worker<P>) -> bool {
    error.kind() == ErrorKind::Instance && worker.consumer.is_rebalancing()
}
