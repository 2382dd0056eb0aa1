//! One member of a group, and the requests of it that wait for their answer.
//!
//! Owns the member's timeouts, protocols and assignment. Does not know the group.
//! Invariant: a parked request is answered before it is replaced or dropped.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::request::{Join, JoinAnswer, Reply, SyncAnswer, answer};

/// A member, dynamic or static (with an instance id).
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) protocols: Vec<(String, Bytes)>,
    pub(super) assignment: Bytes,
    pub(super) join: Option<Reply<JoinAnswer>>,
    pub(super) sync: Option<Reply<SyncAnswer>>,
    /// True until its first join is answered: it may expire although it waits.
    pub(super) is_new: bool,
    /// When its session ends. `None` after it ended while the member was waiting for an answer;
    /// the answer starts a new one.
    pub(super) session_end: Option<Instant>,
}

impl Member {
    /// A member whose first join is parked.
    pub(super) fn new(id: String, join: Join, reply: Reply<JoinAnswer>) -> Self {
        Self {
            id,
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: Bytes::new(),
            join: Some(reply),
            sync: None,
            is_new: true,
            session_end: None,
        }
    }

    /// The member as a coordinator finds it in its log: the chosen protocol and the assignment,
    /// no parked requests.
    pub(super) fn as_logged(&self, protocol: Option<&str>) -> Self {
        let mut protocols = self.protocols.clone();
        protocols.retain(|(name, _)| Some(name.as_str()) == protocol);
        Self {
            id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_timeout: self.session_timeout,
            rebalance_timeout: self.rebalance_timeout,
            protocols,
            assignment: self.assignment.clone(),
            join: None,
            sync: None,
            is_new: false,
            session_end: None,
        }
    }

    /// Takes over what a rejoin brings and parks it. An older parked join of the same member is
    /// told to try again; Kafka would never answer it.
    pub(super) fn rejoin(&mut self, join: Join, reply: Reply<JoinAnswer>) {
        self.protocols = join.protocols;
        self.session_timeout = join.session_timeout;
        self.rebalance_timeout = join.rebalance_timeout;
        self.fail_join(self.id.clone(), ResponseError::RebalanceInProgress);
        self.join = Some(reply);
    }

    /// Parks a sync; an older one is told to try again.
    pub(super) fn park_sync(&mut self, reply: Reply<SyncAnswer>) {
        self.fail_sync(ResponseError::RebalanceInProgress);
        self.sync = Some(reply);
    }

    /// Answers the parked join, if there is one, with an error.
    pub(super) fn fail_join(&mut self, member_id: String, error: ResponseError) {
        if let Some(reply) = self.join.take() {
            answer(reply, JoinAnswer::failed(member_id, error));
        }
    }

    /// Answers the parked sync, if there is one, with an error.
    pub(super) fn fail_sync(&mut self, error: ResponseError) {
        if let Some(reply) = self.sync.take() {
            answer(reply, SyncAnswer::failed(error));
        }
    }

    /// Starts the session anew.
    pub(super) fn renew_session(&mut self, now: Instant) {
        self.session_end = Some(now + self.session_timeout);
    }

    /// True if the end of the session is to be ignored, since the member waits for us.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    /// True if it names this protocol.
    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    /// Its metadata for a protocol; empty if it does not name it.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}
