//! Which tasks an assignment makes, and which of them have to wait. Pure.
//!
//! A task with a store is one task for the whole group: were its inputs spread over two members,
//! both would keep the same store. So it runs only where all its inputs are, and only while all
//! inputs of its sub-topology have equal numbers of partitions, because the group then keeps them
//! together. Tasks without a store share nothing, and run with what they have.

use std::collections::BTreeMap;
use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::Graph;
use oncestream_core::{TaskId, TopicPartition};

use crate::error::StreamsError;

/// The tasks of an assignment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Those that can run, each with its partitions in order.
    pub(super) whole: BTreeMap<TaskId, Vec<TopicPartition>>,
    /// Those with a store that lack an input, and what they lack.
    pub(super) waiting: BTreeMap<TaskId, Vec<TopicPartition>>,
}

/// Holds what is assigned against the topics that are there.
///
/// # Errors
/// Inputs that a store follows have unequal numbers of partitions, or a changelog has fewer than
/// they have.
pub(super) fn plan(
    topology: &Graph,
    application_id: &str,
    there: &BTreeMap<Arc<str>, i32>,
    assigned: &[TopicPartition],
) -> Result<Plan, StreamsError> {
    let mut plan = Plan { whole: tasks(topology, application_id, assigned), ..Plan::default() };
    let stateful: Vec<TaskId> = plan
        .whole
        .keys()
        .filter(|id| !topology.sub_topologies()[id.sub_topology.0].stores.is_empty())
        .copied()
        .collect();
    for id in stateful {
        let inputs = inputs(topology, application_id, there, id);
        if inputs.iter().any(|(_, count)| *count != inputs[0].1) {
            let topics = inputs.iter().map(|(topic, n)| (topic.to_string(), *n)).collect();
            return Err(TopologyError::NotCopartitioned { topics }.into());
        }
        check_changelogs(topology, application_id, there, id)?;
        let has = &plan.whole[&id];
        let lacks: Vec<TopicPartition> = inputs
            .into_iter()
            .map(|(topic, _)| TopicPartition::new(topic, id.partition))
            .filter(|p| !has.contains(p))
            .collect();
        if !lacks.is_empty() {
            plan.whole.remove(&id);
            plan.waiting.insert(id, lacks);
        }
    }
    Ok(plan)
}

/// The tasks that a set of partitions makes, each with its partitions in order.
fn tasks(
    topology: &Graph,
    application_id: &str,
    partitions: &[TopicPartition],
) -> BTreeMap<TaskId, Vec<TopicPartition>> {
    let mut tasks: BTreeMap<TaskId, Vec<TopicPartition>> = BTreeMap::new();
    for p in partitions {
        let Some((sub, _)) = topology.reader_of(application_id, &p.topic) else { continue };
        let id = TaskId { sub_topology: sub, partition: p.partition };
        tasks.entry(id).or_default().push(p.clone());
    }
    for inputs in tasks.values_mut() {
        inputs.sort();
    }
    tasks
}

/// The topics there are that a task's sub-topology reads, with their numbers of partitions.
fn inputs(
    topology: &Graph,
    application_id: &str,
    there: &BTreeMap<Arc<str>, i32>,
    id: TaskId,
) -> Vec<(Arc<str>, i32)> {
    let read = |topic: &str| {
        topology.reader_of(application_id, topic).is_some_and(|(sub, _)| sub == id.sub_topology)
    };
    there.iter().filter(|(t, _)| read(t)).map(|(t, count)| (t.clone(), *count)).collect()
}

/// An input that gained partitions has none in the changelogs that follow it.
fn check_changelogs(
    topology: &Graph,
    application_id: &str,
    there: &BTreeMap<Arc<str>, i32>,
    id: TaskId,
) -> Result<(), StreamsError> {
    let stores = &topology.sub_topologies()[id.sub_topology.0].stores;
    for def in stores.iter().filter_map(|name| topology.store(name)) {
        let topic = Graph::changelog_topic(application_id, &def.name);
        let expected = id.partition + 1;
        match there.get(&topic) {
            Some(actual) if def.changelog.is_some() && *actual < expected => {
                let (topic, actual) = (topic.to_string(), *actual);
                return Err(StreamsError::PartitionCount { topic, expected, actual });
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use oncestream_core::SubTopologyId;
    use oncestream_operators::{StreamsBuilder, Topics};

    use super::*;

    const APP: &str = "app";

    /// Counts what comes from topics under a pattern; what another topic has passes through.
    fn topology() -> Graph {
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>(Topics::pattern("orders-.*"))
            .group_by_key()
            .count("counts");
        builder.stream::<String, String>(Topics::pattern("plain-.*")).to("out");
        Graph::of(&builder.build().unwrap()).clone()
    }

    fn there(topics: &[(&str, i32)]) -> BTreeMap<Arc<str>, i32> {
        let changelog = ("app-counts-changelog", 4);
        topics.iter().chain([&changelog]).map(|(topic, n)| ((*topic).into(), *n)).collect()
    }

    fn list(partitions: &[(&str, i32)]) -> Vec<TopicPartition> {
        partitions.iter().map(|(topic, p)| TopicPartition::new(*topic, *p)).collect()
    }

    fn id(sub_topology: usize, partition: i32) -> TaskId {
        TaskId { sub_topology: SubTopologyId(sub_topology), partition }
    }

    #[test]
    fn a_task_with_a_store_waits_until_all_its_inputs_are_here() {
        let there = there(&[("orders-a", 4), ("orders-b", 4), ("other", 1)]);
        let assigned = list(&[("orders-a", 0), ("orders-a", 1), ("orders-b", 1)]);
        let plan = plan(&topology(), APP, &there, &assigned).unwrap();
        let whole = list(&[("orders-a", 1), ("orders-b", 1)]);
        assert_eq!(plan.whole, BTreeMap::from([(id(0, 1), whole)]));
        assert_eq!(plan.waiting, BTreeMap::from([(id(0, 0), list(&[("orders-b", 0)]))]));
    }

    #[test]
    fn a_task_without_a_store_runs_with_what_it_has() {
        let there = there(&[("plain-a", 4), ("plain-b", 2)]);
        let assigned = list(&[("plain-b", 1)]);
        let plan = plan(&topology(), APP, &there, &assigned).unwrap();
        assert_eq!(plan.whole, BTreeMap::from([(id(1, 1), assigned)]));
        assert_eq!(plan.waiting, BTreeMap::new());
    }

    #[test]
    fn unequal_counts_behind_a_store_are_refused_with_topics_and_counts() {
        let there = there(&[("orders-a", 4), ("orders-b", 2), ("plain-a", 4), ("plain-b", 1)]);
        let assigned = list(&[("orders-a", 3), ("plain-a", 0)]);
        let error = plan(&topology(), APP, &there, &assigned).unwrap_err().to_string();
        for word in ["orders-a", "4", "orders-b", "2"] {
            assert!(error.contains(word), "{error}");
        }
        assert!(!error.contains("plain"), "{error}");
    }

    #[test]
    fn an_input_that_outgrew_its_changelog_is_refused() {
        let there = there(&[("orders-a", 5)]);
        let error = plan(&topology(), APP, &there, &list(&[("orders-a", 4)])).unwrap_err();
        let StreamsError::PartitionCount { expected: 5, actual: 4, .. } = error else {
            panic!("{error}")
        };
    }
}
