//! The handlers of Kafka Streams: log, write a dead letter if there is a topic for it, and fail or
//! go on. Both serve for all three kinds.

use std::error::Error;
use std::sync::Arc;

use super::{
    DeserializationExceptionHandler, ErrorHandlerContext, HandlerResponse,
    ProcessingExceptionHandler, ProductionExceptionHandler,
};
use crate::error::Part;
use crate::serde::SerdeError;
use crate::task::Outgoing;

/// Logs the error and fails: the default. With a dead-letter topic it writes the record there
/// first, which under exactly once is aborted with the rest, as in Kafka Streams.
#[derive(Clone, Debug, Default)]
pub struct LogAndFail {
    dead_letter_topic: Option<Arc<str>>,
}

/// Logs the error, drops the record and goes on. With a dead-letter topic the record goes there.
///
/// ```
/// use oncestream_core::handlers::{ErrorHandlers, LogAndContinue};
/// let handlers = ErrorHandlers {
///     processing: std::sync::Arc::new(LogAndContinue::default().dead_letter_topic("bad")),
///     ..ErrorHandlers::default()
/// };
/// assert!(handlers.need_source_bytes());
/// ```
#[derive(Clone, Debug, Default)]
pub struct LogAndContinue {
    dead_letter_topic: Option<Arc<str>>,
}

impl LogAndFail {
    /// The same with a dead-letter topic; what `errors.dead.letter.queue.topic.name` sets.
    #[must_use]
    pub fn dead_letter_topic(self, topic: &str) -> Self {
        Self { dead_letter_topic: Some(topic.into()) }
    }

    fn answer(&self, context: &ErrorHandlerContext<'_>, error: Dyn<'_>, what: &str) -> Answer {
        log(context, error, what, true);
        letter(HandlerResponse::fail(), self.dead_letter_topic.as_deref(), context, error)
    }
}

impl LogAndContinue {
    /// The same with a dead-letter topic; what `errors.dead.letter.queue.topic.name` sets.
    #[must_use]
    pub fn dead_letter_topic(self, topic: &str) -> Self {
        Self { dead_letter_topic: Some(topic.into()) }
    }

    fn answer(&self, context: &ErrorHandlerContext<'_>, error: Dyn<'_>, what: &str) -> Answer {
        log(context, error, what, false);
        letter(HandlerResponse::resume(), self.dead_letter_topic.as_deref(), context, error)
    }
}

type Dyn<'a> = &'a (dyn Error + 'static);
type Answer = HandlerResponse;

fn letter(
    response: HandlerResponse,
    topic: Option<&str>,
    context: &ErrorHandlerContext<'_>,
    error: Dyn<'_>,
) -> HandlerResponse {
    match topic {
        Some(topic) => response.with_dead_letter(context.dead_letter(topic, error)),
        None => response,
    }
}

/// Headers, keys and values stay out of the log: they may be anybody's secret.
fn log(ctx: &ErrorHandlerContext<'_>, error: Dyn<'_>, what: &str, fails: bool) {
    let (task, node) = (ctx.task_id(), ctx.processor_node_id());
    let (topic, partition, offset) = (ctx.topic(), ctx.partition(), ctx.offset());
    if fails {
        tracing::error!(%task, node, topic, partition, offset, error, "{what}: failing");
    } else {
        tracing::warn!(%task, node, topic, partition, offset, error, "{what}: record dropped");
    }
}

macro_rules! built_in {
    ($handler:ty, $only_fails:expr) => {
        impl DeserializationExceptionHandler for $handler {
            fn handle_error(
                &self,
                context: &ErrorHandlerContext<'_>,
                _part: Part,
                error: &SerdeError,
            ) -> HandlerResponse {
                self.answer(context, error, "cannot deserialise a record")
            }
        }

        impl ProcessingExceptionHandler for $handler {
            fn handle_error(
                &self,
                context: &ErrorHandlerContext<'_>,
                error: &(dyn Error + 'static),
            ) -> HandlerResponse {
                self.answer(context, error, "cannot process a record")
            }

            fn needs_source_bytes(&self) -> bool {
                self.dead_letter_topic.is_some()
            }
        }

        impl ProductionExceptionHandler for $handler {
            fn handle_error(
                &self,
                context: &ErrorHandlerContext<'_>,
                _record: &Outgoing<'_>,
                error: &(dyn Error + 'static),
            ) -> HandlerResponse {
                self.answer(context, error, "cannot produce a record")
            }

            fn handle_serialization_error(
                &self,
                context: &ErrorHandlerContext<'_>,
                _topic: &str,
                _part: Part,
                error: &SerdeError,
            ) -> HandlerResponse {
                self.answer(context, error, "cannot serialise a record")
            }

            fn needs_source_bytes(&self) -> bool {
                self.dead_letter_topic.is_some()
            }

            fn only_fails(&self) -> bool {
                $only_fails && self.dead_letter_topic.is_none()
            }
        }
    };
}

built_in!(LogAndFail, true);
built_in!(LogAndContinue, false);
