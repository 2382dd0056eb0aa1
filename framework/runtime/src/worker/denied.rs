//! Which right is missing: the client's error says what kind it is, the worker knows the names.
//!
//! Invariant: nothing is decided here. The error was fatal before it was named.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::producing::transactional_id;
use super::{Worker, tasks};
use crate::access::Resource;
use crate::clients::{is_transient, restore_consumer};
use crate::error::StreamsError;

/// How long reading one topic is tried.
const TRIAL: Duration = Duration::from_secs(5);

impl Worker {
    /// Names the right that is missing, if that is why the worker stops.
    pub(super) fn name_denied(&self, error: StreamsError) -> StreamsError {
        let (source, written) = match &error {
            StreamsError::Client { source, .. } => (source, None),
            StreamsError::Produce { source, topic, .. } => (source, Some(topic.clone())),
            StreamsError::Changelog { source, topic, .. } => (&**source, Some(topic.clone())),
            _ => return error,
        };
        let config = &self.shared.config;
        let (resource, name, operation) = match source.rdkafka_error_code() {
            Some(Code::GroupAuthorizationFailed) => {
                (Resource::Group, config.application_id().to_owned(), "Read")
            }
            Some(Code::TransactionalIdAuthorizationFailed) => {
                (Resource::TransactionalId, transactional_id(&self.shared, self.index), "Write")
            }
            Some(Code::ClusterAuthorizationFailed) => {
                (Resource::Cluster, config.bootstrap_servers().to_owned(), "IdempotentWrite")
            }
            Some(Code::TopicAuthorizationFailed) => {
                match written.map(|t| (t, "Write")).or_else(|| Some((self.unreadable()?, "Read"))) {
                    Some((topic, operation)) => (Resource::Topic, topic, operation),
                    None => return error,
                }
            }
            _ => return error,
        };
        StreamsError::not_authorized(resource, name, operation)
    }

    /// The input that may not be read. A consumer's error does not tell its topic, so each is
    /// tried by itself.
    fn unreadable(&self) -> Option<String> {
        let config = &self.shared.config;
        let mut topics: BTreeSet<String> =
            self.assigned.iter().map(|p| p.topic.to_string()).collect();
        let subscribed = tasks::subscription(&self.shared.topology, config.application_id());
        // A pattern names no topic.
        topics.extend(subscribed.unwrap_or_default().into_iter().filter(|t| !t.starts_with('^')));
        let consumer = restore_consumer(&config.restore_consumer_settings(self.index)).ok()?;
        topics.into_iter().find(|topic| {
            let mut list = TopicPartitionList::new();
            if list.add_partition_offset(topic, 0, Offset::End).is_err()
                || consumer.assign(&list).is_err()
            {
                return false;
            }
            let deadline = Instant::now() + TRIAL;
            while Instant::now() < deadline {
                match consumer.poll(Duration::from_millis(100)) {
                    Some(Err(e)) if e.rdkafka_error_code() == Some(DENIED) => return true,
                    Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return false,
                    Some(Err(e)) if !is_transient(&e) => return false,
                    Some(Err(_)) | None => {}
                }
            }
            false
        })
    }
}

const DENIED: Code = Code::TopicAuthorizationFailed;
