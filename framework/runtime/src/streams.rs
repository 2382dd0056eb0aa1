//! [`Streams`]: an application, from the service that embeds it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use oncestream_core::graph::{Topology, check_application_id};
use oncestream_engine::ports::Ports as _;
use oncestream_engine::worker::{self, WorkerState};
use oncestream_engine::{ClientState, StreamsError, topics};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::clients::{Admin, KafkaCluster};
use crate::config::StreamsConfig;
use crate::ports::KafkaPorts;
use crate::start;
use crate::state_dir::StateDir;
use crate::uncaught::{Pauses, UncaughtErrorHandler, UncaughtErrorResponse, respond};

/// What the workers of an instance share.
type Shared = worker::Shared<KafkaPorts>;

/// A running application: a topology, its worker threads and its state. Cheap to clone; every
/// clone is a handle on the same application.
///
/// ```no_run
/// # async fn example(topology: oncestream_core::graph::Topology) -> Result<(), Box<dyn std::error::Error>> {
/// use oncestream_runtime::{ProcessingGuarantee, Streams, StreamsConfig, shutdown_signal};
///
/// let config = StreamsConfig::builder("word-count", "localhost:9092")
///     .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
///     .build()?;
/// Streams::new(topology, config)?.run_until(shutdown_signal()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Streams {
    inner: Arc<Inner>,
}

struct Inner {
    topology: Topology,
    config: StreamsConfig,
    state: Arc<StateCell>,
    stop: Arc<AtomicBool>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    shared: Mutex<Option<Arc<Shared>>>,
    uncaught: Mutex<Option<UncaughtErrorHandler>>,
}

/// The state of the application, the first error, and who listens.
struct StateCell {
    state: watch::Sender<ClientState>,
    error: Mutex<Option<StreamsError>>,
    running: Mutex<Vec<bool>>,
    /// Workers that have not ended.
    alive: AtomicUsize,
}

impl StateCell {
    fn become_state(&self, next: ClientState) -> bool {
        self.change_state(next, |state| state.may_become(next))
    }

    fn change_state(&self, next: ClientState, allowed: impl Fn(ClientState) -> bool) -> bool {
        self.state.send_if_modified(|state| {
            let allowed = allowed(*state);
            if allowed {
                tracing::info!(from = %state, to = %next, "state");
                *state = next;
            }
            allowed
        })
    }

    fn worker(&self, index: usize, state: WorkerState) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running[index] = state == WorkerState::Running;
        let all = running.iter().all(|r| *r);
        let next = if all { ClientState::Running } else { ClientState::Rebalancing };
        self.become_state(next);
    }
}

impl Streams {
    /// An application that is not started yet. Talks to no broker.
    ///
    /// # Errors
    /// None yet; a topology and a configuration that were built are valid on their own.
    pub fn new(topology: Topology, config: StreamsConfig) -> Result<Self, StreamsError> {
        let state = StateCell {
            state: watch::Sender::new(ClientState::Created),
            error: Mutex::new(None),
            running: Mutex::new(vec![false; config.num_stream_threads()]),
            alive: AtomicUsize::new(config.num_stream_threads()),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                topology,
                config,
                state: Arc::new(state),
                stop: Arc::new(AtomicBool::new(false)),
                workers: Mutex::default(),
                shared: Mutex::default(),
                uncaught: Mutex::default(),
            }),
        })
    }

    /// Where the application stands now.
    pub fn state(&self) -> ClientState {
        *self.inner.state.state.borrow()
    }

    /// The changes of the state. The receiver sees the latest state, not each one in between.
    pub fn state_changes(&self) -> watch::Receiver<ClientState> {
        self.inner.state.state.subscribe()
    }

    /// Decides what happens when a worker ends with an error: a handler that fails, a panic in a
    /// user's function, a client that cannot go on. Its transaction is aborted by then. Without
    /// a handler the client stops.
    ///
    /// ```
    /// # fn example(streams: &oncestream_runtime::Streams) -> Result<(), oncestream_runtime::StreamsError> {
    /// use oncestream_runtime::{StreamsError, UncaughtErrorResponse};
    /// streams.set_uncaught_error_handler(|error| match error {
    ///     StreamsError::Panicked { .. } => UncaughtErrorResponse::ReplaceWorker,
    ///     _ => UncaughtErrorResponse::ShutdownClient,
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StreamsError::InvalidState`] after the application was started.
    pub fn set_uncaught_error_handler<F>(&self, handler: F) -> Result<(), StreamsError>
    where
        F: Fn(&StreamsError) -> UncaughtErrorResponse + Send + Sync + 'static,
    {
        let mut uncaught = self.inner.uncaught.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state() != ClientState::Created {
            return Err(StreamsError::InvalidState {
                state: self.state(),
                hint: "set the uncaught-error handler before the start",
            });
        }
        *uncaught = Some(Arc::new(handler));
        Ok(())
    }

    /// Opens the state directory, checks topics, creates the internal ones, starts the workers.
    /// Returns when they run; records flow as soon as the group has assigned partitions.
    ///
    /// # Errors
    /// Anything that can be known before a record is touched: no broker, a source topic that is
    /// missing, a sink topic likewise, a name that brokers do not take, a topic that two sources read, a pattern or a source that
    /// reads what the application keeps for itself, inputs that are not co-partitioned, an internal
    /// topic with another number of partitions or with settings it cannot work with, a state
    /// directory in use. The application is then in `ERROR`.
    pub async fn start(&self) -> Result<(), StreamsError> {
        // Not every change to REBALANCING is a start: a running application makes it too.
        let state = &self.inner.state;
        if !state.change_state(ClientState::Rebalancing, |s| s == ClientState::Created) {
            return Err(StreamsError::InvalidState {
                state: self.state(),
                hint: "an application is started once; make a new one",
            });
        }
        let started = self.start_workers().await;
        if started.is_err() {
            self.inner.state.become_state(ClientState::PendingError);
            self.inner.state.become_state(ClientState::Error);
        }
        started
    }

    async fn start_workers(&self) -> Result<(), StreamsError> {
        let inner = &self.inner;
        let (config, topology) = (inner.config.clone(), inner.topology.clone());
        check_application_id(config.application_id())?;
        let runtime = Handle::current();
        let opened = tokio::task::spawn_blocking(move || {
            let state_dir = StateDir::open(&config)?;
            let config = config.with_instance_id(state_dir.instance_id.clone());
            let admin = Arc::new(Admin::new(&config)?);
            let cluster = KafkaCluster::new(config.clone(), admin.clone(), runtime);
            let there = admin.topics()?;
            let (application_id, dead_letters) =
                (config.application_id(), config.dead_letter_topic());
            let wanted = topics::plan(&topology, application_id, dead_letters, &cluster, &there)?;
            if !wanted.waiting.is_empty() {
                tracing::info!(topics = ?wanted.waiting, "created when a pattern matches its first topic");
            }
            admin.check_sinks(&start::missing_sinks(&topology, &config, &there))?;
            let brokers = admin.brokers()?;
            let scale = start::scale(&topology, &config, &there, &wanted, brokers);
            let config = config.with_scale(scale);
            let settings = config.worker_settings();
            let ports = KafkaPorts::new(config, cluster, state_dir);
            Ok::<_, StreamsError>((settings, ports, admin, wanted))
        });
        let (settings, ports, admin, wanted) = opened.await.map_err(joined)??;
        admin.ensure(&wanted, inner.config.replication_factor()).await?;
        let threads = inner.config.num_stream_threads();
        let state = inner.state.clone();
        let shared = Arc::new(Shared {
            settings,
            topology: inner.topology.clone(),
            ports,
            stop: inner.stop.clone(),
            on_worker_state: Box::new(move |index, s| state.worker(index, s)),
        });
        for index in 0..threads {
            let worker = self.spawn_worker(index, shared.clone())?;
            inner.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
        *inner.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(shared);
        Ok(())
    }

    fn spawn_worker(
        &self,
        index: usize,
        shared: Arc<Shared>,
    ) -> Result<JoinHandle<()>, StreamsError> {
        let path = self.inner.config.state_dir().display().to_string();
        let (state, stop) = (self.inner.state.clone(), self.inner.stop.clone());
        let uncaught = self.inner.uncaught.lock().unwrap_or_else(PoisonError::into_inner).clone();
        std::thread::Builder::new()
            .name(format!("oncestream-{index}"))
            .spawn(move || {
                if let Err(error) = run_replacing(index, shared, uncaught.as_ref()) {
                    tracing::error!(worker = index, %error, "the worker stopped");
                    let mut first = state.error.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert(error);
                    drop(first);
                    // One worker's fault stops the client, as Kafka Streams does by default.
                    stop.store(true, Ordering::Release);
                    state.become_state(ClientState::PendingError);
                }
                if state.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
                    // Only after an error; a shutdown has its own end.
                    state.become_state(ClientState::Error);
                }
            })
            .map_err(|source| StreamsError::StateDir { path, source })
    }

    /// Commits what was processed and stops. Ends within `shutdown.timeout.ms`.
    ///
    /// # Errors
    /// The error that stopped the application, if one did; or that it did not stop in time.
    pub async fn shutdown(&self) -> Result<(), StreamsError> {
        let inner = &self.inner;
        inner.state.become_state(ClientState::PendingShutdown);
        inner.stop.store(true, Ordering::Release);
        let workers =
            std::mem::take(&mut *inner.workers.lock().unwrap_or_else(PoisonError::into_inner));
        let shared = inner.shared.lock().unwrap_or_else(PoisonError::into_inner).take();
        let timeout = inner.config.shutdown_timeout();
        let persisted = match join_all(workers, shared) {
            Ok(ended) => match tokio::time::timeout(timeout, ended).await {
                Ok(ended) => ended.unwrap_or_else(|_| Err(panicked("the shutdown"))),
                Err(_) => {
                    Err(StreamsError::TimedOut { action: "the shutdown".into(), waited: timeout })
                }
            },
            Err(source) => Err(StreamsError::StateDir {
                path: inner.config.state_dir().display().to_string(),
                source,
            }),
        };
        let error = inner.state.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        let failed = self.state() == ClientState::PendingError;
        inner.state.become_state(if failed { ClientState::Error } else { ClientState::NotRunning });
        match error {
            Some(error) => Err(error),
            None => persisted,
        }
    }

    /// Starts, runs until `signal` completes or an error stops the application, and shuts down.
    ///
    /// # Errors
    /// Those of [`Self::start`] and [`Self::shutdown`].
    pub async fn run_until<F: Future>(&self, signal: F) -> Result<(), StreamsError> {
        self.start().await?;
        let mut changes = self.state_changes();
        tokio::select! {
            _ = signal => {}
            _ = changes.wait_for(|s| s.is_final() || *s == ClientState::PendingError) => {}
        }
        self.shutdown().await
    }
}

impl Drop for Inner {
    /// The last handle is gone: the workers commit and end by themselves.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Waits for the workers and seals their state, on a thread of its own: the tokio runtime, and with
/// it the process, would wait for one of its blocking threads also after the time is up.
fn join_all(
    workers: Vec<JoinHandle<()>>,
    shared: Option<Arc<Shared>>,
) -> std::io::Result<oneshot::Receiver<Result<(), StreamsError>>> {
    let (tell, ended) = oneshot::channel();
    std::thread::Builder::new().name("oncestream-shutdown".to_owned()).spawn(move || {
        for worker in workers {
            // A worker catches its own panics.
            let _ = worker.join();
        }
        let sealed = shared.map_or(Ok(()), |shared| shared.ports.stores().backend().seal());
        // Nobody listens after the time is up.
        let _ = tell.send(sealed.map_err(StreamsError::from));
    })?;
    Ok(ended)
}

/// Runs a worker, and the next in its place as long as the uncaught-error handler says so.
fn run_replacing(
    index: usize,
    shared: Arc<Shared>,
    uncaught: Option<&UncaughtErrorHandler>,
) -> Result<(), StreamsError> {
    let mut pauses = Pauses::new();
    loop {
        let Err(error) = worker::run(index, shared.clone()) else { return Ok(()) };
        // An application that is being stopped has its error told, and is not asked about it.
        if shared.stop.load(Ordering::Acquire)
            || respond(uncaught, &error) == UncaughtErrorResponse::ShutdownClient
        {
            return Err(error);
        }
        tracing::error!(worker = index, %error, "the worker is replaced");
        (shared.on_worker_state)(index, WorkerState::Rebalancing);
        if !pauses.pause(&shared.stop) {
            return Ok(());
        }
    }
}

pub(crate) fn joined(error: tokio::task::JoinError) -> StreamsError {
    panicked(error)
}

fn panicked(what: impl ToString) -> StreamsError {
    let message = what.to_string();
    StreamsError::Panicked { worker: 0, task: None, activity: None, message }
}

/// Completes at SIGINT or, on Unix, SIGTERM.
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
