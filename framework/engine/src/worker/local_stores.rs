//! The first participant of each commit: the local stores of a worker's tasks.
//!
//! Its tasks put rows into one batch while they are flushed. When Kafka has committed, the batch is
//! written, with a checkpoint for each store beside its rows: how far it is in its changelog, or in the topic
//! of its table. The backend may let it wait in memory, but not where a store follows neither. Recovering is
//! the restore's business (`restore/`, `stale.rs`): a store goes on from its checkpoint.

use std::collections::HashMap;
use std::sync::Arc;

use oncestream_core::state::{Checkpoint, Incarnation, StoreInstance, WriteBatch};
use oncestream_core::task::{ChangelogId, Task};
use oncestream_core::{TaskId, TopicPartition};

use crate::participant::{Commit, Participant, ParticipantError};
use crate::ports::Stores;

/// The stores that a worker writes.
pub(super) struct LocalStores {
    stores: Arc<Stores>,
    /// What the commit under way will apply.
    batch: WriteBatch,
    /// Which topics the stores follow, as of the last start of tasks.
    sources: HashMap<Arc<str>, Incarnation>,
    next_changelog: ChangelogId,
}

impl LocalStores {
    pub(super) fn new(stores: Arc<Stores>) -> Self {
        Self {
            stores,
            batch: WriteBatch::default(),
            sources: HashMap::new(),
            next_changelog: ChangelogId(0),
        }
    }

    /// Where tasks put their rows while they are flushed.
    pub(super) fn batch(&mut self) -> &mut WriteBatch {
        &mut self.batch
    }

    /// What is known of a topic that stores follow since the tasks were started.
    pub(super) fn source_of(&self, topic: &str) -> Incarnation {
        self.sources.get(topic).cloned().unwrap_or_default()
    }

    pub(super) fn knows_source(&self, topic: &str) -> bool {
        self.sources.contains_key(topic)
    }

    pub(super) fn set_sources(&mut self, sources: HashMap<Arc<str>, Incarnation>) {
        self.sources = sources;
    }

    /// The next free changelog ids.
    pub(super) fn take_changelog_ids(&mut self, count: usize) -> ChangelogId {
        let first = self.next_changelog;
        self.next_changelog = ChangelogId(first.0.wrapping_add(count as u32));
        first
    }
}

impl Participant for LocalStores {
    fn name(&self) -> &'static str {
        "the local stores"
    }

    /// The worker restores stores by itself, since that takes more than one call.
    fn recover(
        &mut self,
        _task: TaskId,
        _committed: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), ParticipantError> {
        Ok(())
    }

    /// The changelogs have all that a restore needs, and their records are acknowledged.
    fn prepare(&mut self, _commit: &Commit<'_>) -> Result<(), ParticipantError> {
        Ok(())
    }

    /// Puts data and changelog offsets of all stores down together.
    fn apply(&mut self, commit: &Commit<'_>) -> Result<(), ParticipantError> {
        for task in commit.tasks {
            for store in task.stores() {
                let state = store.state();
                let (topic, offset) = match (state.changelog(), store.source()) {
                    (Some(to), _) => (&to.topic, commit.changelogs.get(&to.id).copied()),
                    (None, Some(from)) => (&from.topic, task.changed_offset(from)),
                    (None, None) => continue,
                };
                let Some(offset) = offset else { continue };
                let source = self.source_of(topic);
                let checkpoint = Checkpoint { offset, written_at_ms: commit.now_ms, source };
                checkpoint.write(state.keyspace_name(), &mut self.batch);
            }
        }
        // A task without a store owns nothing here, and may have a twin with other partitions.
        let with_stores = commit.tasks.iter().filter(|task| !task.stores().is_empty());
        let applied = self.stores.apply(commit.worker, with_stores.map(|t| t.id()), &self.batch);
        // A kill takes what waits in memory. Only the topic that a store follows brings it back.
        let loses_any = |task: &Task| task.stores().iter().any(StoreInstance::is_lost_with_disk);
        let applied = match applied {
            Ok(true) if commit.tasks.iter().copied().any(loses_any) => {
                self.stores.write_down().map(|()| true)
            }
            applied => applied,
        };
        match applied {
            Ok(true) => {
                self.batch.clear();
                Ok(())
            }
            // What is committed is committed; the tasks follow their changelogs from here.
            Ok(false) => Err(ParticipantError::Moved),
            Err(error) => Err(ParticipantError::Fatal(Box::new(error))),
        }
    }

    fn discard(&mut self) {
        self.batch.clear();
    }
}
