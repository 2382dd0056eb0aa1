//! [`StreamsClientBuilder`]: what an application is started with, and its start.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oncestream_core::graph::{Graph, InternalTopics, Topology, check_application_id};
use oncestream_engine::{ClientState, StreamsError, WorkerSettings, topics};
use tokio::runtime::Handle;

use super::state::{StateCell, StateListener};
use super::workers::{Shared, Thread, Workers, joined};
use super::{Inner, Streams};
use crate::clients::{Admin, KafkaCluster};
use crate::config::StreamsConfig;
use crate::ports::KafkaPorts;
use crate::start;
use crate::state_dir::StateDir;
use crate::uncaught::{UncaughtErrorHandler, UncaughtErrorResponse};

/// An application that is yet to be started; made by [`Streams::builder`], which has an example.
#[must_use = "nothing runs before `start` or `run_until`"]
pub struct StreamsClientBuilder {
    topology: Topology,
    config: StreamsConfig,
    uncaught: Option<UncaughtErrorHandler>,
    listener: Option<StateListener>,
}

/// What the brokers and the state directory have been made ready for.
struct Opened {
    settings: WorkerSettings,
    ports: KafkaPorts,
    admin: Arc<Admin>,
    wanted: InternalTopics,
}

impl StreamsClientBuilder {
    pub(super) fn new(topology: Topology, config: StreamsConfig) -> Self {
        Self { topology, config, uncaught: None, listener: None }
    }

    /// Decides what happens when a worker ends with an error: a handler that fails, a panic in a
    /// user's function, a client that cannot go on. Its transaction is aborted by then. Without
    /// a handler the client stops.
    pub fn uncaught_error_handler(
        mut self,
        handler: impl Fn(&StreamsError) -> UncaughtErrorResponse + Send + Sync + 'static,
    ) -> Self {
        self.uncaught = Some(Arc::new(handler));
        self
    }

    /// Is told of each change of the state: from which, to which. The first one is from `CREATED`, when
    /// the application starts.
    ///
    /// The calls come one at a time, in the order of the changes, on the thread that changed the state.
    /// That thread waits for the listener, so a listener returns soon and does not wait for the
    /// application: it may not block on [`Streams::shutdown`]. What waits uses
    /// [`Streams::state_changes`].
    pub fn on_state_change(
        mut self,
        listener: impl Fn(ClientState, ClientState) + Send + Sync + 'static,
    ) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Opens the state directory, checks topics, creates the internal ones, restores the global tables,
    /// starts the workers. Returns when they run; records flow as soon as the group has assigned partitions.
    ///
    /// # Errors
    /// Anything that can be known before a record is touched: no broker, a source topic that is
    /// missing, a sink topic likewise, a name that brokers do not take, a topic that two sources read, a
    /// pattern or a source that reads what the application keeps for itself, inputs that are not
    /// co-partitioned, an internal topic with another number of partitions or with settings it cannot
    /// work with, a state directory in use. Also a global table that is not restored within
    /// `global.restore.timeout.ms`. The state is then `ERROR`, as a listener sees.
    pub async fn start(self) -> Result<Streams, StreamsError> {
        let threads = self.config.num_stream_threads();
        let has_globals = !Graph::of(&self.topology).global_tables().is_empty();
        let state = Arc::new(StateCell::new(threads, has_globals, self.listener));
        state.become_state(ClientState::Rebalancing);
        let started = start(self.topology, self.config, state.clone(), self.uncaught).await;
        if started.is_err() {
            state.become_state(ClientState::PendingError);
            state.become_state(ClientState::Error);
        }
        started
    }

    /// Starts, runs until `signal` completes or an error stops the application, and shuts it down.
    ///
    /// # Errors
    /// Those of [`Self::start`] and [`Streams::shutdown`].
    pub async fn run_until<F: Future>(self, signal: F) -> Result<(), StreamsError> {
        self.start().await?.run_until(signal).await
    }
}

impl fmt::Debug for StreamsClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamsClientBuilder")
            .field("topology", &self.topology)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

async fn start(
    topology: Topology,
    config: StreamsConfig,
    state: Arc<StateCell>,
    uncaught: Option<UncaughtErrorHandler>,
) -> Result<Streams, StreamsError> {
    check_application_id(config.application_id())?;
    let graph = Graph::of(&topology).clone();
    let (opening, runtime) = (config.clone(), Handle::current());
    let opened = tokio::task::spawn_blocking(move || open(&graph, opening, runtime));
    let Opened { settings, ports, admin, wanted } = opened.await.map_err(joined)??;
    admin.ensure(&wanted, config.replication_factor()).await?;
    admin.look_at_table_topics(Graph::of(&topology)).await?;
    let threads = config.num_stream_threads();
    let stop = Arc::new(AtomicBool::new(false));
    let told = state.clone();
    let shared = Arc::new(Shared {
        settings,
        topology: Graph::of(&topology).clone(),
        ports,
        stop: stop.clone(),
        on_worker_state: Box::new(move |index, worker| told.worker(index, worker)),
    });
    let thread = Thread { shared, state: state.clone(), stop: stop.clone(), uncaught };
    // If it is dropped on the way, the threads that were started end.
    let inner = Inner { config, state, stop, workers: Workers::default() };
    if let Err(error) = inner.workers.start_globals(&thread).await {
        // When this returns, nobody works in the state directory any more.
        drop(thread);
        let timeout = inner.config.shutdown_timeout();
        if let Err(error) = inner.workers.join(timeout).await {
            tracing::warn!(%error, "the thread of the global tables has not ended in order");
        }
        return Err(error);
    }
    inner.workers.start(threads, &thread)?;
    Ok(Streams { inner: Arc::new(inner) })
}

/// Opens the state directory and looks at the topics. Waits for disks and brokers.
fn open(graph: &Graph, config: StreamsConfig, runtime: Handle) -> Result<Opened, StreamsError> {
    let state_dir = StateDir::open(&config)?;
    let config = config.with_instance_id(state_dir.instance_id.clone());
    let admin = Arc::new(Admin::new(&config)?);
    let cluster = KafkaCluster::new(config.clone(), admin.clone(), runtime);
    let there = admin.topics()?;
    let (application_id, dead_letters) = (config.application_id(), config.dead_letter_topic());
    let wanted = topics::plan(graph, application_id, dead_letters, &cluster, &there)?;
    if !wanted.waiting.is_empty() {
        tracing::info!(topics = ?wanted.waiting, "created when a pattern matches its first topic");
    }
    admin.check_sinks(&start::missing_sinks(graph, &config, &there))?;
    let brokers = admin.brokers()?;
    let scale = start::scale(graph, &config, &there, &wanted, brokers);
    let config = config.with_scale(scale);
    let settings = config.worker_settings();
    let ports = KafkaPorts::new(config, cluster, state_dir);
    Ok(Opened { settings, ports, admin, wanted })
}
