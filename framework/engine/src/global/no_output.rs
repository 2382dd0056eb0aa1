//! What a global table writes to: nothing. It has no changelog and no operators below.
//!
//! A handler may ask for a dead letter all the same. It is logged and not written, as in Kafka Streams: there
//! is no transaction that it could be a part of.

use oncestream_core::error::BoxError;
use oncestream_core::task::{Collector, Outgoing};

pub(super) struct NoOutput;

impl Collector for NoOutput {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError> {
        tracing::warn!(
            topic = record.topic,
            "a record of a global table was dropped, and its dead letter is not written: global tables \
             write no topics"
        );
        Ok(())
    }

    fn partition_count(&mut self, _topic: &str) -> Result<i32, BoxError> {
        Ok(i32::MAX)
    }
}
