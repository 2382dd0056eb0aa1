//! The foreign table's side, where a subscription is answered with the current value of its foreign key.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::serde::DynSerde;
use oncestream_core::task::{Context, Downstream, FailedAt, Node};

use super::codec::{Codec, failed};
use super::response::Response;
use super::subscription::{Instruction, Subscription};
use crate::dsl::{Data, StoreKey};
use crate::refused::refused;
use crate::table::Reader;

/// Answers subscriptions.
pub(super) struct Answerer<K, KO, VO> {
    pub(super) name: Arc<str>,
    pub(super) primary_keys: Codec<K>,
    pub(super) foreign_values: DynSerde<VO>,
    pub(super) foreign_table: Reader<KO, VO>,
    pub(super) out: Downstream<K, Response<VO>>,
}

impl<K: StoreKey, KO: StoreKey, VO: Data> Node<Option<KO>, Subscription> for Answerer<K, KO, VO> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Option<KO>, Subscription>,
    ) -> Result<(), TaskError> {
        let Record { key, value: subscription, timestamp, headers } = record;
        if subscription.instruction == Instruction::Unsubscribe {
            return Ok(());
        }
        let at = FailedAt { node: &self.name, timestamp, headers: &headers };
        let found = key.map(|key| self.foreign_table.get(&key, timestamp)).transpose();
        let found = match found {
            Ok(found) => found.flatten(),
            Err(error) => return refused(ctx, at, error),
        };
        let found = found.filter(|found| !self.foreign_values.is_null(&found.value));
        // Also of an answer without a value, as in Kafka Streams.
        let time = found.as_ref().map_or(timestamp, |found| found.timestamp.max(timestamp));
        let value = match subscription.instruction {
            Instruction::AnswerIfFound if found.is_none() => return Ok(()),
            Instruction::Answer | Instruction::AnswerIfFound => found.map(|found| found.value),
            Instruction::UnsubscribeAndAnswer | Instruction::Unsubscribe => None,
        };
        let key = match self.primary_keys.read(&subscription.primary_key) {
            Ok(key) => key,
            Err(error) => return failed(ctx, at, error),
        };
        let Subscription { hash, primary_partition, .. } = subscription;
        let value = Response { hash, value, primary_partition };
        self.out.forward(ctx, Record { key, value, timestamp: time, headers })
    }
}
