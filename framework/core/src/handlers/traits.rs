//! The three handler traits. Closures are handlers: each trait says of which form.

use std::error::Error;

use super::{ErrorHandlerContext, HandlerResponse};
use crate::error::Part;
use crate::serde::SerdeError;
use crate::task::Outgoing;

/// Decides about a record that a source cannot read: its key, its value, or headers whose names are
/// no text.
///
/// A closure `Fn(&ErrorHandlerContext, Part, &SerdeError) -> HandlerResponse` is one.
///
/// ```
/// use oncestream_core::error::Part;
/// use oncestream_core::handlers::{
///     DeserializationExceptionHandler, ErrorHandlerContext, HandlerResponse,
/// };
/// use oncestream_core::serde::SerdeError;
///
/// /// Values of a topic that is known to be dirty are dropped; anything else stops the application.
/// fn dirty(context: &ErrorHandlerContext<'_>, part: Part, _: &SerdeError) -> HandlerResponse {
///     match part {
///         Part::Value if context.topic() == Some("dirty") => HandlerResponse::resume(),
///         _ => HandlerResponse::fail(),
///     }
/// }
/// let _handler: &dyn DeserializationExceptionHandler = &dirty;
/// ```
pub trait DeserializationExceptionHandler: Send + Sync {
    /// `part` of the record in hand is not what the source's serde expects.
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        part: Part,
        error: &SerdeError,
    ) -> HandlerResponse;
}

impl<F> DeserializationExceptionHandler for F
where
    F: Fn(&ErrorHandlerContext<'_>, Part, &SerdeError) -> HandlerResponse + Send + Sync,
{
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        part: Part,
        error: &SerdeError,
    ) -> HandlerResponse {
        self(context, part, error)
    }
}

/// Decides about an error of a user's function: of a `Processor` (in `process` or `punctuate`) or
/// of a `try_` operator.
///
/// It is asked at the node that failed. After [`HandlerResponse::resume`] that node drops its
/// record, and the nodes above it go on as if it had returned; what it wrote before it failed, to
/// stores and downstream, stays. It is also asked about a key that a store refuses, because it is
/// null or too large. Other errors of stores and of the producer are not its business, and neither
/// are panics: see the uncaught-error handler of `Streams::builder`.
///
/// A closure `Fn(&ErrorHandlerContext, &(dyn Error + 'static)) -> HandlerResponse` is one.
///
/// ```
/// use std::error::Error;
/// use oncestream_core::handlers::{ErrorHandlerContext, HandlerResponse, ProcessingExceptionHandler};
///
/// /// What fails at the node `parse` goes to a topic; other errors stop the application.
/// fn letters(context: &ErrorHandlerContext<'_>, error: &(dyn Error + 'static)) -> HandlerResponse {
///     if context.processor_node_id() != "parse" {
///         return HandlerResponse::fail();
///     }
///     HandlerResponse::resume().with_dead_letter(context.dead_letter("unparsed", error))
/// }
/// let _handler: &dyn ProcessingExceptionHandler = &letters;
/// ```
pub trait ProcessingExceptionHandler: Send + Sync {
    /// The user's function at `context.processor_node_id()` failed.
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &(dyn Error + 'static),
    ) -> HandlerResponse;

    /// Whether it looks at the source bytes. Tasks with several inputs copy them only then.
    fn needs_source_bytes(&self) -> bool {
        true
    }
}

impl<F> ProcessingExceptionHandler for F
where
    F: Fn(&ErrorHandlerContext<'_>, &(dyn Error + 'static)) -> HandlerResponse + Send + Sync,
{
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &(dyn Error + 'static),
    ) -> HandlerResponse {
        self(context, error)
    }
}

/// Decides about a record of a sink that cannot be written: too large, for a topic that does not
/// exist, refused by the topic's rules, not serialisable, or
/// [`Unproducible`](crate::error::Unproducible) before a broker is asked.
///
/// What passes by itself (a broker that is away) is tried again and never shown to it. Records of
/// changelogs are never skipped: a store would differ from its changelog.
///
/// A record that the broker refuses spoils the transaction it is in. Then the transaction is
/// aborted, its records are processed again from the committed offsets, and when the same bytes
/// are to be sent again the handler is asked in their place. So it is asked once for each time the
/// record is processed in a transaction that may commit, and "resume" holds under exactly once.
///
/// A closure `Fn(&ErrorHandlerContext, &Outgoing, &(dyn Error + 'static)) -> HandlerResponse` is
/// one; it fails on records that cannot be serialised.
///
/// ```
/// use std::error::Error;
/// use oncestream_core::handlers::{ErrorHandlerContext, HandlerResponse, ProductionExceptionHandler};
/// use oncestream_core::task::Outgoing;
///
/// /// Reports may be left out; other outputs may not.
/// fn reports(
///     _: &ErrorHandlerContext<'_>,
///     record: &Outgoing<'_>,
///     _: &(dyn Error + 'static),
/// ) -> HandlerResponse {
///     if record.topic == "reports" { HandlerResponse::resume() } else { HandlerResponse::fail() }
/// }
/// let _handler: &dyn ProductionExceptionHandler = &reports;
/// ```
pub trait ProductionExceptionHandler: Send + Sync {
    /// `record` is refused for good.
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        record: &Outgoing<'_>,
        error: &(dyn Error + 'static),
    ) -> HandlerResponse;

    /// `part` of a record for `topic` cannot be serialised. Fails unless overridden, as in Kafka
    /// Streams.
    fn handle_serialization_error(
        &self,
        _context: &ErrorHandlerContext<'_>,
        _topic: &str,
        _part: Part,
        _error: &SerdeError,
    ) -> HandlerResponse {
        HandlerResponse::fail()
    }

    /// Whether it looks at the source bytes. Tasks with several inputs copy them only then.
    fn needs_source_bytes(&self) -> bool {
        true
    }

    /// Whether it always fails and writes no dead letter. A record that the broker refuses then
    /// stops the application at once.
    fn only_fails(&self) -> bool {
        false
    }
}

impl<F> ProductionExceptionHandler for F
where
    F: Fn(&ErrorHandlerContext<'_>, &Outgoing<'_>, &(dyn Error + 'static)) -> HandlerResponse
        + Send
        + Sync,
{
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        record: &Outgoing<'_>,
        error: &(dyn Error + 'static),
    ) -> HandlerResponse {
        self(context, record, error)
    }
}
