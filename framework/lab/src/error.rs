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
    #[error("the lab does not speak {code}; it speaks en and ko")]
    Language {
        /// The language's code.
        code: String,
    },
    /// The embedded broker failed.
    #[error("the embedded broker failed: {0}")]
    Broker(#[from] BrokerError),
    /// A client failed where the chapter has no use for a failure.
    #[error("a client failed ({what}): {source}")]
    Client {
        /// What the client was doing.
        what: String,
        /// Its error.
        source: KafkaError,
    },
    /// A request that was written by hand could not be sent, or its answer not be read.
    #[error("a request that the lab writes by hand failed: {0}")]
    Raw(String),
    /// Something did not happen in its time.
    #[error("{what}: this did not happen within {seconds} s; on a slow machine, run it again")]
    Late {
        /// What was waited for.
        what: String,
        /// For so long.
        seconds: u64,
    },
    /// A process of the chapter could not be started, or ended by itself.
    #[error("process {worker} of this chapter failed: {reason}")]
    Worker {
        /// Its role in the chapter.
        worker: String,
        /// What happened.
        reason: String,
    },
    /// The database of a chapter could not be read or written.
    #[error("cannot use the database of this chapter, {}: {source}", path.display())]
    Database {
        /// Its file.
        path: std::path::PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The topology of a chapter could not be run.
    #[error("the topology of this chapter failed: {0}")]
    Streams(String),
    /// What is shown could not be written.
    #[error("cannot write the output: {0}")]
    Write(#[from] std::io::Error),
    /// A page cannot be written.
    #[error("cannot write the page {}: {source}; choose another place", place.display())]
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
