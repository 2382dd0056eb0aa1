//! What can go wrong while a Kafka for tests is installed, started or handled. Every message says
//! what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// An error of [`KafkaCluster`](super::KafkaCluster) or [`install`](super::install()).
///
/// Its `Debug` is its message too: a test unwraps, and should show what to do.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// `mvn` is not there, and the jars are not installed yet.
    #[error(
        "Maven is needed to fetch Apache Kafka, and `mvn` was not found: install Maven, or set \
         ONCESTREAM_KAFKA_JARS to a folder that holds the jars"
    )]
    MavenMissing,

    /// `java` is not there.
    #[error(
        "Java is needed to run Apache Kafka, and {program:?} was not found: install Java 17 or \
         newer, or set JAVA_HOME"
    )]
    JavaMissing {
        /// The program that was looked for.
        program: PathBuf,
    },

    /// The folder named by `ONCESTREAM_KAFKA_JARS` holds no broker of the right version.
    #[error(
        "ONCESTREAM_KAFKA_JARS is {folder:?}, which has no {jar}: unset it, or fill the folder \
         with `mvn -f framework/testkit/maven/pom.xml dependency:copy-dependencies \
         -DoutputDirectory=FOLDER`"
    )]
    JarsIncomplete {
        /// The folder that was looked at.
        folder: PathBuf,
        /// The first jar found missing.
        jar: String,
    },

    /// `keytool` ran and failed.
    #[error("keytool could not make a certificate:\n{output}")]
    CertificateFailed {
        /// What it printed.
        output: String,
    },

    /// Neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[error(
        "no place for the jars of Apache Kafka: set HOME, XDG_CACHE_HOME or ONCESTREAM_KAFKA_JARS"
    )]
    NoCacheFolder,

    /// Maven ran and failed.
    #[error(
        "Maven could not fetch Apache Kafka; look for a missing network, proxy or mirror setting \
         in its output:\n{output}"
    )]
    InstallFailed {
        /// What Maven printed.
        output: String,
    },

    /// Kafka's storage tool failed.
    #[error(
        "Kafka's storage could not be formatted; if you gave properties, look for a wrong one \
         here:\n{output}"
    )]
    FormatFailed {
        /// What the tool printed.
        output: String,
    },

    /// A node ended before it was ready.
    #[error(
        "Kafka node {node} ended while it started ({status}); if you gave properties, look for a \
         wrong one at the end of its log:\n{log_tail}"
    )]
    NodeExited {
        /// The node's id.
        node: i32,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log_tail: String,
    },

    /// Another process took a port of the node. A starting cluster tries others before it says
    /// so; a node that is started again cannot, its clients know its port.
    #[error("a port of Kafka node {node} is in use by another process: start the cluster anew")]
    PortTaken {
        /// The node's id.
        node: i32,
    },

    /// A node was not ready before the deadline.
    #[error(
        "Kafka node {node} was not ready within {limit:?}: on a slow machine give it longer with \
         `start_within`; the end of its log:\n{log_tail}"
    )]
    NotReadyInTime {
        /// The node's id.
        node: i32,
        /// How long it was given.
        limit: Duration,
        /// The last lines of its log.
        log_tail: String,
    },

    /// A node did not shut down. It still runs; `kill_node` ends it.
    #[error(
        "Kafka node {node} did not stop within {limit:?} and still runs: a controlled shutdown \
         needs a majority of the nodes, so stop the last ones with `kill_node`"
    )]
    NotStoppedInTime {
        /// The node's id.
        node: i32,
        /// How long it was given.
        limit: Duration,
    },

    /// There is no node of that id.
    #[error("there is no Kafka node {node}: the ids are 1 to {nodes}")]
    UnknownNode {
        /// The id that was asked for.
        node: i32,
        /// How many nodes the cluster has.
        nodes: usize,
    },

    /// A file could not be handled, or a process not started.
    #[error("could not {action} {path:?}: {source}")]
    Io {
        /// What was being done, as in "could not ...".
        action: &'static str,
        /// To which file or program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Debug for KafkaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl KafkaError {
    /// For `map_err`: names what was done, and to what.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
