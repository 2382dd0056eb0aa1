//! `single.store.self.join`: an inner join of a stream with itself keeps the stream once.
//!
//! Kafka Streams makes it of left and outer joins too, and then loses what was joined with none. Here these
//! stay as they are.

use oncestream_core::graph::{GraphBuilder, NodeId};

/// An inner join of two streams of one type, which may be the same.
pub(crate) struct JoinOfOne {
    /// The nodes that keep the records of each.
    pub(crate) keeps: [NodeId; 2],
    /// Makes it a join of one stream.
    pub(crate) rewrite: Box<dyn FnOnce(&mut GraphBuilder)>,
}

/// Rewrites the joins whose two streams are the same node.
pub(crate) fn join_on_one_store(graph: &mut GraphBuilder, joins: Vec<JoinOfOne>) {
    for JoinOfOne { keeps: [left, right], rewrite } in joins {
        if graph.parents(left) == graph.parents(right) {
            rewrite(graph);
        }
    }
}
