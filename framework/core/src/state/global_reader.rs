//! What is committed of a global table, looked up by the tasks of an instance.
//!
//! One thread of the instance writes the rows, and the tasks read them where the backend has them. A look-up
//! takes no lock of ours, and nothing is kept of it: the next one may find another value.

use std::fmt;
use std::sync::Arc;

use super::codec::RowCodec;
use super::{Keyspace, ValueAndTimestamp};
use crate::error::TaskError;
use crate::serde::DynSerde;

/// Looks up keys of a global table for one node of one task.
pub struct GlobalReader<K, V> {
    keyspace: Arc<dyn Keyspace>,
    codec: RowCodec<K, V>,
    key_bytes: Vec<u8>,
}

impl<K, V> fmt::Debug for GlobalReader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalReader").field("store", self.codec.store()).finish_non_exhaustive()
    }
}

impl<K, V> GlobalReader<K, V> {
    pub(crate) fn new(
        store: Arc<str>,
        topic: Arc<str>,
        keyspace: Arc<dyn Keyspace>,
        key_serde: DynSerde<K>,
        value_serde: DynSerde<V>,
    ) -> Self {
        let codec = RowCodec::new(store, topic, key_serde, value_serde);
        Self { keyspace, codec, key_bytes: Vec::new() }
    }

    /// The name of the table's store.
    pub fn store(&self) -> &Arc<str> {
        self.codec.store()
    }

    /// The value of a key, as of now. A key that the serde calls null has none.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get(&mut self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        if !self.codec.write_bound(key, &mut self.key_bytes)? {
            return Ok(None);
        }
        let mut found = Ok(None);
        let codec = &self.codec;
        self.keyspace
            .get(&self.key_bytes, &mut |row| found = codec.read_row(row))
            .map_err(|error| codec.backend_error(error))?;
        found
    }
}
