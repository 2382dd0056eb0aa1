//! How many partitions repartition topics get whose records meet others by key.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::{Graph, GraphBuilder, NodeId, SinkTopic, SourceTopics, TopicRef};
use oncestream_core::serde::HasSerde;
use oncestream_core::task::{Context, Node, SourceConfig, SourceInstance};

struct Nothing;

impl Node<String, i64> for Nothing {
    fn process(
        &mut self,
        _ctx: &mut Context<'_>,
        _record: Record<String, i64>,
    ) -> Result<(), TaskError> {
        Ok(())
    }
}

#[derive(Default)]
struct Sketch(GraphBuilder, usize);

impl Sketch {
    fn name(&mut self, kind: &str) -> String {
        self.1 += 1;
        format!("{kind}-{}", self.1)
    }

    fn source(&mut self, topics: SourceTopics) -> NodeId {
        let name = self.name("source");
        self.0.add_source(&name, topics, |b, id| {
            let config = SourceConfig {
                key_serde: String::serde(),
                value_serde: i64::serde(),
                timestamp_extractor: None,
                drop_null_keys: false,
            };
            SourceInstance::new(b, id, config)
        })
    }

    fn topic(&mut self, topic: &str) -> NodeId {
        self.source(SourceTopics::Topics(vec![TopicRef::User(topic.into())]))
    }

    fn node(&mut self, parents: &[NodeId]) -> NodeId {
        let name = self.name("node");
        self.0.add_processor::<String, i64, _>(&name, parents, &[], |_, _| Ok(Box::new(Nothing)))
    }

    /// What a node gives, over a repartition topic.
    fn repartition(&mut self, name: &str, of: NodeId, partitions: Option<i32>) -> NodeId {
        let topic = self.0.add_repartition(name, partitions);
        let sink = self.name("sink");
        let to = SinkTopic::Topic(topic.clone());
        self.0.add_sink::<String, i64, _>(&sink, to, &[of], |_, _| Ok(Box::new(Nothing)));
        self.source(SourceTopics::Topics(vec![topic]))
    }

    fn build(self) -> Graph {
        self.0.build().unwrap()
    }
}

/// The partitions of the repartition topics, in the order of their names.
fn planned(topology: &Graph, there: &[(&str, i32)]) -> Result<Vec<i32>, TopologyError> {
    let there: BTreeMap<Arc<str>, i32> =
        there.iter().map(|(topic, n)| (Arc::from(*topic), *n)).collect();
    let plan = topology.internal_topics("app", &there)?;
    let mut topics = plan.repartitions;
    topics.sort_by(|a, b| a.topic.cmp(&b.topic));
    Ok(topics.into_iter().map(|topic| topic.partitions).collect())
}

fn unequal(topics: &[(&str, i32)]) -> TopologyError {
    let topics = topics.iter().map(|(topic, n)| ((*topic).to_owned(), *n)).collect();
    TopologyError::NotCopartitioned { topics }
}

/// What `left` gives over a repartition topic is joined with what `join` makes of the graph.
fn joined(partitions: Option<i32>, join: impl FnOnce(&mut Sketch) -> NodeId) -> Graph {
    let mut graph = Sketch::default();
    let left = graph.topic("left");
    let left = graph.repartition("a", left, partitions);
    let right = join(&mut graph);
    let (left, right) = (graph.node(&[left]), graph.node(&[right]));
    graph.0.copartition(&[left, right]);
    graph.node(&[left, right]);
    graph.build()
}

#[test]
fn a_repartition_topic_takes_the_count_of_the_topic_it_meets() {
    let topology = joined(None, |graph| graph.topic("right"));
    assert_eq!(planned(&topology, &[("left", 2), ("right", 5)]), Ok(vec![5]));
    assert_eq!(planned(&topology, &[("left", 5), ("right", 2)]), Ok(vec![2]));
}

#[test]
fn a_count_that_was_given_is_not_changed_and_must_fit() {
    let topology = joined(Some(3), |graph| graph.topic("right"));
    assert_eq!(planned(&topology, &[("left", 2), ("right", 3)]), Ok(vec![3]));
    let fault = unequal(&[("app-a-repartition", 3), ("right", 5)]);
    assert_eq!(planned(&topology, &[("left", 2), ("right", 5)]), Err(fault));
}

#[test]
fn repartition_topics_among_themselves_take_the_given_count_or_the_largest_upstream() {
    for (given, expected) in [([None, None], 5), ([Some(3), None], 3), ([None, Some(4)], 4)] {
        let topology = joined(given[0], |graph| {
            let right = graph.topic("right");
            graph.repartition("b", right, given[1])
        });
        for there in [[("left", 2), ("right", 5)], [("left", 5), ("right", 2)]] {
            assert_eq!(planned(&topology, &there), Ok(vec![expected; 2]), "{given:?}");
        }
    }
    let topology = joined(Some(3), |graph| {
        let right = graph.topic("right");
        graph.repartition("b", right, Some(4))
    });
    let fault = unequal(&[("app-a-repartition", 3), ("app-b-repartition", 4)]);
    assert_eq!(planned(&topology, &[("left", 2), ("right", 5)]), Err(fault));
}

#[test]
fn what_is_below_a_group_counts_from_the_group() {
    let mut graph = Sketch::default();
    let (left, right) = (graph.topic("left"), graph.topic("right"));
    let left = graph.repartition("a", left, None);
    graph.0.copartition(&[left, right]);
    let both = graph.node(&[left, right]);
    graph.repartition("b", both, None);
    assert_eq!(planned(&graph.build(), &[("left", 7), ("right", 5)]), Ok(vec![5, 5]));
}

#[test]
fn groups_that_share_a_source_are_one() {
    let mut graph = Sketch::default();
    let (left, middle, right) = (graph.topic("left"), graph.topic("middle"), graph.topic("right"));
    let (a, b) = (graph.repartition("a", left, None), graph.repartition("b", middle, None));
    graph.0.copartition(&[a, b]);
    graph.0.copartition(&[b, right]);
    let topology = graph.build();
    assert_eq!(topology.copartition_groups(), [vec![right, a, b]]);
    let there = [("left", 2), ("middle", 3), ("right", 5)];
    assert_eq!(planned(&topology, &there), Ok(vec![5, 5]));
}

#[test]
fn what_does_not_meet_may_differ() {
    let mut graph = Sketch::default();
    let (left, right) = (graph.topic("left"), graph.topic("right"));
    let left = graph.repartition("a", left, None);
    graph.node(&[left, right]);
    let topology = graph.build();
    assert!(topology.copartition_groups().is_empty());
    assert_eq!(planned(&topology, &[("left", 2), ("right", 5)]), Ok(vec![2]));
}

#[test]
fn a_repartition_topic_that_meets_a_pattern_keeps_its_partitions() {
    let topology = joined(None, |graph| graph.source(SourceTopics::Pattern("right-.*".into())));
    let there = [("left", 2), ("right-1", 5), ("app-a-repartition", 5)];
    assert_eq!(planned(&topology, &there[..2]), Ok(vec![5]));
    assert_eq!(planned(&topology, &there), Ok(vec![5]));
    // Also when its topics are gone for a while.
    assert_eq!(planned(&topology, &[there[0], there[2]]), Ok(vec![5]));
    assert_eq!(planned(&topology, &there[..1]), Ok(vec![2]), "nothing was made yet");
}

#[test]
fn a_repartition_topic_that_its_own_group_writes_takes_the_groups_count() {
    let mut graph = Sketch::default();
    let (left, first) = (graph.topic("left"), graph.topic("first"));
    let a = graph.repartition("a", left, None);
    let node = graph.node(&[a]);
    let again = graph.repartition("b", node, None);
    let first = graph.repartition("c", first, None);
    graph.0.copartition(&[a, again, first]);
    // They are in one sub-topology.
    graph.node(&[node, again, first]);
    assert_eq!(planned(&graph.build(), &[("left", 3), ("first", 4)]), Ok(vec![4; 3]));
}

#[test]
fn a_node_of_another_graph_is_refused() {
    let mut other = Sketch::default();
    for _ in 0..3 {
        other.topic("other");
    }
    let foreign = other.node(&[]);
    let mut graph = Sketch::default();
    let left = graph.topic("left");
    graph.0.copartition(&[left, foreign]);
    let fault = graph.0.build().err();
    assert!(matches!(fault, Some(TopologyError::ForeignHandle { .. })), "{fault:?}");
}
