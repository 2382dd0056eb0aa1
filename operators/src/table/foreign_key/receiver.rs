//! The foreign table's side, where subscriptions come in: remembers them in the subscription store.
//!
//! Invariant: the store is a function of the subscription topic, so a crash or a restore loses none.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::handlers::DropReason;
use oncestream_core::state::KeyValueStore;
use oncestream_core::task::{Context, Downstream, FailedAt, Node};

use super::codec::{Codec, failed};
use super::combined_key::{CombinedKey, prefix};
use super::subscription::{Instruction, Subscription};
use crate::dsl::StoreKey;
use crate::refused::refused;

/// The store of the subscriptions.
pub(super) type Subscriptions = KeyValueStore<CombinedKey, Subscription>;

/// Remembers subscriptions, and passes them on.
pub(super) struct Receiver<KO> {
    pub(super) name: Arc<str>,
    pub(super) foreign_keys: Codec<KO>,
    pub(super) subscriptions: Rc<RefCell<Subscriptions>>,
    pub(super) out: Downstream<Option<KO>, Subscription>,
}

impl<KO: StoreKey> Node<Option<KO>, Subscription> for Receiver<KO> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Option<KO>, Subscription>,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = &record;
        let Some(foreign_key) = key else {
            // A left join asks so for a row that has no foreign key.
            if value.instruction == Instruction::Answer {
                return self.out.forward(ctx, record);
            }
            ctx.drop_record(DropReason::NullKey);
            return Ok(());
        };
        let at = FailedAt { node: &self.name, timestamp: *timestamp, headers };
        let mut row_key = match prefix(&self.foreign_keys, foreign_key) {
            Ok(row_key) => row_key,
            Err(error) => return failed(ctx, at, error),
        };
        row_key.extend_from_slice(&value.primary_key);
        let kept = value.instruction.subscribes().then(|| value.clone());
        let put = self.subscriptions.borrow_mut().put(row_key, kept, *timestamp);
        match put {
            Ok(_) => self.out.forward(ctx, record),
            Err(error) => refused(ctx, at, error),
        }
    }
}
