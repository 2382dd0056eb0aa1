//! The bytes of keys and values that are inside of what foreign-key joins send and store.
//!
//! Serdes are told of topics that are not there, as in Kafka Streams: the subscription topic with `-pk`
//! for the left table's keys, `-fk` for foreign keys and `-vh` for the values that are hashed.

use std::any::type_name;
use std::sync::Arc;

use oncestream_core::error::{Part, TaskError};
use oncestream_core::graph::TopicRef;
use oncestream_core::serde::{
    DeserializeContext, DynSerde, SerdeError, SerializeContext, nullable,
};
use oncestream_core::task::{Context, FailedAt, TaskBuilder};

/// What the bytes are of.
#[derive(Clone, Copy)]
pub(super) enum Inside {
    PrimaryKey,
    ForeignKey,
    HashedValue,
}

/// A serde, and the topic that it is told of.
pub(super) struct Codec<T> {
    serde: DynSerde<T>,
    topic: Arc<str>,
    part: Part,
}

impl<T> Codec<T> {
    /// That of one task.
    pub(super) fn new(
        b: &TaskBuilder<'_>,
        subscriptions: &TopicRef,
        inside: Inside,
        serde: &DynSerde<T>,
    ) -> Self {
        let (suffix, part) = match inside {
            Inside::PrimaryKey => ("pk", Part::Key),
            Inside::ForeignKey => ("fk", Part::Key),
            Inside::HashedValue => ("vh", Part::Value),
        };
        let topic = format!("{}-{suffix}", b.topic(subscriptions)).into();
        Self::at(serde.clone(), topic, part)
    }

    pub(super) fn at(serde: DynSerde<T>, topic: Arc<str>, part: Part) -> Self {
        Self { serde, topic, part }
    }

    /// Appends the bytes of a value that is no null.
    pub(super) fn append(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serde.serialize_in(&mut SerializeContext::new(&self.topic, self.part), value, out)
    }

    /// Writes the bytes of a value into an emptied buffer; false for a null.
    pub(super) fn write(&self, value: &T, out: &mut Vec<u8>) -> Result<bool, SerdeError> {
        let mut place = SerializeContext::new(&self.topic, self.part);
        nullable::write(&*self.serde, &mut place, value, out)
    }

    pub(super) fn read(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        self.serde.deserialize_in(&DeserializeContext::new(&self.topic, self.part), bytes)
    }

    pub(super) fn is_null(&self, value: &T) -> bool {
        self.serde.is_null(value)
    }
}

/// Leaves a serde's error to the processing handler. `Ok` means: drop the record.
#[cold]
pub(super) fn failed(
    ctx: &mut Context<'_>,
    at: FailedAt<'_>,
    error: SerdeError,
) -> Result<(), TaskError> {
    ctx.processing_failed(at, type_name::<SerdeError>(), Box::new(error))
}
