//! A processor that cannot change the key, so that no repartition topic is needed after it.

use oncestream_core::error::BoxError;
use oncestream_core::{Headers, Record, TimestampMs};

use super::inside::context_inside;
use super::{Processor, ProcessorContext, ProcessorError};
use crate::dsl::Data;

/// A record whose key stays as it is. Only a processor's input makes one.
///
/// ```
/// use oncestream_operators::processor::FixedKeyRecord;
/// fn rounded(record: FixedKeyRecord<String, f64>) -> FixedKeyRecord<String, i64> {
///     let value = record.value.round() as i64;
///     record.with_value(value)
/// }
/// ```
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
///
/// ```
/// use oncestream_core::error::BoxError;
/// use oncestream_operators::StreamsBuilder;
/// use oncestream_operators::processor::{
///     FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord, StoreHandle,
/// };
///
/// /// Gives each price with the one before.
/// struct Before {
///     last: StoreHandle<String, i64>,
/// }
///
/// impl FixedKeyProcessor for Before {
///     type Key = String;
///     type ValueIn = i64;
///     type ValueOut = (i64, Option<i64>);
///
///     fn process(
///         &mut self,
///         ctx: &mut FixedKeyProcessorContext<'_, Self>,
///         record: FixedKeyRecord<String, i64>,
///     ) -> Result<(), BoxError> {
///         let before = self.last.get(record.key())?;
///         self.last.put(record.key().clone(), record.value)?;
///         let value = (record.value, before);
///         Ok(ctx.forward(record.with_value(value))?)
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// let last = builder.add_state_store("last");
/// builder.stream::<String, i64>("prices").process_values(&last, |last| Before { last }).to("out");
/// # assert!(builder.build().is_ok());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no processor with a fixed key",
    label = "implement `FixedKeyProcessor` for this type"
)]
pub trait FixedKeyProcessor: Sized + 'static {
    /// The type of the keys.
    type Key: Data;
    /// The type of the values it gets.
    type ValueIn: Data;
    /// The type of the values it forwards; `()` if it forwards nothing.
    type ValueOut: Data;

    /// The task starts; its stores are restored.
    ///
    /// # Errors
    /// Any; the task then does not start.
    fn init(&mut self, _ctx: &mut FixedKeyProcessorContext<'_, Self>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Handles one record.
    ///
    /// # Errors
    /// As for [`Processor::process`].
    fn process(
        &mut self,
        ctx: &mut FixedKeyProcessorContext<'_, Self>,
        record: FixedKeyRecord<Self::Key, Self::ValueIn>,
    ) -> Result<(), BoxError>;

    /// The task ends cleanly. After an error it is not called.
    fn close(&mut self) {}
}

/// What a [`FixedKeyProcessor`] may know and do while it handles one record.
pub struct FixedKeyProcessorContext<'a, P: FixedKeyProcessor>(ProcessorContext<'a, FixedKey<P>>);

impl<P: FixedKeyProcessor> FixedKeyProcessorContext<'_, P> {
    /// Hands a record to every operator downstream.
    ///
    /// # Errors
    /// [`ProcessorError::DownstreamFailed`]; the task fails, whatever the processor does next.
    pub fn forward(
        &mut self,
        record: FixedKeyRecord<P::Key, P::ValueOut>,
    ) -> Result<(), ProcessorError> {
        self.0.forward(loose(record))
    }

    /// Hands a record to one operator downstream, by its name.
    ///
    /// # Errors
    /// When there is no such child, or an operator downstream fails.
    pub fn forward_to(
        &mut self,
        child: &str,
        record: FixedKeyRecord<P::Key, P::ValueOut>,
    ) -> Result<(), ProcessorError> {
        self.0.forward_to(child, loose(record))
    }
}

context_inside!(FixedKeyProcessorContext, FixedKeyProcessor, |fixed| fixed.0);

fn loose<K, V>(record: FixedKeyRecord<K, V>) -> Record<K, V> {
    let FixedKeyRecord { key, value, timestamp, headers } = record;
    Record { key, value, timestamp, headers }
}

/// A [`FixedKeyProcessor`] as a [`Processor`].
pub(crate) struct FixedKey<P>(pub(crate) P);

impl<P: FixedKeyProcessor> Processor for FixedKey<P> {
    type KeyIn = P::Key;
    type ValueIn = P::ValueIn;
    type KeyOut = P::Key;
    type ValueOut = P::ValueOut;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        self.0.init(&mut FixedKeyProcessorContext(ctx.reborrow()))
    }

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<P::Key, P::ValueIn>,
    ) -> Result<(), BoxError> {
        let Record { key, value, timestamp, headers } = record;
        let record = FixedKeyRecord { key, value, timestamp, headers };
        self.0.process(&mut FixedKeyProcessorContext(ctx.reborrow()), record)
    }

    fn close(&mut self) {
        self.0.close();
    }
}
