//! The node that keeps a stream's records for the other one. Kafka Streams' `KStreamJoinWindow`.
//!
//! A record is joined before it is kept, so that it does not meet itself where a stream is joined with
//! itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::DynSerde;
use oncestream_core::state::WindowStore;
use oncestream_core::task::{Context, Downstream, FailedAt, Node};

use crate::dsl::{Data, StoreKey};
use crate::refused::refused;

/// Hands each record on, and keeps it.
pub(super) struct Keep<K, V> {
    pub(super) name: Arc<str>,
    pub(super) key_serde: DynSerde<K>,
    pub(super) value_serde: DynSerde<V>,
    pub(super) store: Rc<RefCell<WindowStore<K, V>>>,
    pub(super) out: Downstream<K, V>,
}

impl<K: StoreKey, V: Data> Node<K, V> for Keep<K, V> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        if self.key_serde.is_null(&record.key) || self.value_serde.is_null(&record.value) {
            return self.out.forward(ctx, record);
        }
        self.out.forward(ctx, record.clone())?;
        let Record { key, value, timestamp, headers } = record;
        let mut store = self.store.borrow_mut();
        match store.put_at(key, timestamp, Some(value), timestamp) {
            Ok(is_kept) => {
                if !is_kept && store.has_given_up(timestamp)? {
                    ctx.drop_record(DropReason::LateRecord);
                }
                Ok(())
            }
            Err(error) => {
                refused(ctx, FailedAt { node: &self.name, timestamp, headers: &headers }, error)
            }
        }
    }
}
