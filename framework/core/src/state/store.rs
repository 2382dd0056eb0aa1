//! What a task needs of any store, whatever its kind: [`StateStore`].
//!
//! A store kind is a typed overlay with a mapping to keyspace bytes. Key-value stores are the
//! first; window and session stores fit the same trait.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{CacheBudget, Keyspace, WriteBatch};
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

    /// Adds one changelog record to a batch, on the way back from the changelog.
    ///
    /// # Errors
    /// [`TaskError::KeyTooLarge`], for a record that no store has written.
    fn restore(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: TimestampMs,
        batch: &mut WriteBatch,
    ) -> Result<(), TaskError>;

    /// An estimate of the bytes not sealed yet.
    fn uncommitted_bytes(&self) -> usize;
}

/// A store of a task, typed for its nodes and untyped for the task.
#[derive(Clone)]
pub struct StoreInstance {
    pub(crate) typed: Rc<dyn Any>,
    pub(crate) store: Rc<RefCell<dyn StateStore>>,
}

impl StoreInstance {
    /// Wraps a store.
    pub fn new<S: StateStore + 'static>(store: S) -> Self {
        let store = Rc::new(RefCell::new(store));
        Self { typed: Rc::new(store.clone()), store }
    }

    /// The store without its types, for restoring it and for checkpoints.
    pub fn state(&self) -> std::cell::Ref<'_, dyn StateStore> {
        self.store.borrow()
    }

    /// The store as what it is, or `None` for another type.
    pub fn downcast<S: 'static>(&self) -> Option<Rc<RefCell<S>>> {
        self.typed.downcast_ref::<Rc<RefCell<S>>>().cloned()
    }
}
