//! Looks once, at the start, at how many partitions the application deals with, and whether the topics
//! that it writes to exist.
//!
//! The engine knows what the application reads, and which internal topics there must be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oncestream_core::SubTopologyId;
use oncestream_core::graph::{Graph, InternalTopics};
use oncestream_engine::ports::Topics;

use crate::config::{Scale, StreamsConfig};

/// How many partitions the application deals with, as far as they are known.
pub(crate) fn scale(
    topology: &Graph,
    config: &StreamsConfig,
    there: &Topics,
    wanted: &InternalTopics,
    brokers: usize,
) -> Scale {
    let count = |partitions: i32| usize::try_from(partitions).unwrap_or(0);
    let sources = topology.stores().iter().filter_map(|def| topology.source_topic_of(def));
    let sources = sources.filter_map(|topic| there.get(topic)).map(|n| count(*n));
    let changelogs = wanted.changelogs.iter().map(|c| count(c.partitions)).chain(sources).sum();
    let sinks = sinks(topology, config);
    let sinks = sinks.iter().filter_map(|topic| there.get(topic)).map(|n| count(*n));
    let outputs = wanted.topics().map(|(_, n)| count(n)).chain(sinks).sum();
    let globals = topology.global_tables().iter().filter_map(|table| there.get(&table.topic));
    let globals = globals.map(|n| count(*n)).sum();
    let apart = apart(topology, config, there, wanted);
    Scale { brokers, outputs, changelogs, apart, globals }
}

/// The partitions of the inputs of all sub-topologies that read more than one topic.
fn apart(
    topology: &Graph,
    config: &StreamsConfig,
    there: &Topics,
    wanted: &InternalTopics,
) -> usize {
    let mut inputs: Topics = there.clone();
    inputs.extend(wanted.topics().map(|(topic, n)| (topic.clone(), n)));
    let mut counts: BTreeMap<SubTopologyId, Vec<usize>> = BTreeMap::new();
    for (topic, n) in &inputs {
        if let Some((sub, _)) = topology.reader_of(config.application_id(), topic) {
            counts.entry(sub).or_default().push(usize::try_from(*n).unwrap_or(0));
        }
    }
    counts.values().filter(|counts| counts.len() > 1).flatten().sum()
}

/// The topics of the user's that records are written to and that are not there.
pub(crate) fn missing_sinks(
    topology: &Graph,
    config: &StreamsConfig,
    there: &Topics,
) -> Vec<Arc<str>> {
    let sinks = sinks(topology, config).into_iter();
    sinks.filter(|topic| !there.contains_key(topic)).collect()
}

/// The topics of the user's that records are written to, as far as they are named.
fn sinks(topology: &Graph, config: &StreamsConfig) -> BTreeSet<Arc<str>> {
    let mut sinks = topology.user_sinks();
    sinks.extend(config.dead_letter_topic().map(Arc::from));
    sinks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use oncestream_operators::StreamsBuilder;

    use super::*;

    #[test]
    fn a_scale_counts_each_topic_that_is_written_once() {
        let builder = StreamsBuilder::new();
        let words = builder.stream::<String, String>("in").group_by(|_, word| word.clone());
        words.count("counts").to_stream().to("out");
        builder.stream::<String, String>("other").to("out");
        let topology = builder.build().unwrap();
        let topology = Graph::of(&topology);
        let config = StreamsConfig::builder("app", "b:1").build().unwrap();
        let mut there: Topics = [("in", 8), ("other", 1), ("out", 3), ("foreign", 99)]
            .map(|(t, n)| (t.into(), n))
            .into();
        let wanted = topology.internal_topics("app", &there).unwrap();
        // To the topic `out`, the repartition topic and the changelog.
        let expected = Scale { brokers: 2, outputs: 19, changelogs: 8, apart: 0, globals: 0 };
        assert_eq!(scale(topology, &config, &there, &wanted, 2), expected);
        there.extend(wanted.topics().map(|(topic, n)| (topic.clone(), n)));
        assert_eq!(scale(topology, &config, &there, &wanted, 2), expected, "the second start");
    }

    #[test]
    fn what_several_inputs_of_a_task_have_is_counted_and_what_single_ones_have_is_not() {
        let builder = StreamsBuilder::new();
        let moved = builder.stream::<String, String>("in").repartition("in");
        moved.merge(&builder.stream("other")).to("out");
        let topology = builder.build().unwrap();
        let topology = Graph::of(&topology);
        let config = StreamsConfig::builder("app", "b:1").build().unwrap();
        let there: Topics =
            [("in", 8), ("other", 3), ("out", 3)].map(|(t, n)| (t.into(), n)).into();
        let wanted = topology.internal_topics("app", &there).unwrap();
        // The repartition topic and `other`.
        assert_eq!(scale(topology, &config, &there, &wanted, 1).apart, 11);
    }
}
