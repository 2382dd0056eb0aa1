//! What the group coordinator is asked and what it answers, free of wire formats.
//!
//! Owns the plain structs. An answer's `error` is `None` for success; the other fields of a failed
//! answer hold Kafka's defaults.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

/// Where the answer goes: a join waits for the other members, a sync for the leader.
pub(crate) type Reply<T> = tokio::sync::oneshot::Sender<T>;

/// A `JoinGroup` request.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) group_id: String,
    /// Empty for a member that has no id yet.
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) protocol_type: String,
    /// Name and opaque metadata, the member's favourite first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    /// Version 4 and later: a dynamic member first fetches its id with `MEMBER_ID_REQUIRED`.
    pub(crate) require_known_member_id: bool,
    /// Why the client joins, for the log alone.
    pub(crate) reason: Option<String>,
    /// Version 9 and later: a returning static leader learns that it is the leader.
    pub(crate) supports_skipping_assignment: bool,
}

/// The answer to a [`Join`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinAnswer {
    pub(crate) error: Option<ResponseError>,
    pub(crate) member_id: String,
    pub(crate) generation_id: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol_name: Option<String>,
    pub(crate) leader: String,
    pub(crate) skip_assignment: bool,
    /// Member id, instance id and metadata of every member; empty for all but the leader.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

impl JoinAnswer {
    /// An answer that carries an error.
    pub(super) fn failed(member_id: impl Into<String>, error: ResponseError) -> Self {
        Self {
            error: Some(error),
            member_id: member_id.into(),
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            members: Vec::new(),
        }
    }
}

/// A `SyncGroup` request.
#[derive(Debug, Clone)]
pub(crate) struct Sync {
    pub(crate) group_id: String,
    pub(crate) generation_id: i32,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    /// Version 5 and later.
    pub(crate) protocol_type: Option<String>,
    /// Version 5 and later.
    pub(crate) protocol_name: Option<String>,
    /// Member id and opaque assignment; the leader's alone counts.
    pub(crate) assignments: Vec<(String, Bytes)>,
}

/// The answer to a [`Sync`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyncAnswer {
    pub(crate) error: Option<ResponseError>,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol_name: Option<String>,
    pub(crate) assignment: Bytes,
}

impl SyncAnswer {
    /// An answer that carries an error.
    pub(super) fn failed(error: ResponseError) -> Self {
        Self {
            error: Some(error),
            protocol_type: None,
            protocol_name: None,
            assignment: Bytes::new(),
        }
    }
}

/// An `OffsetCommit` or `TxnOffsetCommit` request.
#[derive(Debug, Clone)]
pub(crate) struct CommitOffsets {
    pub(crate) group: String,
    /// -1 with an empty member: a consumer outside the group protocol.
    pub(crate) generation: i32,
    pub(crate) member: String,
    pub(crate) instance: Option<String>,
    pub(crate) offsets: Vec<OffsetToCommit>,
}

/// One partition of a [`CommitOffsets`].
#[derive(Debug, Clone)]
pub(crate) struct OffsetToCommit {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// -1 if the client does not know it.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Option<String>,
}

/// Sends an answer; a client that went away no longer wants it.
pub(super) fn answer<T>(reply: Reply<T>, value: T) {
    let _ = reply.send(value);
}
