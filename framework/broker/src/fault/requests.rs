//! The log of requests.

use super::{Action, Api};

/// A request as the broker saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Counted from 1, in the order the broker took requests.
    pub number: u64,
    /// The node it was sent to.
    pub node: i32,
    /// The connection it came by, counted from 1.
    pub connection: u64,
    /// The client's `client.id`.
    pub client_id: String,
    /// Its kind.
    pub api: Api,
    /// Its version.
    pub version: i16,
    /// The topics it names, each once.
    pub topics: Vec<String>,
    /// The group it names.
    pub group: Option<String>,
    /// The member that sends it.
    pub member: Option<String>,
    /// The transactional id it names.
    pub transactional_id: Option<String>,
    /// What was done to it.
    pub fault: Option<Action>,
    /// Was it answered? A fault may have kept the answer from the client.
    pub answered: bool,
    /// The first error code of the answer. The client may not have seen it.
    pub error: Option<i16>,
}
