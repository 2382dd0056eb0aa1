//! Why a chapter could not be shown.

use oncestream_broker::BrokerError;
use rdkafka::error::KafkaError;

/// Why the lab could not show what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// There is no such chapter.
    #[error("there is no chapter {name}{}", nearest.map_or_else(String::new, |n| format!("; did you mean {n}?")))]
    Chapter {
        /// The name that was asked for.
        name: String,
        /// The chapter whose name is nearest.
        nearest: Option<&'static str>,
    },
    /// The lab does not speak this language.
    #[error("the lab does not speak {code}: en and ko are there")]
    Language {
        /// The language's code.
        code: String,
    },
    /// The embedded broker failed.
    #[error("the embedded broker: {0}")]
    Broker(#[from] BrokerError),
    /// A client failed where the chapter has no use for a failure.
    #[error("{what}: {source}")]
    Client {
        /// What the client was doing.
        what: String,
        /// Its error.
        source: KafkaError,
    },
    /// A request that was written by hand could not be sent, or its answer not be read.
    #[error("a request written by hand: {0}")]
    Raw(String),
    /// Something did not happen in its time.
    #[error("{what}: not within {seconds} s")]
    Late {
        /// What was waited for.
        what: String,
        /// For so long.
        seconds: u64,
    },
    /// A process of the chapter could not be started, or ended by itself.
    #[error("the process {worker} of this chapter: {reason}")]
    Worker {
        /// Its role in the chapter.
        worker: String,
        /// What happened.
        reason: String,
    },
    /// The database of a chapter could not be read or written.
    #[error("the database of this chapter, {}: {source}", path.display())]
    Database {
        /// Its file.
        path: std::path::PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The topology of a chapter could not be run.
    #[error("the topology of this chapter: {0}")]
    Streams(String),
    /// What is shown could not be written.
    #[error("writing what is shown: {0}")]
    Write(#[from] std::io::Error),
    /// A page cannot be written.
    #[error("the page {} cannot be written: {source}. Choose another place", place.display())]
    Page {
        /// Where it was to be.
        place: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The lab was told to stop.
    #[error("stopped")]
    Stopped,
}
