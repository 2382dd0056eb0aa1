//! How a cluster comes to be: options, ports, formatted storage, started nodes.
//!
//! Invariant: a port that was free and is taken before Kafka binds it costs a new attempt, never
//! a failed test.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::install::{install, java, text_of};
use super::node::Node;
use super::security::Certificate;
use super::settings::{Ports, properties};
use super::{KafkaCluster, KafkaError, Secure};

/// 22 characters, as Kafka wants it: 16 bytes in base64.
const CLUSTER_ID: &str = "oncestream-test-kit-AA";

/// How often a cluster is started anew because another process took one of its ports.
const ATTEMPTS: usize = 5;

/// Where ports are taken from. Systems hand out higher ones to clients, and a client that keeps
/// connecting to a killed node on such a port may end up connected to itself.
const PORTS: std::ops::Range<u64> = 15_000..32_000;

/// Properties and their values.
type Settings = BTreeMap<String, String>;

/// The options of a [`KafkaCluster`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct KafkaClusterBuilder {
    nodes: usize,
    overrides: Settings,
    of_nodes: BTreeMap<i32, Settings>,
    secured: bool,
    heap_mb: Option<u32>,
    fast_start: bool,
    start_within: Duration,
}

impl KafkaClusterBuilder {
    pub(super) fn new() -> Self {
        Self {
            nodes: 1,
            overrides: BTreeMap::new(),
            of_nodes: BTreeMap::new(),
            secured: false,
            heap_mb: None,
            fast_start: true,
            start_within: Duration::from_mins(1),
        }
    }

    /// How many nodes, each broker and controller: 1 (the default) or 3. Their ids count from 1.
    ///
    /// With three, topics have three replicas by default and need two of them.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes.max(1);
        self
    }

    /// A property of Kafka's `server.properties`, for all nodes. It wins over the cluster's own.
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.insert(key.into(), value.into());
        self
    }

    /// A property of one node alone, named by its id. It wins over [`property`](Self::property).
    ///
    /// Of three nodes in three racks, the one in a consumer's `client.rack` answers its fetches:
    ///
    /// ```no_run
    /// use oncestream_testkit::KafkaCluster;
    ///
    /// let selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    /// let kafka = KafkaCluster::builder()
    ///     .nodes(3)
    ///     .property("replica.selector.class", selector)
    ///     .node_property(1, "broker.rack", "r1")
    ///     .node_property(2, "broker.rack", "r2")
    ///     .node_property(3, "broker.rack", "r3")
    ///     .start()?;
    /// # Ok::<(), oncestream_testkit::kafka::KafkaError>(())
    /// ```
    pub fn node_property(
        mut self,
        node: i32,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.of_nodes.entry(node).or_default().insert(key.into(), value.into());
        self
    }

    /// Adds a listener to each node that takes TLS and SASL/SCRAM-SHA-512 alone
    /// ([`KafkaCluster::secure_servers`], [`KafkaCluster::authority`]), and an authoriser that
    /// denies what is not granted. Who connects to [`KafkaCluster::bootstrap_servers`] may do
    /// everything, and makes users and rights there.
    pub fn secured(mut self) -> Self {
        self.secured = true;
        self
    }

    /// The heap of each node in MiB. The default is 1024 for one node, 512 for each of several.
    pub fn heap_mb(mut self, heap_mb: u32) -> Self {
        self.heap_mb = Some(heap_mb);
        self
    }

    /// Whether Java keeps to its quick compiler, which is the default: nodes start sooner, and are
    /// slower under load. Turn it off to measure throughput.
    pub fn fast_start(mut self, fast_start: bool) -> Self {
        self.fast_start = fast_start;
        self
    }

    /// How long a node may take until it is ready. The default is a minute.
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.start_within = limit;
        self
    }

    /// Starts the cluster and waits until all nodes are ready.
    ///
    /// # Errors
    ///
    /// When Maven or Java is missing, when Kafka refuses its properties, when a property is for a
    /// node that there is not, or when a node is not ready in time. Nothing is left running then.
    pub fn start(self) -> Result<KafkaCluster, KafkaError> {
        if let Some(node) = self.unknown_node() {
            return Err(KafkaError::UnknownNode { node, nodes: self.nodes });
        }
        let jars = install()?;
        let mut attempt = 1;
        loop {
            match self.start_once(&jars) {
                Err(KafkaError::PortTaken { .. }) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    /// A node that has properties of its own and is not there.
    fn unknown_node(&self) -> Option<i32> {
        let there = |node: i32| usize::try_from(node).is_ok_and(|n| (1..=self.nodes).contains(&n));
        self.of_nodes.keys().copied().find(|node| !there(*node))
    }

    /// What a node gets beside the cluster's own properties.
    fn settings(&self, id: i32, own: Ports, secure: Option<&Certificate>) -> Settings {
        let mut settings = secure.map(|c| c.properties(own)).unwrap_or_default();
        settings.extend(self.overrides.clone());
        settings.extend(self.of_nodes.get(&id).cloned().unwrap_or_default());
        settings
    }

    fn start_once(&self, jars: &Path) -> Result<KafkaCluster, KafkaError> {
        let temp = env::temp_dir();
        let folder = tempfile::Builder::new()
            .prefix("oncestream-kafka-")
            .tempdir_in(&temp)
            .map_err(KafkaError::io("create a folder in", &temp))?;
        let ports =
            free_ports(self.nodes).map_err(KafkaError::io("find ports for", Path::new("Kafka")))?;
        let certificate =
            if self.secured { Some(Certificate::create(folder.path())?) } else { None };
        let mut nodes = (1..)
            .zip(&ports)
            .map(|(id, own)| {
                let settings = self.settings(id, *own, certificate.as_ref());
                self.prepare(id, &settings, &ports, jars, folder.path())
            })
            .collect::<Result<Vec<Node>, KafkaError>>()?;
        format_storage(jars, folder.path(), self.nodes)?;
        for node in &mut nodes {
            node.launch()?;
        }
        for node in &mut nodes {
            node.await_ready(self.start_within)?;
        }
        let secure = certificate.map(|certificate| Secure::new(&ports, certificate));
        Ok(KafkaCluster::new(folder, nodes, self.start_within, secure))
    }

    fn prepare(
        &self,
        id: i32,
        settings: &Settings,
        ports: &[Ports],
        jars: &Path,
        folder: &Path,
    ) -> Result<Node, KafkaError> {
        let files = Files::of(folder, id);
        for parent in [&files.data, &files.log].into_iter().filter_map(|path| path.parent()) {
            fs::create_dir_all(parent).map_err(KafkaError::io("create", parent))?;
        }
        let text = properties(id, ports, &files.data, settings);
        fs::write(&files.properties, text).map_err(KafkaError::io("write", &files.properties))?;

        let heap_mb = self.heap_mb.unwrap_or(if self.nodes == 1 { 1024 } else { 512 });
        let mut command: Vec<OsString> = vec![java().into(), format!("-Xmx{heap_mb}m").into()];
        if self.fast_start {
            command.push("-XX:TieredStopAtLevel=1".into());
        }
        command.push("-XX:+ExitOnOutOfMemoryError".into());
        command.push("-Dorg.slf4j.simpleLogger.showDateTime=true".into());
        command.push("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS".into());
        command.extend(["-cp".into(), class_path(jars), "kafka.Kafka".into()]);
        command.push(files.properties.into());
        let folder = folder.to_owned();
        let port = ports[id as usize - 1].broker;
        Ok(Node { id, port, folder, log: files.log, command, process: None, log_start: 0 })
    }
}

/// Where the files of a node are. What is kept of a cluster is the `logs` folder.
struct Files {
    properties: PathBuf,
    log: PathBuf,
    data: PathBuf,
}

impl Files {
    fn of(folder: &Path, id: i32) -> Self {
        let logs = folder.join("logs");
        Self {
            properties: logs.join(format!("node-{id}.properties")),
            log: logs.join(format!("node-{id}.log")),
            data: folder.join("data").join(format!("node-{id}")),
        }
    }
}

fn class_path(jars: &Path) -> OsString {
    jars.join("*").into()
}

/// Formats the storage of all nodes with one run of Kafka's tool, which takes a second or two:
/// the others get a copy of the first's, under their own id. A directory id they choose themselves.
fn format_storage(jars: &Path, folder: &Path, nodes: usize) -> Result<(), KafkaError> {
    let first = Files::of(folder, 1);
    let program = java();
    let result = Command::new(&program)
        .arg("-XX:TieredStopAtLevel=1")
        .arg("-cp")
        .arg(class_path(jars))
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
        .arg(&first.properties)
        .stdin(Stdio::null())
        .output();
    let output = match result {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KafkaError::JavaMissing { program });
        }
        Err(error) => return Err(KafkaError::io("run", &program)(error)),
    };
    if !output.status.success() {
        return Err(KafkaError::FormatFailed { output: text_of(&output) });
    }
    let checkpoint = "bootstrap.checkpoint";
    let source = first.data.join(checkpoint);
    for id in (1..).take(nodes).skip(1) {
        let data = Files::of(folder, id).data;
        fs::create_dir_all(&data).map_err(KafkaError::io("create", &data))?;
        fs::copy(&source, data.join(checkpoint)).map_err(KafkaError::io("copy", &source))?;
        let meta = data.join("meta.properties");
        let text = format!("version=1\nnode.id={id}\ncluster.id={CLUSTER_ID}\n");
        fs::write(&meta, text).map_err(KafkaError::io("write", &meta))?;
    }
    Ok(())
}

/// Three ports for each node that nobody listens on. All are held until all are found, so that they
/// differ; then they are free for Kafka, or for whoever is quicker.
fn free_ports(nodes: usize) -> io::Result<Vec<Ports>> {
    let mut held: Vec<TcpListener> = Vec::new();
    let mut tries = 0;
    while held.len() < 3 * nodes {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, random_port())) {
            Ok(listener) => held.push(listener),
            Err(error) if tries > 1000 => return Err(error),
            Err(_) => tries += 1,
        }
    }
    let numbers = held
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<io::Result<Vec<u16>>>()?;
    Ok(numbers
        .chunks(3)
        .map(|own| Ports { broker: own[0], controller: own[1], secure: own[2] })
        .collect())
}

/// The standard library's only source of randomness: the keys of a new hasher.
fn random_port() -> u16 {
    let random = RandomState::new().hash_one(0);
    (PORTS.start + random % (PORTS.end - PORTS.start)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_nodes_own_property_wins_and_the_others_keep_the_clusters() {
        let builder = KafkaClusterBuilder::new()
            .nodes(3)
            .property("broker.rack", "any")
            .node_property(2, "broker.rack", "r2");
        let own = Ports { broker: 1, controller: 2, secure: 3 };
        let rack = |id| builder.settings(id, own, None)["broker.rack"].clone();
        assert_eq!([rack(1), rack(2), rack(3)], ["any", "r2", "any"]);
    }

    #[test]
    fn a_property_of_a_node_that_there_is_not_is_refused() {
        let started = KafkaClusterBuilder::new().node_property(2, "broker.rack", "r2").start();
        assert!(matches!(started, Err(KafkaError::UnknownNode { node: 2, nodes: 1 })));
    }

    #[test]
    fn ports_are_distinct_free_and_below_those_of_clients() {
        let ports = free_ports(50).unwrap();
        let numbers: HashSet<u16> =
            ports.iter().flat_map(|p| [p.broker, p.controller, p.secure]).collect();
        assert_eq!(numbers.len(), 150);
        assert!(numbers.iter().all(|port| PORTS.contains(&u64::from(*port))));
    }
}
