//! Which sources' topics must have equal numbers of partitions. Pure.
//!
//! Records that meet by their keys must come to the same task, so the topics they come from have the
//! same number of partitions. A group is named by [`GraphBuilder::copartition`](super::GraphBuilder::copartition),
//! or is a sub-topology with a store: its sources may meet there. Groups that share a source are one,
//! as in Kafka Streams (`InternalTopologyBuilder.copartitionGroups`).

use super::checked::Groups;
use super::{NodeDef, NodeId, NodeKind, SubTopology};

/// The groups, each with its sources in order. `named` are those of the builder, by any of their nodes.
pub(super) fn groups(
    nodes: &[NodeDef],
    sub_topologies: &[SubTopology],
    named: &[Vec<NodeId>],
) -> Vec<Vec<NodeId>> {
    let stateful = sub_topologies.iter().filter(|sub| !sub.stores.is_empty()).map(|sub| &sub.nodes);
    let sources: Vec<Vec<NodeId>> =
        named.iter().chain(stateful).map(|group| sources_of(nodes, group)).collect();
    let mut joined = Groups::new(nodes.len());
    for group in &sources {
        for pair in group.windows(2) {
            joined.join(pair[0].0, pair[1].0);
        }
    }
    let mut all: Vec<NodeId> = sources.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    let mut groups: Vec<(usize, Vec<NodeId>)> = Vec::new();
    for source in all {
        let root = joined.root(source.0);
        match groups.iter_mut().find(|(of, _)| *of == root) {
            Some((_, group)) => group.push(source),
            None => groups.push((root, vec![source])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The sources that nodes get their records from, in order.
fn sources_of(nodes: &[NodeDef], of: &[NodeId]) -> Vec<NodeId> {
    let mut reached = vec![false; nodes.len()];
    let mut to_do = of.to_vec();
    while let Some(at) = to_do.pop() {
        let Some(node) = nodes.get(at.0) else { continue };
        if !std::mem::replace(&mut reached[at.0], true) {
            to_do.extend(&node.parents);
        }
    }
    let is_source = |at: &usize| reached[*at] && matches!(nodes[*at].kind, NodeKind::Source(_));
    (0..nodes.len()).filter(is_source).map(NodeId).collect()
}
