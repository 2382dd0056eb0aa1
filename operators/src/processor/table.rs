//! A processor that computes the values of a table.

use oncestream_core::Record;
use oncestream_core::error::BoxError;

use super::inside::context_inside;
use super::{Processor, ProcessorContext};
use crate::dsl::{Data, StoreKey};
use crate::table::{Change, StoredTable};

/// Computes the value of a key of a table from the value that the key has in the table above, with stores
/// and schedules, as a [`Processor`] has them. It forwards nothing: what it returns is the value of the key.
///
/// [`KTable::process_values`](crate::KTable::process_values) has an example with a store. One without:
///
/// ```
/// use oncestream_core::error::BoxError;
/// use oncestream_operators::StreamsBuilder;
/// use oncestream_operators::processor::{TableProcessor, TableProcessorContext};
///
/// /// Dates each value with the time of its record's task.
/// struct Dated;
///
/// impl TableProcessor for Dated {
///     type Key = String;
///     type ValueIn = String;
///     type ValueOut = (i64, String);
///
///     fn process(
///         &mut self,
///         ctx: &mut TableProcessorContext<'_, Self>,
///         _key: &String,
///         value: Option<String>,
///     ) -> Result<Option<(i64, String)>, BoxError> {
///         Ok(value.map(|value| (ctx.stream_time(), value)))
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// let users = builder.table::<String, String>("users");
/// users.process_values((), |()| Dated).materialized("dated-users");
/// # assert!(builder.build().is_ok());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no processor of a table",
    label = "implement `TableProcessor` for this type"
)]
pub trait TableProcessor: Sized + 'static {
    /// The type of the keys.
    type Key: StoreKey;
    /// The type of the values of the table above.
    type ValueIn: Data;
    /// The type of the values that it computes.
    type ValueOut: Data;

    /// The task starts; its stores are restored.
    ///
    /// # Errors
    /// Any; the task then does not start.
    fn init(&mut self, _ctx: &mut TableProcessorContext<'_, Self>) -> Result<(), BoxError> {
        Ok(())
    }

    /// The value of a key, whose value in the table above is `value` now; `None`, and a null, is no value.
    ///
    /// # Errors
    /// As for [`Processor::process`]. If the record is dropped, the key keeps its value.
    fn process(
        &mut self,
        ctx: &mut TableProcessorContext<'_, Self>,
        key: &Self::Key,
        value: Option<Self::ValueIn>,
    ) -> Result<Option<Self::ValueOut>, BoxError>;

    /// The task ends cleanly. After an error it is not called.
    fn close(&mut self) {}
}

/// What a [`TableProcessor`] may know and do while it handles one change.
pub struct TableProcessorContext<'a, P: TableProcessor>(ProcessorContext<'a, OfTable<P>>);

context_inside!(TableProcessorContext, TableProcessor, |of_table| of_table.processor);

/// A [`TableProcessor`] as a [`Processor`].
pub(crate) struct OfTable<P: TableProcessor> {
    pub(crate) processor: P,
    pub(crate) output: Output<P::Key, P::ValueOut>,
}

/// Where the values go.
pub(crate) enum Output<K, V> {
    /// Straight on, with the old ones if they are asked for.
    Forwarded { has_old: bool },
    /// Into the store of the table.
    Stored(StoredTable<K, V>),
}

impl<P: TableProcessor> Processor for OfTable<P> {
    type KeyIn = P::Key;
    type ValueIn = Change<P::ValueIn>;
    type KeyOut = P::Key;
    type ValueOut = Change<P::ValueOut>;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        self.processor.init(&mut TableProcessorContext(ctx.reborrow()))
    }

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<P::Key, Change<P::ValueIn>>,
    ) -> Result<(), BoxError> {
        let Record { key, value: Change { new, old, is_latest }, timestamp, headers } = record;
        let mut process =
            |value| self.processor.process(&mut TableProcessorContext(ctx.reborrow()), &key, value);
        let new = process(new)?;
        match &mut self.output {
            Output::Forwarded { has_old } => {
                // As in Kafka Streams, after the new one, and also for a key that had no value.
                let old = if *has_old { process(old)? } else { None };
                let value = Change { new, old, is_latest };
                Ok(ctx.forward(Record { key, value, timestamp, headers })?)
            }
            Output::Stored(table) => {
                let record = Record { key, value: (), timestamp, headers };
                Ok(ctx.downstream(|ctx| table.update(ctx, record, |_, _| (new, timestamp)))?)
            }
        }
    }

    fn close(&mut self) {
        self.processor.close();
    }
}
