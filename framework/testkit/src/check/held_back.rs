//! Which outputs a cache may hold updates of back: those behind a store. Owns that question alone;
//! how they are compared is the matter of `outputs.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use oncestream_core::graph::{Graph, NodeDef, NodeKind, SinkTopic, SourceTopics, TopicRef};

/// What of a topology is behind a store, through all its sub-topologies.
#[derive(Default)]
struct Behind {
    nodes: BTreeSet<Arc<str>>,
    topics: BTreeSet<TopicRef>,
    /// Topics that a function chooses.
    chosen: bool,
}

/// The names of the user's topics that are written behind a store. Which ones a function chooses
/// cannot be told: then `chosen`, all that may be, are among them.
pub(super) fn outputs(topology: &Graph, chosen: &[String]) -> BTreeSet<String> {
    let mut behind = Behind::default();
    // Until none is new: a sub-topology may come before the one that writes what it reads.
    while topology.nodes().iter().any(|node| behind.add(topology, node)) {}
    let named = behind.topics.iter().filter_map(TopicRef::user).map(ToString::to_string);
    named.chain(chosen.iter().filter(|_| behind.chosen).cloned()).collect()
}

impl Behind {
    /// Takes a node in that has a store or comes after one. True if it was not known.
    fn add(&mut self, topology: &Graph, node: &NodeDef) -> bool {
        let after = node.parents.iter().any(|id| self.nodes.contains(&topology.node(*id).name));
        let reads = match &node.kind {
            NodeKind::Source(SourceTopics::Topics(topics)) => {
                topics.iter().any(|topic| self.topics.contains(topic))
            }
            _ => false,
        };
        if node.stores.is_empty() && !after && !reads {
            return false;
        }
        match &node.kind {
            NodeKind::Sink(SinkTopic::Topic(topic)) => {
                self.topics.insert(topic.clone());
            }
            NodeKind::Sink(SinkTopic::Dynamic) => self.chosen = true,
            _ => {}
        }
        self.nodes.insert(node.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use oncestream_operators::{Produced, StreamsBuilder};

    use super::*;

    #[test]
    fn behind_a_store_is_what_comes_after_it_also_after_a_repartition_topic() {
        let builder = StreamsBuilder::new();
        let lines = builder.stream::<String, String>("lines");
        lines.map_values(|line| line.to_uppercase()).to("loud");
        let counts = lines.group_by_key().count("counts").to_stream();
        counts.to("counts");
        counts
            .group_by(|_, count| *count)
            .count("counts-of-counts")
            .to_stream()
            .map_values(|n| n.unwrap_or(0) + 1)
            .to("counts-of-counts");
        let topology = builder.build().unwrap();
        let held_back = outputs(Graph::of(&topology), &["chosen".to_owned()]);
        assert_eq!(held_back, ["counts", "counts-of-counts"].map(str::to_owned).into());
    }

    #[test]
    fn a_topic_chosen_behind_a_store_may_be_each_that_was_named() {
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>("lines")
            .group_by_key()
            .count("counts")
            .to_stream()
            .to(Produced::chosen(|_, _| "chosen".to_owned()));
        let topology = builder.build().unwrap();
        let held_back = outputs(Graph::of(&topology), &["chosen".to_owned()]);
        assert_eq!(held_back, ["chosen".to_owned()].into());
    }
}
