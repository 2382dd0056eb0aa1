//! Which right is missing: the client's error says what kind it is, the worker knows the names.
//!
//! Invariant: nothing is decided here. The error was fatal before it was named.

use std::collections::BTreeSet;

use super::producing::transactional_id;
use super::{Worker, tasks};
use crate::access::Resource;
use crate::client_error::ClientFault as _;
use crate::error::StreamsError;
use crate::ports::{Cluster, Ports};

impl<P: Ports> Worker<P> {
    /// Names the right that is missing, if that is why the worker stops.
    pub(super) fn name_denied(&self, error: StreamsError) -> StreamsError {
        let (source, written) = match &error {
            StreamsError::Client { source, .. } => (source, None),
            StreamsError::Produce { source, topic, .. } => (source, Some(topic.clone())),
            StreamsError::Changelog { source, topic, .. } => (&**source, Some(topic.clone())),
            _ => return error,
        };
        let settings = &self.shared.settings;
        let (resource, name, operation) = match source.denied() {
            Some(Resource::Group) => (Resource::Group, settings.application_id.to_string(), "Read"),
            Some(Resource::TransactionalId) => {
                (Resource::TransactionalId, transactional_id(settings, self.index), "Write")
            }
            Some(Resource::Cluster) => {
                (Resource::Cluster, settings.bootstrap_servers.to_string(), "IdempotentWrite")
            }
            Some(Resource::Topic) => {
                match written.map(|t| (t, "Write")).or_else(|| Some((self.unreadable()?, "Read"))) {
                    Some((topic, operation)) => (Resource::Topic, topic, operation),
                    None => return error,
                }
            }
            None => return error,
        };
        StreamsError::not_authorized(resource, name, operation)
    }

    /// The input that may not be read. A consumer's error does not tell its topic, so each is
    /// tried by itself.
    fn unreadable(&self) -> Option<String> {
        let settings = &self.shared.settings;
        let mut topics: BTreeSet<String> =
            self.assigned.iter().map(|p| p.topic.to_string()).collect();
        let subscribed = tasks::subscription(&self.shared.topology, &settings.application_id);
        topics.extend(subscribed.topics.iter().map(ToString::to_string));
        self.cluster().unreadable(self.index, topics.into_iter().collect())
    }
}
