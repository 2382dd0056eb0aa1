//! What a store refuses because of the record in hand.

use std::any::type_name;

use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, FailedAt};
use oncestream_core::{Headers, TimestampMs};

/// Leaves an error that is the record's fault to the processing handler. `Ok` means: drop it.
#[cold]
pub(crate) fn refused(
    ctx: &mut Context<'_>,
    node: &str,
    (timestamp, headers): (TimestampMs, &Headers),
    error: TaskError,
) -> Result<(), TaskError> {
    if !error.is_of_record() {
        return Err(error);
    }
    let at = FailedAt { node, timestamp, headers };
    ctx.processing_failed(at, type_name::<TaskError>(), Box::new(error))
}
