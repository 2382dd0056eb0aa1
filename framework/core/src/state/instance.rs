//! What a task needs of any store, whatever its kind: [`StateStore`].
//!
//! It knows no types of keys and values: stores are restored, checked and committed as bytes.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Backend, CacheBudget, Keyspace, Pair, SealedLayer, WriteBatch};
use crate::TopicPartition;
use crate::error::TaskError;
use crate::record::TimestampMs;
use crate::task::{ChangelogId, Collector};

/// The changelog partition of one store of one task.
#[derive(Clone, Debug)]
pub struct ChangelogTarget {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition: that of the task.
    pub partition: i32,
    /// Its index in the worker.
    pub id: ChangelogId,
}

/// All that a store is made from.
pub struct StoreInit {
    /// The store's name.
    pub name: Arc<str>,
    /// Where its data lies.
    pub keyspace_name: Arc<str>,
    /// The open keyspace.
    pub keyspace: Arc<dyn Keyspace>,
    /// Where its changes go; `None` when logging is disabled.
    pub changelog: Option<ChangelogTarget>,
    /// The name of the topic that it follows, or of its changelog topic when logging is disabled: what its
    /// serdes are told.
    pub serde_topic: Arc<str>,
    /// The memory it shares with the other stores of the worker.
    pub budget: Rc<CacheBudget>,
}

/// A store as its task handles it.
pub trait StateStore {
    /// The store's name.
    fn name(&self) -> &Arc<str>;

    /// The keyspace its data lies in.
    fn keyspace_name(&self) -> &Arc<str>;

    /// Its changelog; `None` when logging is disabled.
    fn changelog(&self) -> Option<&ChangelogTarget>;

    /// Opens what it keeps beside its rows to find those that expire, and makes it of the rows if it is not
    /// there; drops it where nothing expires any more. Call it before the first row is restored.
    ///
    /// # Errors
    /// When the backend fails.
    fn open_index(&mut self, backend: &dyn Backend) -> Result<(), TaskError>;

    /// Takes notice of the time of a record that has come to an operator with this store, or of the
    /// [time](Self::time) that it had when it was committed.
    fn observe(&mut self, time: TimestampMs);

    /// The latest time that it has taken notice of, by which its values expire; -1 before the first, and
    /// `None` where it needs no such time. It belongs to the commit: see [`Self::observe`].
    fn time(&self) -> Option<TimestampMs>;

    /// Seals what was written since the last call: each dirty key goes to the changelog once,
    /// and into `batch`, which is applied after the commit.
    ///
    /// # Errors
    /// When a serde or the producer refuses.
    fn seal(
        &mut self,
        collector: &mut dyn Collector,
        batch: &mut WriteBatch,
    ) -> Result<(), TaskError>;

    /// The oldest sealed writes are in the backend.
    fn committed(&mut self);

    /// The layers that are sealed and not yet [`committed`](Self::committed), the oldest first.
    fn sealed(&self) -> Vec<Arc<SealedLayer>>;

    /// Adds what one changelog record says to a batch, on the way back from the changelog. Records
    /// come in their order, and their batches are applied in theirs.
    ///
    /// # Errors
    /// [`TaskError::KeyTooLarge`] and [`TaskError::StoreSerde`], for a record that no store of this
    /// kind has written, and when the backend fails.
    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: TimestampMs,
        batch: &mut WriteBatch,
    ) -> Result<(), TaskError>;

    /// The rows of a keyspace that a store of this kind shows: of a window store those that are not
    /// expired. It is how copies of a store are compared, since what is not shown may be there or not.
    ///
    /// # Errors
    /// When the backend fails, or the keyspace is not one of this kind.
    fn shown(&self, keyspace: &dyn Keyspace) -> Result<Vec<Pair>, TaskError>;

    /// An estimate of the bytes not sealed yet.
    fn uncommitted_bytes(&self) -> usize;
}

/// A store of a task, typed for its nodes and untyped for the task.
#[derive(Clone)]
pub struct StoreInstance {
    pub(crate) typed: Rc<dyn Any>,
    pub(crate) store: Rc<RefCell<dyn StateStore>>,
    source: Option<TopicPartition>,
}

impl StoreInstance {
    /// Wraps a store.
    pub fn new<S: StateStore + 'static>(store: S) -> Self {
        let store = Rc::new(RefCell::new(store));
        Self { typed: Rc::new(store.clone()), store, source: None }
    }

    /// The store, which the records of this input make again.
    pub(crate) fn with_source(self, source: Option<TopicPartition>) -> Self {
        Self { source, ..self }
    }

    /// The input of its task whose records make it again, if it has no changelog for that.
    pub fn source(&self) -> Option<&TopicPartition> {
        self.source.as_ref()
    }

    /// Whether it is lost with its disk.
    pub fn is_lost_with_disk(&self) -> bool {
        self.source.is_none() && self.state().changelog().is_none()
    }

    /// The store without its types, for restoring it and for checkpoints.
    pub fn state(&self) -> std::cell::Ref<'_, dyn StateStore> {
        self.store.borrow()
    }

    /// Takes notice of the time of a record: see [`StateStore::observe`].
    pub fn observe(&self, time: TimestampMs) {
        self.store.borrow_mut().observe(time);
    }

    /// Adds one changelog record to a batch: see [`StateStore::restore`].
    ///
    /// # Errors
    /// Those of [`StateStore::restore`].
    pub fn restore(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: TimestampMs,
        batch: &mut WriteBatch,
    ) -> Result<(), TaskError> {
        self.store.borrow_mut().restore(key, value, timestamp, batch)
    }

    /// The store as what it is, or `None` for another type.
    pub fn downcast<S: 'static>(&self) -> Option<Rc<RefCell<S>>> {
        self.typed.downcast_ref::<Rc<RefCell<S>>>().cloned()
    }
}
