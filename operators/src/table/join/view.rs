//! How other nodes read a joined table that has no store: both tables are read, and joined anew.

use std::sync::Arc;

use oncestream_core::TimestampMs;
use oncestream_core::state::ValueAndTimestamp;

use super::Join;
use crate::dsl::{Data, StoreKey};
use crate::table::{Found, Lookup, Reader, View};

/// The view of the table that is joined of these two.
pub(super) fn joined<K, V, V2, R, F>(
    left: &View<K, V>,
    right: &View<K, V2>,
    join: &Arc<F>,
) -> View<K, R>
where
    K: StoreKey,
    V: Data,
    V2: Data,
    R: Data,
    F: Join<K, V, V2, R>,
{
    let (stores, forgets) = (left.stores_with(right), left.forgets() || right.forgets());
    let (left, right, join) = (left.clone(), right.clone(), join.clone());
    let view = View::new(stores, move |b, node| {
        let (left, right) = (left.reader(b, node)?, right.reader(b, node)?);
        Ok(Reader::Lookup(Box::new(Joined { left, right, join: join.clone() })))
    });
    view.forgetting(forgets)
}

struct Joined<K, V, V2, F> {
    left: Reader<K, V>,
    right: Reader<K, V2>,
    join: Arc<F>,
}

impl<K: StoreKey, V: Data, V2: Data, R, F: Join<K, V, V2, R>> Lookup<K, R> for Joined<K, V, V2, F> {
    fn get(&mut self, key: &K, now: TimestampMs) -> Found<R> {
        let Self { left, right, join } = self;
        // Not lent both at once: they may be in one store.
        let (left, of_left) = match left.get(key, now)? {
            Some(found) => (Some(found.value), Some(found.timestamp)),
            None => (None, None),
        };
        right.with(key, now, |found| {
            let (right, of_right) = found.unzip();
            let timestamp = of_left.max(of_right)?;
            let value = join(key, left.as_ref(), right)?;
            Some(ValueAndTimestamp { value, timestamp })
        })
    }

    fn is_untold(&mut self, key: &K) -> bool {
        self.left.is_untold(key) || self.right.is_untold(key)
    }
}
