//! The buffer of one task: what waits, and in which order.
//!
//! What waits lies in a key-value store, which is committed and restored like any other. Here is its
//! order, by place and then by the bytes of the key: in memory alone, and made by one scan of the store
//! when the task needs it first. It knows nothing of when something is due.
//!
//! Invariant: a key is in the order if, and only if, it is in the store.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::TimestampMs;
use oncestream_core::error::TaskError;
use oncestream_core::serde::{Part, SerdeError, SerializeContext};
use oncestream_core::state::{KeyValueStore, ValueAndTimestamp};
use oncestream_core::task::Buffered;

use super::entry::{Entry, EntrySerde};
use crate::dsl::{Data, StoreKey};

/// A time, and the bytes of a key.
type Place = (TimestampMs, Arc<[u8]>);

/// The order of what waits.
struct Order<K> {
    by_place: BTreeMap<Place, K>,
    /// By the wall clock's time of the first update, if that is asked for; to the place.
    by_arrival: BTreeMap<Place, TimestampMs>,
    bytes: u64,
}

/// What is counted and kept in order beside the places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// The size in bytes.
    pub(super) bytes: bool,
    /// The order of arrival.
    pub(super) arrivals: bool,
}

pub(super) struct Buffer<K, V> {
    store: Rc<RefCell<KeyValueStore<K, Entry<V>>>>,
    serde: EntrySerde<V>,
    /// The changelog, for the serdes.
    topic: Arc<str>,
    name: Arc<str>,
    kept: Kept,
    order: Option<Order<K>>,
    scratch: Vec<u8>,
}

impl<K: StoreKey, V: Data> Buffer<K, V> {
    /// On a store of this name, with the name of its changelog.
    pub(super) fn new(
        store: Rc<RefCell<KeyValueStore<K, Entry<V>>>>,
        (name, topic): (Arc<str>, Arc<str>),
        serde: EntrySerde<V>,
        kept: Kept,
    ) -> Self {
        Self { store, serde, topic, name, kept, order: None, scratch: Vec::new() }
    }

    /// Takes an update: a key that waits keeps its place, its arrival and the value before it. `arrival`
    /// is the time of the wall clock.
    pub(super) fn put(
        &mut self,
        key: K,
        arrival: TimestampMs,
        update: Entry<V>,
    ) -> Result<(), TaskError> {
        self.load()?;
        let Self { store, serde, topic, kept, scratch, .. } = self;
        let (place, mut added, mut grown, mut sized) = (update.place, None, 0_i64, Ok(()));
        let mut store = store.borrow_mut();
        store.update_untold(key, arrival, |key, waiting| {
            let (mut entry, arrival, size) = match waiting {
                Some(ValueAndTimestamp { value: Entry { place, before, size, .. }, timestamp }) => {
                    (Entry { place, before, ..update }, timestamp, size)
                }
                None => {
                    added = Some(key.clone());
                    (update, arrival, 0)
                }
            };
            if kept.bytes {
                let mut ctx = SerializeContext::new(topic, Part::Value);
                sized = serde.size(&mut ctx, &entry, scratch).map(|size| entry.size = size);
                grown = entry.size.cast_signed() - size.cast_signed();
            }
            (Some(entry), arrival)
        })?;
        let bytes = added.as_ref().map(|key| store.key_bytes(key)).transpose()?;
        drop(store);
        sized.map_err(|error| self.refused(error))?;
        let Some(order) = &mut self.order else { return Ok(()) };
        order.bytes = order.bytes.saturating_add_signed(grown);
        if let (Some(key), Some(bytes)) = (added, bytes) {
            order.add(self.kept, key, (place, bytes.into()), arrival.max(0));
        }
        Ok(())
    }

    /// The smallest place.
    pub(super) fn first_place(&self) -> Option<TimestampMs> {
        let (place, _) = self.order.as_ref()?.by_place.keys().next()?;
        Some(*place)
    }

    /// The earliest arrival.
    pub(super) fn first_arrival(&self) -> Option<TimestampMs> {
        let (arrival, _) = self.order.as_ref()?.by_arrival.keys().next()?;
        Some(*arrival)
    }

    /// Takes what has the smallest place out. `now` is the time of the deletion in the changelog.
    pub(super) fn take_first(
        &mut self,
        now: TimestampMs,
    ) -> Result<Option<(K, Entry<V>)>, TaskError> {
        let first = self.order.as_mut().and_then(|order| order.by_place.pop_first());
        let Some(((_, bytes), key)) = first else { return Ok(None) };
        self.take(key, &bytes, now)
    }

    /// Takes what has arrived first out.
    pub(super) fn take_earliest(
        &mut self,
        now: TimestampMs,
    ) -> Result<Option<(K, Entry<V>)>, TaskError> {
        let Some(order) = &mut self.order else { return Ok(None) };
        let Some(((_, bytes), place)) = order.by_arrival.pop_first() else { return Ok(None) };
        let Some(((_, bytes), key)) = order.by_place.remove_entry(&(place, bytes)) else {
            return Ok(None);
        };
        self.take(key, &bytes, now)
    }

    fn take(
        &mut self,
        key: K,
        bytes: &Arc<[u8]>,
        now: TimestampMs,
    ) -> Result<Option<(K, Entry<V>)>, TaskError> {
        let mut taken = None;
        self.store.borrow_mut().update_untold(key.clone(), now, |_, waiting| {
            taken = waiting;
            (None, now)
        })?;
        let Some(ValueAndTimestamp { value: entry, timestamp }) = taken else { return Ok(None) };
        if let Some(order) = &mut self.order {
            if self.kept.arrivals {
                order.by_arrival.remove(&(timestamp, bytes.clone()));
            }
            order.bytes = order.bytes.saturating_sub(entry.size + bytes.len() as u64);
        }
        Ok(Some((key, entry)))
    }

    /// How many keys wait.
    pub(super) fn records(&self) -> u64 {
        self.order.as_ref().map_or(0, |order| order.by_place.len() as u64)
    }

    /// How much waits.
    pub(super) fn held(&self) -> Buffered {
        let bytes = self.kept.bytes.then(|| self.bytes());
        Buffered { records: self.records(), bytes }
    }

    /// The size of what waits, if it is counted.
    pub(super) fn bytes(&self) -> u64 {
        self.order.as_ref().map_or(0, |order| order.bytes)
    }

    /// Puts in order what the store has, once.
    pub(super) fn load(&mut self) -> Result<(), TaskError> {
        if self.order.is_some() {
            return Ok(());
        }
        let mut order = Order { by_place: BTreeMap::new(), by_arrival: BTreeMap::new(), bytes: 0 };
        let store = self.store.borrow();
        for waiting in store.all()? {
            let (key, ValueAndTimestamp { value: entry, timestamp }) = waiting?;
            let bytes = store.key_bytes(&key)?;
            order.bytes += entry.size;
            order.add(self.kept, key, (entry.place, bytes.into()), timestamp);
        }
        drop(store);
        self.store.borrow_mut().forget_order();
        self.order = Some(order);
        Ok(())
    }

    #[cold]
    fn refused(&self, source: SerdeError) -> TaskError {
        let store = self.name.to_string();
        TaskError::StoreSerde { store, part: Part::Value, at: None, source }
    }
}

impl<K> Order<K> {
    /// Adds a key, whose entry is counted already.
    fn add(&mut self, kept: Kept, key: K, (place, bytes): Place, arrival: TimestampMs) {
        self.bytes += bytes.len() as u64;
        if kept.arrivals {
            self.by_arrival.insert((arrival, bytes.clone()), place);
        }
        self.by_place.insert((place, bytes), key);
    }
}
