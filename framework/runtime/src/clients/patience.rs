//! Questions that are asked again while brokers come and go.

use std::time::{Duration, Instant};

use oncestream_engine::ClientError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::verdict::{client_error, has_code, is_unsettled};

/// How long to wait before a question is asked again.
pub(super) const RETRY_EVERY: Duration = Duration::from_millis(200);

/// Asks again while brokers come and go, for so long; one question more may be under way then.
///
/// # Errors
/// One that does not go away, or the last one.
pub(super) fn patiently<T>(
    patience: Duration,
    mut ask: impl FnMut() -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let deadline = Instant::now() + patience;
    loop {
        match ask() {
            Err(e)
                if is_unsettled(&e)
                    && !is_of_members(&client_error(e.clone()))
                    && Instant::now() < deadline =>
            {
                tracing::debug!(error = %e, "asking again");
                std::thread::sleep(RETRY_EVERY);
            }
            other => return other,
        }
    }
}

/// Not to be waited for: a member that is alive stays.
pub(super) fn is_of_members(error: &ClientError) -> bool {
    has_code(error, &[Code::UnknownMemberId, Code::IllegalGeneration, Code::RebalanceInProgress])
}
