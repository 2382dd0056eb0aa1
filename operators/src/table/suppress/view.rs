//! How other nodes read a suppressed table: for a key that waits it is what was emitted last, and
//! otherwise what the table above has.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::TimestampMs;
use oncestream_core::state::{KeyValueStore, ValueAndTimestamp};

use super::entry::Entry;
use crate::dsl::{Data, StoreKey};
use crate::table::{Found, Lookup, Reader, View};

/// What was emitted before a key began to wait has no known time, as in Kafka Streams.
const UNKNOWN_TIME: TimestampMs = -1;

/// The view of a table that waits in this store, below the table of `above`.
pub(super) fn suppressed<K: StoreKey, V: Data>(above: &View<K, V>, store: &Arc<str>) -> View<K, V> {
    let mut stores = vec![store.clone()];
    stores.extend(above.stores().iter().cloned());
    let forgets = above.forgets();
    let (above, store) = (above.clone(), store.clone());
    let view = View::new(stores, move |b, node| {
        let waiting = b.store::<KeyValueStore<K, Entry<V>>>(node, &store)?;
        let above = above.reader(b, node)?;
        Ok(Reader::Lookup(Box::new(Suppressed { waiting, above })))
    });
    view.forgetting(forgets)
}

struct Suppressed<K, V> {
    waiting: Rc<RefCell<KeyValueStore<K, Entry<V>>>>,
    above: Reader<K, V>,
}

impl<K: StoreKey, V: Data> Lookup<K, V> for Suppressed<K, V> {
    fn get(&mut self, key: &K, now: TimestampMs) -> Found<V> {
        let Some(waiting) = self.waiting.borrow_mut().get(key)? else {
            return self.above.get(key, now);
        };
        let before = waiting.value.before;
        Ok(before.map(|value| ValueAndTimestamp { value, timestamp: UNKNOWN_TIME }))
    }

    fn is_untold(&mut self, key: &K) -> bool {
        self.above.is_untold(key)
    }
}
