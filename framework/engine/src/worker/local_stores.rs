//! The first participant of each commit: the local stores of a worker's tasks.
//!
//! Its tasks put rows into one batch while they are flushed. When Kafka has committed, the batch is
//! written, with a checkpoint for each store beside its rows. The backend may let it wait in memory, but
//! not where a store has no changelog. Recovering is the restore's business
//! (`restore.rs`, `stale.rs`): a store follows its changelog from its checkpoint.

use std::collections::HashMap;
use std::sync::Arc;

use oncestream_core::state::{Checkpoint, Incarnation, WriteBatch};
use oncestream_core::task::{ChangelogId, Task};
use oncestream_core::{TaskId, TopicPartition};

use crate::participant::{Commit, Participant, ParticipantError};
use crate::ports::Stores;

/// The stores that a worker writes.
pub(super) struct LocalStores {
    stores: Arc<Stores>,
    /// What the commit under way will apply.
    batch: WriteBatch,
    /// Which topics the changelogs are, as of the last start of tasks.
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

    /// What is known of a changelog's topic since the tasks were started.
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
        for store in commit.tasks.iter().flat_map(|task| task.stores()) {
            let store = store.state();
            let Some(changelog) = store.changelog() else { continue };
            let Some(offset) = commit.changelogs.get(&changelog.id) else { continue };
            let source = self.source_of(&changelog.topic);
            let checkpoint = Checkpoint { offset: *offset, written_at_ms: commit.now_ms, source };
            checkpoint.write(store.keyspace_name(), &mut self.batch);
        }
        // A task without a store owns nothing here, and may have a twin with other partitions.
        let with_stores = commit.tasks.iter().filter(|task| !task.stores().is_empty());
        let applied = self.stores.apply(commit.worker, with_stores.map(|t| t.id()), &self.batch);
        // A kill takes what waits in memory. A changelog brings it back, and nothing else does.
        let logs_all = |task: &Task| task.stores().iter().all(|s| s.state().changelog().is_some());
        let applied = match applied {
            Ok(true) if !commit.tasks.iter().copied().all(logs_all) => {
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
