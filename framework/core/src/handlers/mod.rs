//! Exception handlers: what to do with a record that cannot be read, processed or produced.
//!
//! Owns the traits, what a handler is told and may answer, the built-in handlers and dead
//! letters. Knows nothing of tasks: they ask, and carry the answer out (`task/failed.rs`).
//!
//! Invariants:
//! - A dead letter goes the way of every other output: under exactly once it is committed or
//!   aborted with the record that it stands for.
//! - A record that is dropped although nothing failed has one dead letter at most, however many
//!   operators or windows drop it.
//! - Handlers are shared between workers and asked only after something has failed.

mod built_in;
mod context;
mod drop_reason;
mod response;
mod traits;

use std::fmt;
use std::sync::Arc;

pub use built_in::{LogAndContinue, LogAndFail};
pub use context::{
    ErrorHandlerContext, HEADER_EXCEPTION, HEADER_MESSAGE, HEADER_OFFSET, HEADER_PARTITION,
    HEADER_STACKTRACE, HEADER_TOPIC,
};
pub use drop_reason::DropReason;
pub use response::{DeadLetter, HandlerResponse, HandlerResult};
pub use traits::{
    DeserializationExceptionHandler, ProcessingExceptionHandler, ProductionExceptionHandler,
};

/// The three handlers of an application. The default fails on everything, as Kafka Streams does.
#[derive(Clone)]
pub struct ErrorHandlers {
    /// Asked about a record that a source cannot read.
    pub deserialization: Arc<dyn DeserializationExceptionHandler>,
    /// Asked about an error of a processor, of a fallible operator or of a punctuation.
    pub processing: Arc<dyn ProcessingExceptionHandler>,
    /// Asked about a record that a sink cannot write.
    pub production: Arc<dyn ProductionExceptionHandler>,
    /// The topic for dead letters of records that are dropped although nothing failed, such as late
    /// ones: see [`DropReason`]. Without it, the default, they are only counted.
    pub dropped_records_topic: Option<Arc<str>>,
}

impl ErrorHandlers {
    /// Whether a handler, or a dead letter of a dropped record, may ask for the source bytes of a record that was read well. Tasks with
    /// several inputs then keep them beside each record that waits.
    pub fn need_source_bytes(&self) -> bool {
        self.processing.needs_source_bytes()
            || self.production.needs_source_bytes()
            || self.dropped_records_topic.is_some()
    }
}

impl Default for ErrorHandlers {
    fn default() -> Self {
        let handler = LogAndFail::default();
        Self {
            deserialization: Arc::new(handler.clone()),
            processing: Arc::new(handler.clone()),
            production: Arc::new(handler),
            dropped_records_topic: None,
        }
    }
}

impl fmt::Debug for ErrorHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorHandlers")
    }
}
