//! `reuse.ktable.source.topics`: the topic that a table reads is the changelog of its store.
//!
//! Kafka Streams does so for each table. Here those keep a changelog whose stores do not follow from the topic
//! alone.

use oncestream_core::graph::{GraphBuilder, NodeId};

/// A table that is a topic.
pub(crate) struct TableOfTopic {
    /// The node that fills its store.
    pub(crate) node: NodeId,
    /// Whether it has a store that follows from the topic. Known at the end.
    pub(crate) follows_topic: Box<dyn Fn() -> bool>,
}

/// Takes the changelogs out of all that can do without.
pub(crate) fn reuse_source_topics(graph: &mut GraphBuilder, tables: &[TableOfTopic]) {
    for table in tables.iter().filter(|table| (table.follows_topic)()) {
        if let [store] = graph.stores(table.node) {
            let store = store.clone();
            graph.follow_source(&store, table.node);
        }
    }
}
