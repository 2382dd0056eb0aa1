//! What an application needs before records flow: names that do not clash, inputs that are there,
//! and the internal topics as far as their partitions are known.
//!
//! Asked at the start, and by a worker at each assignment, since a pattern may have taken topics
//! in. Only the cluster's list of topics is needed; what it means is decided in `core`.

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{Graph, InternalTopics};

use crate::error::StreamsError;
use crate::ports::{Cluster, Topics};

/// Checks names and inputs and says which internal topics there must be.
///
/// # Errors
/// A name that brokers do not take, a topic that is read twice or that is not meant to be read, an
/// input that is missing or may not be read, inputs that are not co-partitioned.
pub fn plan(
    topology: &Graph,
    application_id: &str,
    dead_letter_topic: Option<&str>,
    cluster: &impl Cluster,
    there: &Topics,
) -> Result<InternalTopics, StreamsError> {
    topology.check_names(application_id, dead_letter_topic)?;
    let names = there.keys().map(|topic| &**topic);
    topology.check_topic_names(application_id, dead_letter_topic, names)?;
    topology.check_topics(application_id, there.keys().map(|topic| &**topic))?;
    match topology.internal_topics(application_id, there) {
        Err(TopologyError::MissingSourceTopic { topic }) => {
            cluster.check_visible(&topic, "Read")?;
            Err(TopologyError::MissingSourceTopic { topic }.into())
        }
        other => Ok(other?),
    }
}

/// Whether nothing that the topology reads is there yet: its patterns match no topic, and what
/// they would be written through is not made.
pub fn reads_nothing(topology: &Graph, application_id: &str, there: &Topics) -> bool {
    there.keys().all(|topic| topology.readers_of(application_id, topic).is_empty())
}
