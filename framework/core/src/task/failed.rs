//! Asks a handler about a failure, and carries its answer out. All of it is off the hot path.
//!
//! Invariant: a dead letter goes through the task's own collector, so it shares the fate of the
//! offset of the record that it stands for. One that cannot be sent is an error of the task.

use std::any::type_name;

use super::context::{Context, InHand, Origin, Outgoing};
use crate::error::{BoxError, Part, TaskError, Unproducible};
use crate::handlers::{
    DeadLetter, DropReason, ErrorHandlerContext, HandlerResponse, HandlerResult,
};
use crate::record::{Headers, TimestampMs};
use crate::serde::SerdeError;
use crate::topic_name::{self, shown};

/// The key and value of a source record, as they came from the broker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SourceBytes<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

/// What a [`Collector`](super::Collector) fails with when this record alone is at fault: the
/// production handler may drop it and go on.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct RecordRefused {
    source: BoxError,
    type_name: &'static str,
}

impl RecordRefused {
    /// Says of `error` that it is about one record.
    pub fn new<E: std::error::Error + Send + Sync + 'static>(error: E) -> Self {
        Self { source: Box::new(error), type_name: type_name::<E>() }
    }
}

/// Where something failed: the node, and the time and headers of the record that reached it.
#[derive(Clone, Copy, Debug)]
pub struct FailedAt<'a> {
    /// The node's name.
    pub node: &'a str,
    /// The record's time.
    pub timestamp: TimestampMs,
    /// The record's headers.
    pub headers: &'a Headers,
}

impl Context<'_> {
    fn error_context<'c>(
        &'c self,
        at: FailedAt<'c>,
        exception: &'static str,
    ) -> ErrorHandlerContext<'c> {
        let (topic, partition, offset, source) = match &self.record {
            Some(InHand { partition: p, offset, bytes, .. }) => {
                (Some(&*p.topic), p.partition, *offset, *bytes)
            }
            None => (None, -1, -1, SourceBytes::default()),
        };
        ErrorHandlerContext {
            topic,
            partition,
            offset,
            timestamp: at.timestamp,
            headers: at.headers,
            processor_node_id: at.node,
            task_id: self.state.task,
            source_raw_key: source.key,
            source_raw_value: source.value,
            exception,
        }
    }

    /// Writes the dead letters; true if the record is to be dropped.
    fn carry_out(&mut self, response: HandlerResponse) -> Result<bool, TaskError> {
        for letter in &response.dead_letters {
            self.send_letter(letter)?;
        }
        let resume = response.result == HandlerResult::Resume;
        if resume {
            // Its handler has had its say: no other dead letter is written.
            self.state.dropped += 1;
        }
        Ok(resume)
    }

    /// Writes the dead letter of the record in hand, if an operator has dropped it. `at` is the source,
    /// with time and headers as they were read.
    #[cold]
    pub(crate) fn tell_of_drop(&mut self, at: FailedAt<'_>) -> Result<(), TaskError> {
        let Some(reason) = self.state.drop_reason.take() else { return Ok(()) };
        let handlers = self.state.handlers.clone();
        let Some(topic) = &handlers.dropped_records_topic else { return Ok(()) };
        let context = self.error_context(at, type_name::<DropReason>());
        self.send_letter(&context.dead_letter(topic, &reason))
    }

    fn send_letter(&mut self, letter: &DeadLetter) -> Result<(), TaskError> {
        self.check_letter(letter)?;
        self.send(&Outgoing {
            topic: &letter.topic,
            partition: letter.partition,
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            timestamp: letter.timestamp.max(0),
            headers: &letter.headers,
            origin: Origin::DeadLetter,
        })
    }

    /// Whether a handler's letter can be sent where it is to go.
    fn check_letter(&mut self, letter: &DeadLetter) -> Result<(), TaskError> {
        let topic = &letter.topic;
        let failed = |source: BoxError| TaskError::Send { topic: shown(topic), at: None, source };
        if let Err(fault) = topic_name::check(topic) {
            let fault = Unproducible::TopicName { topic: topic.clone(), fault };
            return Err(failed(Box::new(fault)));
        }
        let Some(partition) = letter.partition else { return Ok(()) };
        let partitions = self.collector.partition_count(topic).map_err(failed)?;
        if (0..partitions).contains(&partition) {
            return Ok(());
        }
        let topic = topic.clone();
        Err(failed(Box::new(Unproducible::Partition { topic, partition, partitions })))
    }

    /// Asks the processing handler about an error of a user's function. `Ok` means: drop the
    /// record and go on. `type_name` is the error's type, for the dead letter.
    ///
    /// # Errors
    /// [`TaskError::Processor`] with the error when the handler fails on it; or a dead letter
    /// that cannot be sent.
    #[cold]
    pub fn processing_failed(
        &mut self,
        at: FailedAt<'_>,
        type_name: &'static str,
        source: BoxError,
    ) -> Result<(), TaskError> {
        // A disk that fails is no fault of the record: to go on would lose it.
        let source = match source.downcast::<TaskError>() {
            Ok(error) if matches!(*error, TaskError::Backend { .. }) => return Err(*error),
            Ok(error) => error,
            Err(source) => source,
        };
        let handlers = self.state.handlers.clone();
        let context = self.error_context(at, type_name);
        let response = handlers.processing.handle_error(&context, &*source);
        if self.carry_out(response)? {
            return Ok(());
        }
        Err(TaskError::Processor { node: at.node.to_owned(), at: None, source })
    }

    /// Asks the deserialisation handler. `Ok` means: drop the record.
    #[cold]
    pub(crate) fn deserialization_failed(
        &mut self,
        at: FailedAt<'_>,
        part: Part,
        source: SerdeError,
    ) -> Result<(), TaskError> {
        let handlers = self.state.handlers.clone();
        let context = self.error_context(at, type_name::<SerdeError>());
        let response = handlers.deserialization.handle_error(&context, part, &source);
        if self.carry_out(response)? {
            return Ok(());
        }
        let context = self.error_context(at, "");
        Err(TaskError::Deserialize {
            topic: context.topic().unwrap_or("?").to_owned(),
            partition: context.partition(),
            offset: context.offset(),
            part,
            source,
        })
    }

    /// Asks the production handler about a record that cannot be serialised.
    #[cold]
    pub(crate) fn serialization_failed(
        &mut self,
        at: FailedAt<'_>,
        topic: &str,
        part: Part,
        source: SerdeError,
    ) -> Result<(), TaskError> {
        let handlers = self.state.handlers.clone();
        let context = self.error_context(at, type_name::<SerdeError>());
        let response =
            handlers.production.handle_serialization_error(&context, topic, part, &source);
        if self.carry_out(response)? {
            return Ok(());
        }
        Err(TaskError::Serialize { topic: topic.to_owned(), part, at: None, source })
    }

    /// Sends a sink's record. One that is refused is the production handler's business.
    pub(crate) fn send_from_sink(
        &mut self,
        node: &str,
        record: &Outgoing<'_>,
    ) -> Result<(), TaskError> {
        match self.collector.send(record) {
            Ok(()) => Ok(()),
            Err(error) => self.production_failed(node, record, error),
        }
    }

    /// Asks the production handler about a record that can never be produced.
    #[cold]
    pub(crate) fn unproducible(
        &mut self,
        node: &str,
        record: &Outgoing<'_>,
        error: Unproducible,
    ) -> Result<(), TaskError> {
        self.production_failed(node, record, Box::new(RecordRefused::new(error)))
    }

    /// Asks the production handler, if the record is at fault. `Ok` means: drop it.
    #[cold]
    pub(crate) fn production_failed(
        &mut self,
        node: &str,
        record: &Outgoing<'_>,
        error: BoxError,
    ) -> Result<(), TaskError> {
        let topic = shown(record.topic);
        let RecordRefused { source, type_name } = match error.downcast::<RecordRefused>() {
            Ok(refused) => *refused,
            Err(source) => return Err(TaskError::Send { topic, at: None, source }),
        };
        let at = FailedAt { node, timestamp: record.timestamp, headers: record.headers };
        let handlers = self.state.handlers.clone();
        let context = self.error_context(at, type_name);
        let response = handlers.production.handle_error(&context, record, &*source);
        if self.carry_out(response)? {
            return Ok(());
        }
        Err(TaskError::Send { topic, at: None, source })
    }

    /// Sends bytes that no handler is asked about: changelog records and dead letters.
    pub(crate) fn send(&mut self, record: &Outgoing<'_>) -> Result<(), TaskError> {
        self.collector.send(record).map_err(|error| TaskError::Send {
            topic: record.topic.to_owned(),
            at: None,
            source: match error.downcast::<RecordRefused>() {
                Ok(refused) => refused.source,
                Err(source) => source,
            },
        })
    }
}
