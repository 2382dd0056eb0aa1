//! A message of librdkafka: a record, the end of a partition or an error.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

use oncestream_core::task::RawRecord;
use oncestream_engine::ports::{Fetched, Message, Taken};
use rdkafka::bindings as sys;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;

use super::super::verdict::client_error;
use super::headers::headers_of;

/// A message that is given back when it is dropped, before its client is.
pub(super) struct Owned(NonNull<sys::rd_kafka_message_t>);

impl Owned {
    /// # Safety
    /// librdkafka gave the message as the caller's, and nobody else gives it back.
    pub(super) unsafe fn new(message: NonNull<sys::rd_kafka_message_t>) -> Self {
        Self(message)
    }

    /// Its error; none for a record.
    pub(super) fn error(&self) -> Option<RDKafkaRespErr> {
        // SAFETY: the message is ours.
        let code = unsafe { self.0.as_ref() }.err;
        (code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then_some(code)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: it came from librdkafka as ours, and goes back once.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) };
    }
}

/// A record where the client has it.
pub(crate) struct KafkaMessage<'a>(Holder<'a>);

enum Holder<'a> {
    /// Of a batch. The client outlives it.
    Batched(Owned, PhantomData<&'a ()>),
    /// Of the client's own queue.
    Alone(BorrowedMessage<'a>),
}

impl KafkaMessage<'_> {
    /// A message that is a record. The caller sees to it that the client outlives it.
    pub(super) fn batched(message: Owned) -> Self {
        Self(Holder::Batched(message, PhantomData))
    }

    fn raw(&self) -> &sys::rd_kafka_message_t {
        let message = match &self.0 {
            Holder::Batched(message, _) => message.0.as_ptr().cast_const(),
            Holder::Alone(message) => message.ptr().cast_const(),
        };
        // SAFETY: the message lives for as long as `self` holds it, and nobody changes it.
        unsafe { &*message }
    }
}

impl<'a> From<BorrowedMessage<'a>> for KafkaMessage<'a> {
    fn from(message: BorrowedMessage<'a>) -> Self {
        Self(Holder::Alone(message))
    }
}

impl Message for KafkaMessage<'_> {
    fn topic(&self) -> &str {
        // SAFETY: a record has a topic, which lives as long as the record; its name ends with a NUL.
        let name = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.raw().rkt)) };
        // Names of topics are ASCII; a worker has no task for another.
        name.to_str().unwrap_or_default()
    }

    fn partition(&self) -> i32 {
        self.raw().partition
    }

    fn record(&self) -> RawRecord<'_> {
        // SAFETY: the message lives, because it is borrowed; nothing else looks at it meanwhile.
        unsafe { record_of(self.raw()) }
    }
}

/// # Safety
/// The message is a record that librdkafka gave and that was not given back. Nothing else looks at it
/// during the call.
unsafe fn record_of(message: &sys::rd_kafka_message_t) -> RawRecord<'_> {
    // SAFETY: as the caller promises.
    let (headers, unreadable_headers) = unsafe { headers_of(message) };
    RawRecord {
        offset: message.offset,
        // SAFETY: the message lives. No kind of timestamp is asked for.
        timestamp: unsafe { sys::rd_kafka_message_timestamp(message, ptr::null_mut()) },
        // SAFETY: librdkafka has these pointers and lengths from the record; they live as long as the
        // message.
        key: unsafe { bytes(message.key.cast(), message.key_len) },
        // SAFETY: the same.
        value: unsafe { bytes(message.payload.cast(), message.len) },
        headers,
        unreadable_headers,
    }
}

/// # Safety
/// The message is one that librdkafka gave and that was not given back.
pub(super) unsafe fn look_at(message: &sys::rd_kafka_message_t) -> Fetched<'_> {
    match message.err {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Fetched::Record {
            offset: message.offset,
            // SAFETY: the message lives. No kind of timestamp is asked for.
            timestamp: unsafe { sys::rd_kafka_message_timestamp(message, ptr::null_mut()) },
            // SAFETY: librdkafka has these pointers and lengths from the record; they live as
            // long as the message.
            key: unsafe { bytes(message.key.cast(), message.key_len) },
            value: unsafe { bytes(message.payload.cast(), message.len) },
        },
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => Fetched::End { offset: message.offset },
        error => Fetched::Failed(client_error(KafkaError::MessageConsumption(error.into()))),
    }
}

/// # Safety
/// The message is one that librdkafka gave and that was not given back. Nothing else looks at it during
/// the call.
pub(super) unsafe fn take_from(message: &sys::rd_kafka_message_t) -> Taken<'_> {
    // SAFETY: as the caller promises.
    match unsafe { look_at(message) } {
        // SAFETY: as the caller promises.
        Fetched::Record { .. } => Taken::Record(unsafe { record_of(message) }),
        Fetched::End { offset } => Taken::End { offset },
        Fetched::Failed(error) => Taken::Failed(error),
    }
}

/// A field of a record; null is `None`.
///
/// # Safety
/// A pointer that is not null points to `len` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, len) })
}
