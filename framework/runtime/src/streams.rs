//! [`Streams`]: a running application, from the service that embeds it.
//!
//! - `streams/builder.rs` starts it, `streams/workers.rs` has the worker threads, and
//!   `streams/state.rs` the state that they lead to.
//!
//! Invariant: a handle exists only of an application that was started, so nothing can be set too late
//! or started twice.

mod builder;
mod state;
mod workers;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oncestream_core::graph::Topology;
use oncestream_engine::{ClientState, StreamsError};
use tokio::sync::watch;

use crate::config::StreamsConfig;

pub use builder::StreamsClientBuilder;
use state::StateCell;
use workers::Workers;
pub(crate) use workers::joined;

/// A running application: a topology, its worker threads and its state. Cheap to clone; every
/// clone is a handle on the same application. [`Streams::builder`] starts one.
///
/// ```no_run
/// # async fn example(topology: oncestream_core::graph::Topology) -> Result<(), Box<dyn std::error::Error>> {
/// use oncestream_runtime::{ProcessingGuarantee, Streams, StreamsConfig, shutdown_signal};
///
/// let config = StreamsConfig::builder("word-count", "localhost:9092")
///     .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
///     .build()?;
/// Streams::builder(topology, config).run_until(shutdown_signal()).await?;
/// # Ok(())
/// # }
/// ```
///
/// When the last handle is dropped, the workers commit and end by themselves. [`Self::shutdown`] waits
/// for that, and tells whether it went well.
#[derive(Clone)]
pub struct Streams {
    inner: Arc<Inner>,
}

struct Inner {
    config: StreamsConfig,
    state: Arc<StateCell>,
    stop: Arc<AtomicBool>,
    workers: Workers,
}

impl Streams {
    /// An application that is yet to be started. Connects to nothing.
    ///
    /// ```no_run
    /// # async fn example(topology: oncestream_core::graph::Topology, config: oncestream_runtime::StreamsConfig) -> Result<(), oncestream_runtime::StreamsError> {
    /// use oncestream_runtime::{Streams, StreamsError, UncaughtErrorResponse};
    ///
    /// let streams = Streams::builder(topology, config)
    ///     .uncaught_error_handler(|error| match error {
    ///         StreamsError::Panicked { .. } => UncaughtErrorResponse::ReplaceWorker,
    ///         _ => UncaughtErrorResponse::ShutdownClient,
    ///     })
    ///     .on_state_change(|from, to| println!("{from} -> {to}"))
    ///     .start()
    ///     .await?;
    /// // ... the service does its other work ...
    /// streams.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(topology: Topology, config: StreamsConfig) -> StreamsClientBuilder {
        StreamsClientBuilder::new(topology, config)
    }

    /// Where the application stands now.
    pub fn state(&self) -> ClientState {
        self.inner.state.now()
    }

    /// The changes of the state. The receiver sees the latest state, not each one in between;
    /// [`StreamsClientBuilder::on_state_change`] is told of each.
    pub fn state_changes(&self) -> watch::Receiver<ClientState> {
        self.inner.state.subscribe()
    }

    /// Commits what was processed and stops. Ends within `shutdown.timeout.ms`.
    ///
    /// # Errors
    /// The error that stopped the application, if one did; or that it did not stop in time.
    pub async fn shutdown(&self) -> Result<(), StreamsError> {
        let Inner { config, state, stop, workers } = &*self.inner;
        state.become_state(ClientState::PendingShutdown);
        stop.store(true, Ordering::Release);
        let ended = workers.join(config.shutdown_timeout()).await;
        let failed = state.now() == ClientState::PendingError;
        state.become_state(if failed { ClientState::Error } else { ClientState::NotRunning });
        match state.take_error() {
            Some(error) => Err(error),
            None => ended,
        }
    }

    /// Runs until `signal` completes or an error stops the application, and shuts it down.
    ///
    /// # Errors
    /// Those of [`Self::shutdown`].
    pub async fn run_until<F: Future>(&self, signal: F) -> Result<(), StreamsError> {
        let mut changes = self.state_changes();
        tokio::select! {
            _ = signal => {}
            _ = changes.wait_for(|s| s.is_final() || *s == ClientState::PendingError) => {}
        }
        self.shutdown().await
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("application_id", &self.inner.config.application_id())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    /// The last handle is gone: the workers commit and end by themselves.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Completes at SIGINT or, on Unix, SIGTERM.
///
/// ```no_run
/// # async fn example(topology: oncestream_core::graph::Topology, config: oncestream_runtime::StreamsConfig) -> Result<(), oncestream_runtime::StreamsError> {
/// use oncestream_runtime::{Streams, shutdown_signal};
///
/// Streams::builder(topology, config).run_until(shutdown_signal()).await?;
/// # Ok(())
/// # }
/// ```
pub async fn shutdown_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
