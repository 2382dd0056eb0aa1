//! What can go wrong with a broker itself.

use std::io;

/// A broker could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// A port could not be taken.
    #[error("cannot listen on {address}: {source}; choose another port, or 0 for any free one")]
    Listen {
        /// The address that was tried.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The broker's thread could not be started.
    #[error("cannot start the broker's thread: {source}")]
    Thread {
        /// Why not.
        source: io::Error,
    },
    /// A setting that does not exist.
    #[error("the broker has no setting {name}; it knows {known}")]
    UnknownSetting {
        /// The name that was given.
        name: String,
        /// All names there are.
        known: String,
    },
    /// A value that a setting cannot have.
    #[error("broker setting {name} cannot be {value}; it must be {wanted}")]
    Setting {
        /// The setting.
        name: String,
        /// The value that was given.
        value: String,
        /// What it must be.
        wanted: String,
    },
    /// A topic could not be created.
    #[error("cannot create topic {topic}: {reason}")]
    Topic {
        /// Its name.
        topic: String,
        /// Why not.
        reason: String,
    },
    /// Records could not be appended.
    #[error("cannot append to {topic}-{partition}: {reason}")]
    Append {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Why not.
        reason: String,
    },
    /// There is no such node.
    #[error("there is no node {node}; the nodes are numbered from 1 to {nodes}")]
    Node {
        /// The number that was given.
        node: i32,
        /// How many there are.
        nodes: i32,
    },
}
