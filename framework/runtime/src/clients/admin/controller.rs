//! Which broker the admin client asks, and how often.
//!
//! librdkafka 2.12 sends the requests of its admin client to the broker that it takes for the controller. It
//! learns which one that is from answers about topics. It asks about topics when a connection is new, and
//! else every five minutes. The brokers of Apache Kafka name any broker that is up. While that one is away,
//! each request would time out, though the client is connected to all others. Invariant: before a request is
//! made again, the client has asked about topics.

use std::time::{Duration, Instant};

use rdkafka::admin::AdminOptions;
use rdkafka::error::KafkaError;

use super::super::verdict::is_transient;
use super::{Admin, REQUEST_TIMEOUT};

/// How long a request may take the first time. Without an answer by then, its broker may be away.
const FIRST_TIMEOUT: Duration = Duration::from_secs(7);
/// How long it may take to ask about topics. The broker that is asked may be away, too.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// The attempts at one request.
pub(super) struct Attempts<'a> {
    admin: &'a Admin,
    /// What is attempted, for the log.
    action: &'static str,
    deadline: Instant,
    timeout: Duration,
}

impl<'a> Attempts<'a> {
    /// No attempt begins later than `patience` from now.
    pub(super) fn new(admin: &'a Admin, action: &'static str, patience: Duration) -> Self {
        Self { admin, action, deadline: Instant::now() + patience, timeout: FIRST_TIMEOUT }
    }

    /// How long this attempt may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The same for a request that takes options.
    pub(super) fn options(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(self.timeout))
    }

    /// Whether to try again after this error, a moment later.
    pub(super) fn again(&mut self, error: &KafkaError) -> bool {
        if !is_transient(error) || Instant::now() >= self.deadline {
            return false;
        }
        tracing::info!(%error, "{}: trying again", self.action);
        self.timeout = REQUEST_TIMEOUT;
        self.admin.look_for_controller();
        true
    }
}

impl Admin {
    /// Has the client learn which broker to ask.
    pub(super) fn look_for_controller(&self) {
        if let Err(error) = self.client.inner().fetch_metadata(None, LOOK_TIMEOUT) {
            tracing::debug!(%error, "no broker tells which one to ask");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use oncestream_broker::Broker;

    use super::*;
    use crate::config::StreamsConfig;

    /// By itself the client would ask the node that is gone until it asks about topics, minutes later. It also
    /// asks about topics when it gets a new connection, so it has one to each node before.
    #[test]
    fn a_request_reaches_another_node_once_the_one_that_was_asked_before_is_gone() {
        let broker = Broker::builder().nodes(2).start_blocking().unwrap();
        broker.create_topic("t", 1).unwrap();
        let config = StreamsConfig::builder("app", broker.bootstrap_servers()).build().unwrap();
        let admin = Admin::new(&config).unwrap();
        let topics: [Arc<str>; 1] = ["t".into()];
        // All nodes are asked for a group.
        assert_eq!(admin.members_of("app").unwrap(), []);
        let before = admin.incarnations(&topics).unwrap();
        // The first node that is up is the controller.
        broker.stop_node(1).unwrap();
        assert_eq!(admin.incarnations(&topics).unwrap(), before);
    }
}
