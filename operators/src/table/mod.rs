//! [`KTable`]: the latest value per key. Each operator is a file of this folder.

mod change_serde;
mod filter;
mod group_by;
mod map_values;
mod source;
mod store;
mod to_stream;

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oncestream_core::graph::NodeId;

pub use change_serde::ChangeSerde;
pub(crate) use store::TableStore;

use crate::dsl::{Data, Dsl};
use crate::options::Named;

/// What happened to one key of a table: its new value, and its old one where an operator
/// downstream needs it. `None` is "no value": a deletion, or a key that was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<V> {
    /// The value from now on.
    pub new: Option<V>,
    /// The value before; `None` as well when nobody downstream asked for it.
    pub old: Option<V>,
}

/// Whether a table must forward old values. Asking a table asks those it is made from.
#[derive(Clone, Default)]
pub(crate) struct OldValues {
    wanted: Arc<AtomicBool>,
    parent: Option<Arc<OldValues>>,
}

impl OldValues {
    /// Old values of a table that is computed from another.
    pub(crate) fn below(parent: &Self) -> Self {
        Self { wanted: Arc::default(), parent: Some(Arc::new(parent.clone())) }
    }

    /// An operator downstream needs old values.
    pub(crate) fn ask(&self) {
        self.wanted.store(true, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            parent.ask();
        }
    }

    /// Read when a task is made, after the whole topology is known.
    pub(crate) fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
}

/// The latest value of each key.
///
/// A handle; cloning it gives another on the same table.
pub struct KTable<K, V> {
    pub(crate) dsl: Dsl,
    pub(crate) node: NodeId,
    pub(crate) old_values: OldValues,
    pub(crate) next_name: Option<Named>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            dsl: self.dsl.clone(),
            node: self.node,
            old_values: self.old_values.clone(),
            next_name: self.next_name.clone(),
            types: PhantomData,
        }
    }
}

impl<K: Data, V: Data> KTable<K, V> {
    pub(crate) fn new(dsl: Dsl, node: NodeId, old_values: OldValues) -> Self {
        Self { dsl, node, old_values, next_name: None, types: PhantomData }
    }

    /// The same table; the next operator called on what this returns gets the name.
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self { next_name: Some(name.into()), ..self.clone() }
    }
}
