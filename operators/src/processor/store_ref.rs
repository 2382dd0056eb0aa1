//! What names a store of a topology, with its types.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use oncestream_core::state::KeyValue;

use crate::dsl::BuilderIdentity;

/// A store of a topology, with the types of its keys and values and its kind. It comes from
/// [`add_state_store`](crate::StreamsBuilder::add_state_store) or from
/// [`KTable::store`](crate::KTable::store), and connects processors to the store: see
/// [`KStream::process`](crate::KStream::process).
///
/// It is not the store: a processor gets a [`StoreHandle`](super::StoreHandle) for that, one for each
/// task. It belongs to the builder it came from.
pub struct StoreRef<K, V, Kd = KeyValue> {
    name: Arc<str>,
    builder: BuilderIdentity,
    types: PhantomData<fn() -> (K, V, Kd)>,
}

impl<K, V, Kd> StoreRef<K, V, Kd> {
    pub(crate) fn new(name: &str, builder: BuilderIdentity) -> Self {
        Self { name: name.into(), builder, types: PhantomData }
    }

    /// The name of the store.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    pub(super) fn is_of(&self, builder: &BuilderIdentity) -> bool {
        Arc::ptr_eq(&self.builder, builder)
    }
}

impl<K, V, Kd> Clone for StoreRef<K, V, Kd> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), builder: self.builder.clone(), types: PhantomData }
    }
}

impl<K, V, Kd> fmt::Debug for StoreRef<K, V, Kd> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreRef").field(&self.name).finish()
    }
}
