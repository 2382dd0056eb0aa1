//! A processor that cannot change the key, so that no repartition topic is needed after it.

use std::ops::{Deref, DerefMut};

use oncestream_core::error::BoxError;
use oncestream_core::task::ScheduleId;
use oncestream_core::{Headers, Record, TimestampMs};

use super::{ProcessingContext, Processor, ProcessorContext, ProcessorError};
use crate::dsl::Data;

/// A record whose key stays as it is. Only a processor's input makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedKeyRecord<K, V> {
    key: K,
    /// The value.
    pub value: V,
    /// Event time.
    pub timestamp: TimestampMs,
    /// Headers.
    pub headers: Headers,
}

impl<K, V> FixedKeyRecord<K, V> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The same record with another value.
    pub fn with_value<V2>(self, value: V2) -> FixedKeyRecord<K, V2> {
        FixedKeyRecord { key: self.key, value, timestamp: self.timestamp, headers: self.headers }
    }
}

/// Like [`Processor`], but the records it forwards have the keys of its input. As in Kafka
/// Streams a punctuation has no record, and so can forward only what the processor has kept.
pub trait FixedKeyProcessor<K, VIn, VOut> {
    /// The task starts; its stores are restored.
    ///
    /// # Errors
    /// Any; the task then does not start.
    fn init(&mut self, _ctx: &mut FixedKeyProcessorContext<'_, K, VOut>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Handles one record.
    ///
    /// # Errors
    /// As for [`Processor::process`].
    fn process(
        &mut self,
        ctx: &mut FixedKeyProcessorContext<'_, K, VOut>,
        record: FixedKeyRecord<K, VIn>,
    ) -> Result<(), BoxError>;

    /// A schedule is due; see [`Processor::punctuate`].
    ///
    /// # Errors
    /// As for [`Processor::process`].
    fn punctuate(
        &mut self,
        _ctx: &mut FixedKeyProcessorContext<'_, K, VOut>,
        _schedule: ScheduleId,
        _timestamp: TimestampMs,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    /// The task ends cleanly. After an error it is not called.
    fn close(&mut self) {}
}

/// What a [`FixedKeyProcessor`] may know and do while it handles one record.
pub struct FixedKeyProcessorContext<'a, K, V>(ProcessorContext<'a, K, V>);

impl<K: Data, V: Data> FixedKeyProcessorContext<'_, K, V> {
    /// Hands a record to every operator downstream.
    ///
    /// # Errors
    /// [`ProcessorError::DownstreamFailed`]; the task fails, whatever the processor does next.
    pub fn forward(&mut self, record: FixedKeyRecord<K, V>) -> Result<(), ProcessorError> {
        self.0.forward(loose(record))
    }

    /// Hands a record to one operator downstream, by its name.
    ///
    /// # Errors
    /// When there is no such child, or an operator downstream fails.
    pub fn forward_to(
        &mut self,
        child: &str,
        record: FixedKeyRecord<K, V>,
    ) -> Result<(), ProcessorError> {
        self.0.forward_to(child, loose(record))
    }
}

fn loose<K, V>(record: FixedKeyRecord<K, V>) -> Record<K, V> {
    let FixedKeyRecord { key, value, timestamp, headers } = record;
    Record { key, value, timestamp, headers }
}

impl<'a, K, V> Deref for FixedKeyProcessorContext<'a, K, V> {
    type Target = ProcessingContext<'a>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K, V> DerefMut for FixedKeyProcessorContext<'_, K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// A [`FixedKeyProcessor`] as a [`Processor`].
pub(crate) struct FixedKey<P>(pub(crate) P);

impl<K, VIn, VOut, P: FixedKeyProcessor<K, VIn, VOut>> Processor<K, VIn, K, VOut> for FixedKey<P> {
    fn init(&mut self, ctx: &mut ProcessorContext<'_, K, VOut>) -> Result<(), BoxError> {
        self.0.init(&mut FixedKeyProcessorContext(ctx.reborrow()))
    }

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, K, VOut>,
        record: Record<K, VIn>,
    ) -> Result<(), BoxError> {
        let Record { key, value, timestamp, headers } = record;
        let record = FixedKeyRecord { key, value, timestamp, headers };
        self.0.process(&mut FixedKeyProcessorContext(ctx.reborrow()), record)
    }

    fn punctuate(
        &mut self,
        ctx: &mut ProcessorContext<'_, K, VOut>,
        schedule: ScheduleId,
        timestamp: TimestampMs,
    ) -> Result<(), BoxError> {
        self.0.punctuate(&mut FixedKeyProcessorContext(ctx.reborrow()), schedule, timestamp)
    }

    fn close(&mut self) {
        self.0.close();
    }
}
