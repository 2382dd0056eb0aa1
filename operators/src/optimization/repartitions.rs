//! `merge.repartition.topics`: one repartition topic right behind the operator that changes the keys, in
//! place of one in front of each operator that needs the records by their keys.
//!
//! ```text
//!   change keys ---> filter ---> topic a ---> count        change keys ---> topic a ---> filter ---> count
//!               +--> topic b ---> join                                              +--> join
//! ```
//!
//! As in Kafka Streams the topic has the name of the first one, and also one alone moves up. Invariant: who
//! read one of the topics sees the same records of each key, in the same order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oncestream_core::graph::{GraphBuilder, NodeId, TopicRef};
use oncestream_core::serde::SerdeIdentity;

use super::{Effect, Effects};

/// A way through a repartition topic.
pub(crate) struct RepartitionHop {
    pub(crate) topic: TopicRef,
    /// The node that leaves null keys out.
    pub(crate) filter: NodeId,
    pub(crate) sink: NodeId,
    /// The source behind the topic.
    pub(crate) source: NodeId,
    /// Null keys are not left out. It is read when the tasks are made.
    pub(crate) keeps_null_keys: Arc<AtomicBool>,
    /// How one for several is made; `None` if it must be left where it is.
    pub(crate) merged: Option<MergedHop>,
}

/// One way for several.
pub(crate) struct MergedHop {
    /// The serdes of key and value. Others would write other bytes, by which a record has its partition.
    pub(crate) serdes: [SerdeIdentity; 2],
    /// Makes it below a node, through a topic of this name.
    pub(crate) make: Box<dyn FnOnce(&mut GraphBuilder, NodeId, TopicRef) -> RepartitionHop>,
}

/// Merges the repartition topics of each operator that changes keys.
pub(crate) fn merge_repartitions(
    graph: &mut GraphBuilder,
    effects: &Effects,
    hops: Vec<RepartitionHop>,
) {
    let mut below: BTreeMap<NodeId, Vec<Vec<RepartitionHop>>> = BTreeMap::new();
    for hop in hops {
        let Some(serdes) = hop.merged.as_ref().map(|merged| &merged.serdes) else { continue };
        let Some(anchor) = anchor(graph, effects, hop.filter) else { continue };
        let of_anchor = below.entry(anchor).or_default();
        let of_serdes = |hops: &&mut Vec<RepartitionHop>| {
            let first = hops.first().and_then(|hop| hop.merged.as_ref());
            first.is_some_and(|first| first.serdes == *serdes)
        };
        match of_anchor.iter_mut().find(of_serdes) {
            Some(hops) => hops.push(hop),
            None => of_anchor.push(vec![hop]),
        }
    }
    for (anchor, groups) in below {
        // Of two groups the paths may have a node in common, which cannot stand behind two topics.
        if let [_] = groups[..] {
            for hops in groups {
                merge(graph, anchor, hops);
            }
        }
    }
}

/// The node below which the topic can be: the next one above that changes keys or merges streams, if no
/// other one changes anything in between.
fn anchor(graph: &GraphBuilder, effects: &Effects, filter: NodeId) -> Option<NodeId> {
    if next_change(graph, effects, filter) != Some(Effect::Keys) {
        return None;
    }
    let mut at = filter;
    loop {
        let &[parent] = graph.parents(at) else { return None };
        match effects.get(&parent)? {
            Effect::Keys | Effect::Merge => return Some(parent),
            Effect::Nothing => at = parent,
            Effect::Values => return None,
        }
    }
}

/// The first change that Kafka Streams finds above a node (`getKeyChangingParentNode`). It decides whether a
/// topic is moved.
fn next_change(graph: &GraphBuilder, effects: &Effects, node: NodeId) -> Option<Effect> {
    graph.parents(node).iter().find_map(|parent| match effects.get(parent)? {
        change @ (Effect::Keys | Effect::Values) => Some(*change),
        Effect::Nothing | Effect::Merge => next_change(graph, effects, *parent),
    })
}

/// What hung below a way that was taken out.
struct Loose {
    parent: NodeId,
    children: Vec<NodeId>,
    source: NodeId,
}

fn merge(graph: &mut GraphBuilder, anchor: NodeId, mut hops: Vec<RepartitionHop>) {
    // The topic itself begins the path if nothing is between.
    let mut paths: Vec<NodeId> = Vec::new();
    let mut loose = Vec::new();
    for hop in &hops {
        let begin = path_from(graph, anchor, hop.filter);
        if begin != hop.filter && !paths.contains(&begin) {
            paths.push(begin);
        }
        let parent = graph.parents(hop.filter).first().copied().unwrap_or(anchor);
        let children = graph.children(hop.source).to_vec();
        loose.push(Loose { parent, children, source: hop.source });
    }
    for hop in &hops {
        for node in [hop.source, hop.sink, hop.filter] {
            graph.take_out(node);
        }
        graph.take_out_repartition(&hop.topic);
    }
    let keeps_null_keys = hops.iter().any(|hop| hop.keeps_null_keys.load(Ordering::Relaxed));
    let Some((make, topic)) =
        hops.first_mut().and_then(|first| Some((first.merged.take()?.make, first.topic.clone())))
    else {
        return;
    };
    let merged = make(graph, anchor, topic);
    merged.keeps_null_keys.store(keeps_null_keys, Ordering::Relaxed);
    for node in [merged.filter, merged.sink, merged.source] {
        graph.place_behind(node, anchor);
    }
    for begin in paths {
        graph.remove_parent(begin, anchor);
        graph.add_parent(begin, merged.source);
    }
    for Loose { parent, children, source } in loose {
        let parent = if parent == anchor { merged.source } else { parent };
        for child in children {
            graph.add_parent(child, parent);
        }
        graph.replace_copartitioned(source, merged.source);
    }
}

/// The child of `anchor` that leads to `node`.
fn path_from(graph: &GraphBuilder, anchor: NodeId, node: NodeId) -> NodeId {
    let mut at = node;
    while let Some(parent) = graph.parents(at).first().filter(|parent| **parent != anchor) {
        at = *parent;
    }
    at
}
