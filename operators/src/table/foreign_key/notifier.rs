//! The foreign table's side, where a foreign value changes: all that have subscribed to it are told.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{Part, TaskError};
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::SerdeError;
use oncestream_core::state::ValueAndTimestamp;
use oncestream_core::task::{Context, Downstream, FailedAt, Node};

use super::codec::{Codec, failed};
use super::combined_key::{CombinedKey, beginning_with, prefix, primary_key};
use super::receiver::Subscriptions;
use super::response::Response;
use crate::dsl::{Data, StoreKey};
use crate::table::Change;

/// Tells of changes.
pub(super) struct Notifier<K, KO, VO> {
    pub(super) name: Arc<str>,
    /// The name of the subscription store, for errors.
    pub(super) store: Arc<str>,
    pub(super) primary_keys: Codec<K>,
    pub(super) foreign_keys: Codec<KO>,
    pub(super) subscriptions: Rc<RefCell<Subscriptions>>,
    pub(super) out: Downstream<K, Response<VO>>,
    pub(super) input: PhantomData<fn(VO)>,
}

impl<K, KO, VO> Notifier<K, KO, VO> {
    fn primary_key(&self, row_key: &CombinedKey) -> Result<K, TaskError> {
        let no_key = || SerdeError::format::<CombinedKey>("no combined key");
        let bytes = primary_key(row_key).ok_or_else(no_key);
        bytes.and_then(|bytes| self.primary_keys.read(bytes)).map_err(|source| {
            let store = self.store.to_string();
            TaskError::StoreSerde { store, part: Part::Key, at: None, source }
        })
    }
}

impl<K: StoreKey, KO: StoreKey, VO: Data> Node<KO, Change<VO>> for Notifier<K, KO, VO> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<KO, Change<VO>>,
    ) -> Result<(), TaskError> {
        let Record { key: foreign_key, value: change, timestamp, headers } = record;
        if !change.is_latest {
            ctx.drop_record(DropReason::OutOfOrder);
            return Ok(());
        }
        let prefix = match prefix(&self.foreign_keys, &foreign_key) {
            Ok(prefix) => prefix,
            Err(error) => {
                let at = FailedAt { node: &self.name, timestamp, headers: &headers };
                return failed(ctx, at, error);
            }
        };
        let (from, to) = beginning_with(prefix);
        // Borrowed while records are forwarded: below is the sink of the response topic and nothing else.
        let subscriptions = self.subscriptions.clone();
        let subscriptions = subscriptions.borrow();
        for row in subscriptions.range_between(from.as_ref(), to.as_ref())? {
            let (row_key, ValueAndTimestamp { value: subscription, .. }) = row?;
            let value = Response {
                hash: subscription.hash,
                value: change.new.clone(),
                primary_partition: subscription.primary_partition,
            };
            let (key, headers) = (self.primary_key(&row_key)?, headers.clone());
            self.out.forward(ctx, Record { key, value, timestamp, headers })?;
        }
        Ok(())
    }
}
