//! The Processor API: code of the user's own as an operator, with stores and schedules.
//!
//! A [`Processor`] is made anew for each task, and never shared between tasks. What it writes,
//! forwards and stores belongs to the task's transaction. It is not asked to undo anything: after
//! an abort it is dropped and made anew, so its own fields must hold nothing that a store should.

mod context;
mod error;
mod fixed_key;
mod node;
mod store_handle;
mod window_handle;

pub use context::{ProcessingContext, ProcessorContext};
pub use error::ProcessorError;
pub(crate) use fixed_key::FixedKey;
pub use fixed_key::{FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord};
pub(crate) use node::ProcessorNode;
pub use store_handle::StoreHandle;

use oncestream_core::error::BoxError;
use oncestream_core::task::ScheduleId;
use oncestream_core::{Record, TimestampMs};

/// An operator of the user's own.
///
/// ```
/// use std::time::Duration;
/// use oncestream_core::error::BoxError;
/// use oncestream_core::task::{PunctuationType, ScheduleId};
/// use oncestream_core::{Record, TimestampMs};
/// use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
/// use oncestream_operators::{KeyValueStoreBuilder, StreamsBuilder};
///
/// /// Sums per key, and tells all sums once a minute of event time.
/// #[derive(Default)]
/// struct Sums {
///     store: Option<StoreHandle<String, i64>>,
/// }
///
/// impl Processor<String, i64, String, i64> for Sums {
///     fn init(&mut self, ctx: &mut ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
///         self.store = Some(ctx.store("sums")?);
///         ctx.schedule(Duration::from_secs(60), PunctuationType::StreamTime);
///         Ok(())
///     }
///
///     fn process(
///         &mut self,
///         _ctx: &mut ProcessorContext<'_, String, i64>,
///         record: Record<String, i64>,
///     ) -> Result<(), BoxError> {
///         let store = self.store.as_ref().ok_or("init comes first")?;
///         let sum = store.get(&record.key)?.unwrap_or(0) + record.value;
///         Ok(store.put(record.key, sum)?)
///     }
///
///     fn punctuate(
///         &mut self,
///         ctx: &mut ProcessorContext<'_, String, i64>,
///         _schedule: ScheduleId,
///         timestamp: TimestampMs,
///     ) -> Result<(), BoxError> {
///         let store = self.store.as_ref().ok_or("init comes first")?;
///         for (key, sum) in store.all()? {
///             ctx.forward(Record::new(key, sum, timestamp))?;
///         }
///         Ok(())
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// builder.add_state_store(KeyValueStoreBuilder::<String, i64>::named("sums"));
/// builder.stream::<String, i64>("in").process(Sums::default, &["sums"]).to("sums");
/// assert!(builder.build().is_ok());
/// ```
pub trait Processor<KIn, VIn, KOut, VOut> {
    /// The task starts; its stores are restored. Stores are fetched and schedules made here.
    ///
    /// # Errors
    /// Any; the task then does not start.
    fn init(&mut self, _ctx: &mut ProcessorContext<'_, KOut, VOut>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Handles one record.
    ///
    /// # Errors
    /// Any; `processing.exception.handler` decides whether the record is dropped or the transaction
    /// aborted. What was stored and forwarded before the error stays if it is dropped. An error of
    /// a store or of an operator downstream is best passed on with `?`; it always aborts, unless a
    /// store has refused a key: a null, or one that is too large
    /// ([`TaskError::KeyTooLarge`](oncestream_core::error::TaskError::KeyTooLarge)).
    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, KOut, VOut>,
        record: Record<KIn, VIn>,
    ) -> Result<(), BoxError>;

    /// A schedule is due. `timestamp` is stream time or wall-clock time in milliseconds, by the
    /// kind of the schedule.
    ///
    /// # Errors
    /// As for [`process`](Self::process).
    fn punctuate(
        &mut self,
        _ctx: &mut ProcessorContext<'_, KOut, VOut>,
        _schedule: ScheduleId,
        _timestamp: TimestampMs,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    /// The task ends cleanly. After an error it is not called.
    fn close(&mut self) {}
}
