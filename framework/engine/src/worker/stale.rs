//! Which stores on disk can go on from where they are, and which are emptied and restored from the
//! beginning of the topics that they follow.
//!
//! Invariants:
//! - A checkpoint is believed only of the topic it was written for: the same cluster, the same
//!   incarnation of the topic. One that does not say (written by 0.1) is believed if the rest fits,
//!   and says so from then on.
//! - A checkpoint is deleted before the data it speaks of.

use oncestream_core::state::{CHECKPOINTS, Checkpoint, Incarnation, WriteBatch, index_keyspace};
use oncestream_core::{TaskId, TopicPartition};

use super::Worker;
use crate::error::StreamsError;
use crate::ports::{Cluster, Ports};

/// What a store follows, as it is now: a partition of its changelog, or of the topic of its table.
pub(crate) struct Followed<'a> {
    pub(crate) source: &'a Incarnation,
    /// Its first offset, and its high watermark.
    pub(crate) low: i64,
    pub(crate) high: i64,
    /// Where the store is to go on at the latest: what lies between its checkpoint and this is missing.
    pub(crate) end: i64,
    pub(crate) retention_ms: i64,
}

/// Why a store cannot go on from its checkpoint; `None` if it can.
pub(crate) fn staleness(
    checkpoint: Option<&Checkpoint>,
    now: &Followed<'_>,
    now_ms: i64,
) -> Option<&'static str> {
    let Some(c) = checkpoint else { return Some("it has no checkpoint") };
    if c.source.is_other_cluster(now.source) {
        return Some("its checkpoint is of another cluster");
    }
    if c.source.is_other_topic(now.source) {
        return Some("the topic that it follows was deleted and made again");
    }
    if c.offset > now.high {
        return Some("its checkpoint lies past the end of what it follows");
    }
    if c.offset < now.low {
        return Some("the topic that it follows begins after its checkpoint");
    }
    let missed = c.offset < now.end;
    if missed && now_ms.saturating_sub(c.written_at_ms) > now.retention_ms {
        return Some(
            "its checkpoint is older than delete.retention.ms of the topic that it follows",
        );
    }
    None
}

impl<P: Ports> Worker<P> {
    /// The checkpoint of a store of a task.
    pub(super) fn checkpoint(&self, keyspace: &str) -> Result<Option<Checkpoint>, StreamsError> {
        let backend = self.shared.ports.stores().backend();
        let checkpoints = backend.keyspace(CHECKPOINTS)?;
        let mut found = None;
        let read =
            checkpoints.get(keyspace.as_bytes(), &mut |bytes| found = Checkpoint::read(bytes));
        match read {
            Err(error) if error.damaged => {
                tracing::warn!(%error, "the checkpoints are damaged: stores are restored from the beginning");
                backend.drop_keyspace(CHECKPOINTS)?;
                Ok(None)
            }
            other => Ok(other.map(|()| found)?),
        }
    }

    /// Empties the stores of a task that cannot be brought up to date from where they are. Call it
    /// before the task is made, with where its inputs begin.
    pub(super) fn discard_stale_stores(
        &self,
        id: TaskId,
        positions: &[(TopicPartition, i64)],
    ) -> Result<(), StreamsError> {
        let shared = &self.shared;
        let sub = &shared.topology.sub_topologies()[id.sub_topology.0];
        for def in sub.stores.iter().filter_map(|name| shared.topology.store(name)) {
            let application_id = &shared.settings.application_id;
            let Some(topic) = shared.topology.followed_topic(application_id, def) else { continue };
            let keyspace = id.keyspace_name(&def.name);
            let source = self.stores.source_of(&topic);
            let retention_ms = self.cluster().delete_retention_ms(&topic);
            let partition = TopicPartition::new(topic, id.partition);
            let (low, mut high) = self.watermarks(&partition)?;
            let is_exactly_once = shared.settings.is_exactly_once();
            // The marker of the last transaction alone hides no tombstone. At least once there is none.
            let mut end = if is_exactly_once { high - 1 } else { high };
            if def.changelog.is_none()
                && let Some((_, goes_on)) = positions.iter().find(|(of, _)| *of == partition)
            {
                end = *goes_on;
                // Exactly once, a store that is further is one of before a reset. At least once, a crash
                // leaves it so, and what its task repeats does no harm to it.
                if is_exactly_once {
                    high = *goes_on;
                }
            }
            let now = Followed { source: &source, low, high, end, retention_ms };
            let checkpoint = self.checkpoint(&keyspace)?;
            let Some(reason) = staleness(checkpoint.as_ref(), &now, self.wall_clock_ms()) else {
                self.adopt(id, &keyspace, checkpoint, source)?;
                continue;
            };
            tracing::info!(store = %def.name, task = %id, reason, "the store is restored from the beginning");
            // The checkpoint first: without it, data of any kind is known to be stale.
            if !self.forget_checkpoint(id, &keyspace)? {
                return Ok(());
            }
            let backend = self.shared.ports.stores().backend();
            backend.persist()?;
            backend.drop_keyspace(&keyspace)?;
            backend.drop_keyspace(&index_keyspace(&keyspace))?;
        }
        Ok(())
    }

    /// Lets a checkpoint say of which changelog it is, if it does not yet.
    fn adopt(
        &self,
        task: TaskId,
        keyspace: &str,
        checkpoint: Option<Checkpoint>,
        source: Incarnation,
    ) -> Result<(), StreamsError> {
        let Some(checkpoint) = checkpoint else { return Ok(()) };
        // What brokers do not tell this time stays known.
        let source = checkpoint.source.clone().or(source);
        if source == checkpoint.source {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        Checkpoint { source, ..checkpoint }.write(keyspace, &mut batch);
        self.shared.ports.stores().apply(self.index, std::iter::once(task), &batch)?;
        Ok(())
    }

    /// Deletes a checkpoint, so that the store is restored from the beginning. False if the task
    /// belongs to another worker.
    pub(super) fn forget_checkpoint(
        &self,
        task: TaskId,
        keyspace: &str,
    ) -> Result<bool, StreamsError> {
        let mut batch = WriteBatch::default();
        self.shared.ports.stores().backend().keyspace(CHECKPOINTS)?;
        batch.delete(CHECKPOINTS, keyspace.as_bytes());
        Ok(self.shared.ports.stores().apply(self.index, std::iter::once(task), &batch)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(cluster: &str, topic: u128) -> Incarnation {
        Incarnation { cluster: cluster.into(), topic }
    }

    fn judged(offset: i64, written_at_ms: i64, of: Incarnation) -> Option<&'static str> {
        let here = source("here", 7);
        let now = Followed { source: &here, low: 10, high: 20, end: 19, retention_ms: 100 };
        staleness(Some(&Checkpoint { offset, written_at_ms, source: of }), &now, 1000)
    }

    #[test]
    fn a_checkpoint_of_this_changelog_or_of_an_unknown_one_is_believed() {
        for of in [source("here", 7), source("", 0), source("here", 0), source("", 7)] {
            for offset in [10, 20] {
                assert_eq!(judged(offset, 950, of.clone()), None);
            }
        }
    }

    #[test]
    fn offsets_of_another_cluster_or_of_a_topic_of_that_name_before_are_not() {
        assert!(judged(15, 950, source("there", 7)).is_some_and(|why| why.contains("cluster")));
        assert!(judged(15, 950, source("here", 8)).is_some_and(|why| why.contains("made again")));
    }

    #[test]
    fn what_lies_outside_or_may_miss_tombstones_is_not() {
        let here = || source("here", 7);
        assert!(judged(21, 950, here()).is_some());
        assert!(judged(9, 950, here()).is_some());
        assert!(judged(15, 899, here()).is_some());
        assert_eq!(judged(19, 899, here()), None);
        let empty = source("here", 7);
        let now = Followed { source: &empty, low: 0, high: 0, end: -1, retention_ms: 100 };
        assert!(staleness(None, &now, 0).is_some());
    }
}
