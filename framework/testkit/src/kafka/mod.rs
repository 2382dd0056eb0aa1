//! A real Apache Kafka for tests: one or three `KRaft` nodes, started from Maven's jars, with no
//! container engine.
//!
//! Knows nothing of clients: topics are made with a client's admin, on
//! [`KafkaCluster::bootstrap_servers`]. Invariants: no node outlives the process that started the
//! cluster, however that ends; nothing of a cluster stays on disk, but its logs when they are
//! wanted.
//!
//! Java 17 or newer must be there, and Maven for the first start ([`install`] tells more).

mod builder;
mod error;
mod install;
mod node;
mod process;
mod security;
mod settings;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

pub use builder::KafkaClusterBuilder;
pub use error::KafkaError;
pub use install::{KAFKA_VERSION, install, java};
use node::Node;
use process::Signal;
use security::Certificate;
use settings::Ports;

/// A running Apache Kafka of one or three nodes.
///
/// All methods take `&self`: a cluster may be shared by threads, or by all tests of a binary in a
/// `static`. Nodes are named by Kafka's own `node.id`, which counts from 1, so that the leader a
/// client reports can be handed to [`kill_node`](Self::kill_node).
///
/// When it is dropped the nodes are killed and their files removed. In a panicking thread the logs
/// stay. To keep them in any case, set `ONCESTREAM_KAFKA_KEEP_LOGS`, or call
/// [`keep_logs`](Self::keep_logs). Where they are kept, standard error tells the place.
///
/// # Example
///
/// ```no_run
/// use oncestream_testkit::KafkaCluster;
///
/// let kafka = KafkaCluster::builder().nodes(3).property("log.retention.ms", "-1").start()?;
/// println!("bootstrap.servers={}", kafka.bootstrap_servers());
/// kafka.kill_node(2)?; // a crash
/// kafka.start_node(2)?; // and its recovery
/// # Ok::<(), oncestream_testkit::kafka::KafkaError>(())
/// ```
#[derive(Debug)]
pub struct KafkaCluster {
    nodes: Vec<Mutex<Node>>,
    bootstrap_servers: String,
    secure: Option<Secure>,
    start_within: Duration,
    keep_logs: AtomicBool,
    /// None only after the logs were kept, while this is dropped.
    folder: Option<TempDir>,
    log_dir: PathBuf,
}

/// What clients of the secured listeners need.
#[derive(Debug)]
struct Secure {
    servers: String,
    authority: PathBuf,
}

impl Secure {
    fn new(ports: &[Ports], certificate: Certificate) -> Self {
        let servers: Vec<String> =
            ports.iter().map(|own| format!("127.0.0.1:{}", own.secure)).collect();
        Self { servers: servers.join(","), authority: certificate.authority }
    }
}

impl KafkaCluster {
    /// Starts one node.
    ///
    /// # Errors
    ///
    /// Those of [`KafkaClusterBuilder::start`].
    pub fn start() -> Result<Self, KafkaError> {
        Self::builder().start()
    }

    /// A cluster with options.
    pub fn builder() -> KafkaClusterBuilder {
        KafkaClusterBuilder::new()
    }

    fn new(
        folder: TempDir,
        nodes: Vec<Node>,
        start_within: Duration,
        secure: Option<Secure>,
    ) -> Self {
        let servers: Vec<String> =
            nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let cluster = Self {
            bootstrap_servers: servers.join(","),
            secure,
            nodes: nodes.into_iter().map(Mutex::new).collect(),
            start_within,
            keep_logs: AtomicBool::new(false),
            log_dir: folder.path().join("logs"),
            folder: Some(folder),
        };
        if env::var_os("ONCESTREAM_KAFKA_KEEP_LOGS").is_some_and(|value| !value.is_empty()) {
            cluster.keep_logs();
        }
        cluster
    }

    /// The addresses of all nodes, `host:port` with commas between: a client's
    /// `bootstrap.servers`. They stay the same when nodes are started again.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// As [`bootstrap_servers`](Self::bootstrap_servers), of the listeners that take TLS and SCRAM
    /// alone. `None` unless the cluster was made with
    /// [`secured`](KafkaClusterBuilder::secured).
    pub fn secure_servers(&self) -> Option<&str> {
        self.secure.as_ref().map(|secure| &*secure.servers)
    }

    /// The PEM file of the authority that signed those listeners' certificate: a client's
    /// `ssl.ca.location`. It goes with the cluster.
    pub fn authority(&self) -> Option<&Path> {
        self.secure.as_ref().map(|secure| &*secure.authority)
    }

    /// How many nodes the cluster has, running or not.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Kills a node with SIGKILL and waits for its end: a crash. Its data stays on disk. A node
    /// that does not run is left as it is.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn kill_node(&self, node: i32) -> Result<(), KafkaError> {
        self.node(node)?.kill()
    }

    /// Stops a node with SIGTERM and waits for its controlled shutdown: leadership moves away, and
    /// the log is closed cleanly. A node that does not run is left as it is.
    ///
    /// # Errors
    ///
    /// When there is no such node, or when it does not stop within 30 s; then it still runs.
    pub fn stop_node(&self, node: i32) -> Result<(), KafkaError> {
        self.node(node)?.stop()
    }

    /// Starts a node that was killed or stopped, on its old port and data, and waits until it is
    /// ready. A node that runs is left as it is.
    ///
    /// # Errors
    ///
    /// When there is no such node, or when it ends or is not ready in time.
    pub fn start_node(&self, node: i32) -> Result<(), KafkaError> {
        let mut node = self.node(node)?;
        if node.pid().is_some() {
            return Ok(());
        }
        node.launch()?;
        node.await_ready(self.start_within)
    }

    /// Freezes a node with SIGSTOP: its connections stay open and nothing answers, as with a
    /// machine that hangs.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn pause_node(&self, node: i32) -> Result<(), KafkaError> {
        self.node(node)?.send(Signal::Stop)
    }

    /// Lets a node that was paused run on.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn resume_node(&self, node: i32) -> Result<(), KafkaError> {
        self.node(node)?.send(Signal::Continue)
    }

    /// The process id of a node's Java, or `None` while it does not run.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn node_pid(&self, node: i32) -> Result<Option<u32>, KafkaError> {
        Ok(self.node(node)?.pid())
    }

    /// The folder of the nodes' logs and properties: `node-1.log`, `node-1.properties`.
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// Leaves the logs in [`log_dir`](Self::log_dir) when the cluster ends, however it ends.
    pub fn keep_logs(&self) {
        self.keep_logs.store(true, Ordering::Relaxed);
        if let Some(folder) = &self.folder {
            // For the watchdogs, should this process die. Without it they only tidy too well.
            let _ = fs::write(folder.path().join("keep"), "");
        }
    }

    fn node(&self, node: i32) -> Result<MutexGuard<'_, Node>, KafkaError> {
        let index = usize::try_from(node).ok().and_then(|id| id.checked_sub(1));
        match index.and_then(|index| self.nodes.get(index)) {
            // A node is as its process is; a panic elsewhere does not change that.
            Some(found) => Ok(found.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Err(KafkaError::UnknownNode { node, nodes: self.nodes.len() }),
        }
    }
}

impl Drop for KafkaCluster {
    fn drop(&mut self) {
        if thread::panicking() {
            self.keep_logs();
        }
        // Kills them; only then is it safe to remove their files.
        self.nodes.clear();
        if *self.keep_logs.get_mut()
            && let Some(folder) = self.folder.take()
        {
            let folder = folder.keep();
            eprintln!("the logs of Apache Kafka are in {}", self.log_dir.display());
            // The logs were wanted. Data that cannot be removed harms nobody.
            let _ = fs::remove_dir_all(folder.join("data"));
        }
    }
}
