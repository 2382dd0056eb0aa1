//! The threads of an application, its workers and that of its global tables: how they are started, replaced
//! and waited for.
//!
//! What a thread does is the engine's; whether a failed one is replaced, `uncaught.rs` says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use oncestream_engine::StreamsError;
use oncestream_engine::global::{self, Life};
use oncestream_engine::ports::Ports as _;
use oncestream_engine::worker::{self, WorkerState};
use tokio::sync::oneshot;

use super::state::{StateCell, locked};
use crate::ports::KafkaPorts;
use crate::uncaught::{Pauses, UncaughtErrorHandler, UncaughtErrorResponse, respond};

/// What the workers of an instance share.
pub(super) type Shared = worker::Shared<KafkaPorts>;

/// What a worker thread is made of.
#[derive(Clone)]
pub(super) struct Thread {
    pub(super) shared: Arc<Shared>,
    pub(super) state: Arc<StateCell>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) uncaught: Option<UncaughtErrorHandler>,
}

/// The worker threads, until they are waited for.
#[derive(Default)]
pub(super) struct Workers(Mutex<Running>);

#[derive(Default)]
struct Running {
    threads: Vec<JoinHandle<()>>,
    shared: Option<Arc<Shared>>,
}

impl Workers {
    /// Starts the thread of the global tables, and waits until they are restored.
    ///
    /// # Errors
    /// They cannot be restored, or the system gives no thread.
    pub(super) async fn start_globals(&self, thread: &Thread) -> Result<(), StreamsError> {
        let (tell, restored) = oneshot::channel();
        {
            let mut running = locked(&self.0);
            running.shared = Some(thread.shared.clone());
            if thread.shared.topology.global_tables().is_empty() {
                return Ok(());
            }
            running.threads.push(thread.clone().start_globals(tell)?);
        }
        // It ends without a word if it is asked to stop.
        restored.await.unwrap_or(Ok(()))
    }

    /// Starts so many workers.
    ///
    /// # Errors
    /// The system gives no more threads. Those that were started end when `stop` is set.
    pub(super) fn start(&self, threads: usize, thread: &Thread) -> Result<(), StreamsError> {
        let mut running = locked(&self.0);
        for index in 0..threads {
            running.threads.push(thread.clone().start(index)?);
        }
        Ok(())
    }

    /// Waits until the threads have ended, at most for so long, and seals their state.
    ///
    /// # Errors
    /// They did not end in time, or their state could not be sealed.
    pub(super) async fn join(&self, waited: Duration) -> Result<(), StreamsError> {
        let running = std::mem::take(&mut *locked(&self.0));
        let ended = running.join()?;
        match tokio::time::timeout(waited, ended).await {
            Ok(ended) => ended.unwrap_or_else(|_| Err(panicked("the shutdown"))),
            Err(_) => Err(StreamsError::TimedOut { action: "the shutdown".into(), waited }),
        }
    }
}

impl Running {
    /// On a thread of its own: the tokio runtime, and with it the process, would wait for one of its
    /// blocking threads also after the time is up.
    fn join(self) -> Result<oneshot::Receiver<Result<(), StreamsError>>, StreamsError> {
        let (tell, ended) = oneshot::channel();
        spawn("oncestream-shutdown".to_owned(), move || {
            for thread in self.threads {
                // A worker catches its own panics.
                let _ = thread.join();
            }
            let sealed =
                self.shared.map_or(Ok(()), |shared| shared.ports.stores().backend().seal());
            // Nobody listens after the time is up.
            let _ = tell.send(sealed.map_err(StreamsError::from));
        })?;
        Ok(ended)
    }
}

impl Thread {
    fn start(self, index: usize) -> Result<JoinHandle<()>, StreamsError> {
        spawn(format!("oncestream-{index}"), move || {
            if let Err(error) = self.run_replacing(index) {
                tracing::error!(worker = index, %error, "the worker stopped");
                // One worker's fault stops the client, as Kafka Streams does by default.
                self.stop.store(true, Ordering::Release);
                self.state.failed(error);
            }
            self.state.ended();
        })
    }

    /// Starts the thread of the global tables. `tell` hears once that they are restored, or why they are not.
    fn start_globals(
        self,
        tell: oneshot::Sender<Result<(), StreamsError>>,
    ) -> Result<JoinHandle<()>, StreamsError> {
        spawn("oncestream-global".to_owned(), move || {
            let mut tell = Some(tell);
            if let Err(error) = self.run_globals(&mut tell) {
                tracing::error!(%error, "the thread of the global tables stopped");
                match tell {
                    // The start fails with it. Nobody listens if it was given up.
                    Some(tell) => drop(tell.send(Err(error))),
                    None => {
                        self.stop.store(true, Ordering::Release);
                        self.state.failed(error);
                    }
                }
            }
            self.state.ended();
        })
    }

    /// Runs the global tables, and runs them again as long as the uncaught-error handler says so. Workers go on
    /// meanwhile with what the tables have. Before the tables are restored, nobody is asked: the start fails.
    fn run_globals(
        &self,
        tell: &mut Option<oneshot::Sender<Result<(), StreamsError>>>,
    ) -> Result<(), StreamsError> {
        let (mut pauses, mut life) = (Pauses::new(), Life::First);
        loop {
            let on_restored = || {
                // Nobody listens to a start that was given up.
                let _ = tell.take().map(|tell| tell.send(Ok(())));
            };
            let Err(error) = global::run(self.shared.clone(), life, on_restored) else {
                return Ok(());
            };
            // What a new start alone mends is no question either.
            let is_stale = matches!(error, StreamsError::GlobalTableStale { .. });
            if tell.is_some() || is_stale || self.stops_after(&error) {
                return Err(error);
            }
            life = Life::Again;
            tracing::error!(%error, "the thread of the global tables is replaced");
            if !pauses.pause(&self.stop) {
                return Ok(());
            }
        }
    }

    /// Whether an error ends the client. An application that is being stopped has its error told, and is not
    /// asked about it.
    fn stops_after(&self, error: &StreamsError) -> bool {
        self.stop.load(Ordering::Acquire)
            || respond(self.uncaught.as_ref(), error) == UncaughtErrorResponse::ShutdownClient
    }

    /// Runs a worker, and the next in its place as long as the uncaught-error handler says so.
    fn run_replacing(&self, index: usize) -> Result<(), StreamsError> {
        let mut pauses = Pauses::new();
        loop {
            let Err(error) = worker::run(index, self.shared.clone()) else { return Ok(()) };
            if self.stops_after(&error) {
                return Err(error);
            }
            tracing::error!(worker = index, %error, "the worker is replaced");
            (self.shared.on_worker_state)(index, WorkerState::Rebalancing);
            if !pauses.pause(&self.stop) {
                return Ok(());
            }
        }
    }
}

/// Starts a thread.
fn spawn(
    name: String,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StreamsError> {
    Builder::new().name(name).spawn(work).map_err(|source| StreamsError::Thread { source })
}

/// A blocking task of ours that panicked.
pub(crate) fn joined(error: tokio::task::JoinError) -> StreamsError {
    panicked(error)
}

fn panicked(what: impl ToString) -> StreamsError {
    let message = what.to_string();
    StreamsError::Panicked { worker: 0, task: None, activity: None, message }
}
