//! What an application needs before records flow: names that do not clash, inputs that are there,
//! and the internal topics as far as their partitions are known.
//!
//! Asked at the start, and by a worker at each assignment, since a pattern may have taken topics
//! in. Only the broker's list of topics is needed; what it means is decided in `core`.

use std::collections::BTreeMap;
use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{InternalTopics, NodeKind, SinkTopic, TopicRef, Topology};

use crate::clients::Admin;
use crate::config::StreamsConfig;
use crate::error::StreamsError;

/// Topics of the broker, with their partitions.
pub(crate) type Topics = BTreeMap<Arc<str>, i32>;

/// Checks names and inputs and says which internal topics there must be.
///
/// # Errors
/// A name that brokers do not take, a topic that is read twice or that is not meant to be read, an input that is missing or may not
/// be read, inputs that are not co-partitioned.
pub(crate) fn plan(
    topology: &Topology,
    config: &StreamsConfig,
    admin: &Admin,
    there: &Topics,
) -> Result<InternalTopics, StreamsError> {
    let application_id = config.application_id();
    topology.check_names(application_id, config.dead_letter_topic())?;
    let names = there.keys().map(|topic| &**topic);
    topology.check_topic_names(application_id, config.dead_letter_topic(), names)?;
    topology.check_topics(application_id, there.keys().map(|topic| &**topic))?;
    match topology.internal_topics(application_id, there) {
        Err(TopologyError::MissingSourceTopic { topic }) => {
            admin.check_visible(&topic, "Read")?;
            Err(TopologyError::MissingSourceTopic { topic }.into())
        }
        other => Ok(other?),
    }
}

/// Whether nothing that the topology reads is there yet: its patterns match no topic, and what
/// they would be written through is not made.
pub(crate) fn reads_nothing(topology: &Topology, application_id: &str, there: &Topics) -> bool {
    there.keys().all(|topic| topology.readers_of(application_id, topic).is_empty())
}

/// The topics of the user's that records are written to and that are not there.
pub(crate) fn missing_sinks(
    topology: &Topology,
    config: &StreamsConfig,
    there: &Topics,
) -> Vec<Arc<str>> {
    let named = |kind: &NodeKind| match kind {
        NodeKind::Sink(SinkTopic::Topic(TopicRef::User(topic))) => Some(topic.clone()),
        _ => None,
    };
    let mut sinks: Vec<Arc<str>> =
        topology.nodes().iter().filter_map(|node| named(&node.kind)).collect();
    sinks.extend(config.dead_letter_topic().map(Arc::from));
    sinks.retain(|topic| !there.contains_key(topic));
    sinks
}
