//! Which tasks a topology makes, and over which partitions. Pure.
//!
//! A sub-topology has as many tasks as its widest input has partitions, as in Kafka Streams.

use std::collections::BTreeMap;
use std::sync::Arc;

use oncestream_core::graph::{InternalTopics, Topology};
use oncestream_core::task::TaskConfig;
use oncestream_core::{TaskId, TopicPartition};

use super::DriverError;

/// The tasks of an application.
pub(super) struct Plan {
    pub(super) topology: Topology,
    pub(super) config: TaskConfig,
    /// Each task with its inputs.
    pub(super) tasks: Vec<(TaskId, Vec<TopicPartition>)>,
}

impl Plan {
    /// Plans the tasks. `counts` has the partition counts of the users' topics.
    pub(super) fn new(
        topology: Topology,
        config: TaskConfig,
        counts: &BTreeMap<Arc<str>, i32>,
    ) -> Result<(Self, InternalTopics), DriverError> {
        topology.check_names(&config.application_id, None)?;
        topology.check_topics(&config.application_id, counts.keys().map(|topic| &**topic))?;
        let internal = topology.internal_topics(&config.application_id, counts)?;
        let mut all = counts.clone();
        all.extend(internal.repartitions.iter().map(|r| (r.topic.clone(), r.partitions)));
        let mut inputs: BTreeMap<TaskId, Vec<TopicPartition>> = BTreeMap::new();
        for (topic, partitions) in &all {
            let reader = topology.reader_of(&config.application_id, topic);
            let Some((sub, _)) = reader else { continue };
            for partition in 0..*partitions {
                let task = TaskId { sub_topology: sub, partition };
                inputs.entry(task).or_default().push(TopicPartition::new(topic.clone(), partition));
            }
        }
        Ok((Self { topology, config, tasks: inputs.into_iter().collect() }, internal))
    }
}
