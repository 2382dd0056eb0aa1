//! What to do when a worker ends with an error that nobody handled.
//!
//! It decides; `streams/workers.rs` carries it out. A panic of the user's handler counts as
//! [`UncaughtErrorResponse::ShutdownClient`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use oncestream_engine::StreamsError;

/// The answer of an uncaught-error handler.
///
/// ```no_run
/// # use oncestream_core::graph::Topology;
/// # use oncestream_engine::StreamsError;
/// # use oncestream_runtime::{Streams, UncaughtErrorResponse, config::StreamsConfig};
/// # async fn run(topology: Topology, config: StreamsConfig) -> Result<(), StreamsError> {
/// let streams = Streams::builder(topology, config)
///     .uncaught_error_handler(|error| {
///         eprintln!("a worker ended: {error}");
///         UncaughtErrorResponse::ReplaceWorker
///     })
///     .start()
///     .await?;
/// # streams.shutdown().await
/// # }
/// ```
///
/// Kafka Streams has a third, to shut down the whole application. It tells the other members
/// through the user data of their subscriptions, which librdkafka cannot send; so it is not here.
/// To stop an application everywhere, stop each instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UncaughtErrorResponse {
    /// Put a new worker in the place of the failed one, with new clients, at the committed offsets.
    /// An error that comes back brings the handler back; the pauses in between grow to a second.
    ReplaceWorker,
    /// Stop this client: the other workers commit and end, and its state is `ERROR`.
    ShutdownClient,
}

pub(crate) type UncaughtErrorHandler =
    Arc<dyn Fn(&StreamsError) -> UncaughtErrorResponse + Send + Sync>;

/// Asks the handler; without one the client stops, as in Kafka Streams.
pub(crate) fn respond(
    handler: Option<&UncaughtErrorHandler>,
    error: &StreamsError,
) -> UncaughtErrorResponse {
    let Some(handler) = handler else { return UncaughtErrorResponse::ShutdownClient };
    catch_unwind(AssertUnwindSafe(|| handler(error))).unwrap_or_else(|_| {
        tracing::error!("the uncaught-error handler panicked; the client stops");
        UncaughtErrorResponse::ShutdownClient
    })
}

/// A worker that ran for so long had a life of its own: the next pause is short again.
const LONG_LIFE: Duration = Duration::from_secs(60);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// How often a pause looks whether the application is being stopped.
const LOOK: Duration = Duration::from_millis(20);

/// The pauses between workers in one place.
pub(crate) struct Pauses {
    replaced: u32,
    born: Instant,
}

impl Pauses {
    pub(crate) fn new() -> Self {
        Self { replaced: 0, born: Instant::now() }
    }

    /// Waits before the next worker. False when the application is being stopped.
    pub(crate) fn pause(&mut self, stop: &AtomicBool) -> bool {
        let until = Instant::now() + self.next(self.born.elapsed());
        while Instant::now() < until && !stop.load(Ordering::Acquire) {
            std::thread::sleep(LOOK);
        }
        self.born = Instant::now();
        !stop.load(Ordering::Acquire)
    }

    fn next(&mut self, lived: Duration) -> Duration {
        self.replaced = if lived >= LONG_LIFE { 0 } else { self.replaced + 1 };
        Duration::from_millis(10 << self.replaced.min(10)).min(MAX_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> StreamsError {
        StreamsError::Panicked { worker: 0, task: None, activity: None, message: "x".into() }
    }

    #[test]
    fn without_a_handler_and_after_its_panic_the_client_stops() {
        let stops = UncaughtErrorResponse::ShutdownClient;
        assert_eq!(respond(None, &error()), stops);
        let replaces: UncaughtErrorHandler = Arc::new(|_| UncaughtErrorResponse::ReplaceWorker);
        assert_eq!(respond(Some(&replaces), &error()), UncaughtErrorResponse::ReplaceWorker);
        let panics: UncaughtErrorHandler = Arc::new(|_| panic!("the handler's own"));
        assert_eq!(respond(Some(&panics), &error()), stops);
    }

    #[test]
    fn pauses_grow_to_a_second_and_a_long_life_makes_them_short_again() {
        let mut pauses = Pauses::new();
        let short = pauses.next(Duration::ZERO);
        assert!(short < pauses.next(Duration::ZERO));
        assert_eq!((0..20).map(|_| pauses.next(Duration::ZERO)).last(), Some(MAX_PAUSE));
        assert!(pauses.next(LONG_LIFE) <= short);
    }

    #[test]
    fn a_stopping_application_gets_no_new_worker() {
        assert!(!Pauses::new().pause(&AtomicBool::new(true)));
        assert!(Pauses::new().pause(&AtomicBool::new(false)));
    }
}
