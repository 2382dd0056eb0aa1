//! What becomes of a record that a store refuses.

use std::any::type_name;

use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, FailedAt};

/// Leaves an error that is the record's fault to the processing handler. `Ok` means: drop it.
#[cold]
pub(crate) fn refused(
    ctx: &mut Context<'_>,
    at: FailedAt<'_>,
    error: TaskError,
) -> Result<(), TaskError> {
    if !error.is_of_record() {
        return Err(error);
    }
    ctx.processing_failed(at, type_name::<TaskError>(), Box::new(error))
}
