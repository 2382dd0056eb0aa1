//! The Processor API: code of the user's own as an operator, with stores and schedules.
//!
//! A [`Processor`] is made anew for each task, and never shared between tasks. What it writes,
//! forwards and stores belongs to the task's transaction. It is not asked to undo anything: after
//! an abort it is dropped and made anew, so its own fields must hold nothing that a store should.

mod context;
mod entries;
mod error;
mod fixed_key;
mod global_handle;
mod inside;
mod node;
mod session_handle;
mod store_handle;
mod store_ref;
mod stores;
mod table;
mod versioned_handle;
mod window_handle;

pub use context::{ProcessingContext, ProcessorContext};
pub use entries::Entries;
pub use error::ProcessorError;
pub(crate) use fixed_key::FixedKey;
pub use fixed_key::{FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord};
pub use global_handle::GlobalStoreHandle;
pub(crate) use node::ProcessorNode;
pub use store_handle::StoreHandle;
pub use store_ref::StoreRef;
pub use stores::Stores;
pub(crate) use stores::connect;
pub(crate) use table::{OfTable, Output};
pub use table::{TableProcessor, TableProcessorContext};

use oncestream_core::Record;
use oncestream_core::error::BoxError;

use crate::dsl::Data;

/// An operator of the user's own.
///
/// Its stores are fields: the supplier that makes it gets a handle on each store that
/// [`KStream::process`](crate::KStream::process) names, so a store that is not there, or has other
/// types, does not compile. They may be used from [`init`](Self::init) on.
///
/// ```
/// use std::time::Duration;
/// use oncestream_core::error::BoxError;
/// use oncestream_core::task::PunctuationType;
/// use oncestream_core::{Record, TimestampMs};
/// use oncestream_operators::StreamsBuilder;
/// use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
///
/// /// Sums per key, and tells all sums once a minute of event time.
/// struct Sums {
///     sums: StoreHandle<String, i64>,
/// }
///
/// impl Processor for Sums {
///     type KeyIn = String;
///     type ValueIn = i64;
///     type KeyOut = String;
///     type ValueOut = i64;
///
///     fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
///         ctx.schedule(Duration::from_secs(60), PunctuationType::StreamTime, Self::tell_all);
///         Ok(())
///     }
///
///     fn process(
///         &mut self,
///         _ctx: &mut ProcessorContext<'_, Self>,
///         record: Record<String, i64>,
///     ) -> Result<(), BoxError> {
///         self.sums.update(&record.key, |sum| sum.unwrap_or(0) + record.value)?;
///         Ok(())
///     }
/// }
///
/// impl Sums {
///     fn tell_all(
///         &mut self,
///         ctx: &mut ProcessorContext<'_, Self>,
///         timestamp: TimestampMs,
///     ) -> Result<(), BoxError> {
///         for entry in self.sums.all() {
///             let (key, sum) = entry?;
///             ctx.forward(Record::new(key, sum, timestamp))?;
///         }
///         Ok(())
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// let sums = builder.add_state_store("sums");
/// builder.stream::<String, i64>("in").process(&sums, |sums| Sums { sums }).to("sums");
/// assert!(builder.build().is_ok());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no processor",
    label = "implement `Processor` for this type"
)]
pub trait Processor: Sized + 'static {
    /// The type of the keys it gets.
    type KeyIn: Data;
    /// The type of the values it gets.
    type ValueIn: Data;
    /// The type of the keys it forwards; `()` if it forwards nothing.
    type KeyOut: Data;
    /// The type of the values it forwards; `()` if it forwards nothing.
    type ValueOut: Data;

    /// The task starts; its stores are restored. Schedules are made here.
    ///
    /// # Errors
    /// Any; the task then does not start.
    fn init(&mut self, _ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
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
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<Self::KeyIn, Self::ValueIn>,
    ) -> Result<(), BoxError>;

    /// The task ends cleanly. After an error it is not called.
    fn close(&mut self) {}
}
