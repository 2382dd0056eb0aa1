//! The entries of a store, read part by part.

use std::cell::RefCell;
use std::fmt;
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;
use std::vec;

use oncestream_core::error::TaskError;
use oncestream_core::state::Store;

use super::store_handle::in_use;
use crate::dsl::{Data, StoreKey};

/// How many entries are read at once.
const PART: usize = 128;

/// Entries of a store in the order of their keys' bytes, from [`StoreHandle::all`](super::StoreHandle::all)
/// and [`StoreHandle::range`](super::StoreHandle::range).
///
/// It reads a few at a time, so a large store need not fit into memory, and the store may be read and
/// written meanwhile. Each key comes once at most. A change behind the keys that were given is not
/// seen; one ahead of them may be seen or not.
#[must_use = "an iterator does nothing unless it is used"]
pub struct Entries<K, V> {
    name: Arc<str>,
    store: Rc<RefCell<Store<K, V>>>,
    /// Where the part that comes next begins; `None` if there is none.
    next: Option<Bound<K>>,
    to: Bound<K>,
    part: vec::IntoIter<(K, V)>,
}

impl<K: StoreKey, V: Data> Entries<K, V> {
    pub(super) fn new(
        name: Arc<str>,
        store: Rc<RefCell<Store<K, V>>>,
        from: Bound<K>,
        to: Bound<K>,
    ) -> Self {
        Self { name, store, next: Some(from), to, part: Vec::new().into_iter() }
    }

    fn read(&mut self, from: &Bound<K>) -> Result<(), TaskError> {
        let store = self.store.try_borrow().map_err(|_| in_use(&self.name))?;
        let mut part = Vec::with_capacity(PART);
        for entry in store.range_between(from.as_ref(), self.to.as_ref())?.take(PART) {
            let (key, found) = entry?;
            part.push((key, found.value));
        }
        self.next =
            part.last().filter(|_| part.len() == PART).map(|(k, _)| Bound::Excluded(k.clone()));
        self.part = part.into_iter();
        Ok(())
    }
}

impl<K: StoreKey, V: Data> Iterator for Entries<K, V> {
    type Item = Result<(K, V), TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.part.next() {
            return Some(Ok(entry));
        }
        // After an error it ends.
        let from = self.next.take()?;
        match self.read(&from) {
            Ok(()) => self.part.next().map(Ok),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<K, V> fmt::Debug for Entries<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("store", &self.name).finish_non_exhaustive()
    }
}
