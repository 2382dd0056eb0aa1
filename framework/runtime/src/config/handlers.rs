//! The exception handlers: by their words in the configuration, or given as code.
//!
//! Invariant: a handler given as code is left as it is; words and the dead-letter topic make up
//! those that are not given.

use std::fmt;
use std::sync::Arc;

use oncestream_core::handlers::{
    DeserializationExceptionHandler, ErrorHandlers, LogAndContinue, LogAndFail,
    ProcessingExceptionHandler, ProductionExceptionHandler,
};

use super::StreamsConfigBuilder;
use super::values::ExceptionHandler;

/// Handlers given as code.
#[derive(Clone, Default)]
pub(super) struct CustomHandlers {
    deserialization: Option<Arc<dyn DeserializationExceptionHandler>>,
    processing: Option<Arc<dyn ProcessingExceptionHandler>>,
    production: Option<Arc<dyn ProductionExceptionHandler>>,
}

/// The words for handlers.
pub(super) struct HandlerWords {
    pub(super) deserialization: ExceptionHandler,
    pub(super) processing: ExceptionHandler,
    pub(super) production: ExceptionHandler,
    /// Whether dropped records have dead letters.
    pub(super) tell_of_drops: bool,
}

impl CustomHandlers {
    /// All three handlers, and what becomes of records that are dropped although nothing failed.
    pub(super) fn resolve(self, words: &HandlerWords, dead_letters: Option<&str>) -> ErrorHandlers {
        let (mut fail, mut go_on) = (LogAndFail::default(), LogAndContinue::default());
        if let Some(topic) = dead_letters {
            fail = fail.dead_letter_topic(topic);
            go_on = go_on.dead_letter_topic(topic);
        }
        ErrorHandlers {
            deserialization: self.deserialization.unwrap_or_else(|| match words.deserialization {
                ExceptionHandler::Fail => Arc::new(fail.clone()),
                ExceptionHandler::Continue => Arc::new(go_on.clone()),
            }),
            processing: self.processing.unwrap_or_else(|| match words.processing {
                ExceptionHandler::Fail => Arc::new(fail.clone()),
                ExceptionHandler::Continue => Arc::new(go_on.clone()),
            }),
            production: self.production.unwrap_or_else(|| match words.production {
                ExceptionHandler::Fail => Arc::new(fail.clone()),
                ExceptionHandler::Continue => Arc::new(go_on.clone()),
            }),
            dropped_records_topic: dead_letters.filter(|_| words.tell_of_drops).map(Into::into),
        }
    }
}

impl fmt::Debug for CustomHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomHandlers")
            .field("deserialization", &self.deserialization.is_some())
            .field("processing", &self.processing.is_some())
            .field("production", &self.production.is_some())
            .finish()
    }
}

impl StreamsConfigBuilder {
    /// Sets the deserialisation handler as code, in place of `deserialization.exception.handler`.
    /// `errors.dead.letter.queue.topic.name` does not reach it.
    ///
    /// ```
    /// use oncestream_core::error::Part;
    /// use oncestream_core::handlers::{ErrorHandlerContext, HandlerResponse};
    /// use oncestream_core::serde::SerdeError;
    /// use oncestream_runtime::StreamsConfig;
    ///
    /// // Keys must be good; a bad value, or bad headers, go to a topic of their own.
    /// let handler = |ctx: &ErrorHandlerContext<'_>, part: Part, error: &SerdeError| match part {
    ///     Part::Key => HandlerResponse::fail(),
    ///     _ => {
    ///         HandlerResponse::resume().with_dead_letter(ctx.dead_letter("bad-values", error))
    ///     }
    /// };
    /// let config = StreamsConfig::builder("app", "localhost:9092")
    ///     .deserialization_exception_handler(handler)
    ///     .build()?;
    /// # Ok::<(), oncestream_runtime::config::ConfigError>(())
    /// ```
    pub fn deserialization_exception_handler(
        mut self,
        handler: impl DeserializationExceptionHandler + 'static,
    ) -> Self {
        self.custom.deserialization = Some(Arc::new(handler));
        self
    }

    /// Sets the processing handler as code, in place of `processing.exception.handler`.
    /// `errors.dead.letter.queue.topic.name` does not reach it.
    pub fn processing_exception_handler(
        mut self,
        handler: impl ProcessingExceptionHandler + 'static,
    ) -> Self {
        self.custom.processing = Some(Arc::new(handler));
        self
    }

    /// Sets the production handler as code, in place of `production.exception.handler`.
    /// `errors.dead.letter.queue.topic.name` does not reach it.
    pub fn production_exception_handler(
        mut self,
        handler: impl ProductionExceptionHandler + 'static,
    ) -> Self {
        self.custom.production = Some(Arc::new(handler));
        self
    }
}
