//! What `topology.optimization` makes of a graph, when it is complete: Kafka Streams'
//! `InternalStreamsBuilder.optimizeTopology`.
//!
//! Operators say what they do to records ([`Effect`]), how a repartition topic would be made for several of
//! them, and how a join would be made of one stream; `build` asks.
//!
//! It stays sound where Kafka Streams does not: a repartition topic moves up only over operators that pass
//! records on as they are, and takes in all that comes to them (docs/optimization.md has the differences).

mod repartitions;
mod self_joins;
mod table_sources;

use std::collections::BTreeMap;

use oncestream_core::graph::NodeId;

pub(crate) use repartitions::{MergedHop, RepartitionHop, merge_repartitions};
pub(crate) use self_joins::{JoinOfOne, join_on_one_store};
pub(crate) use table_sources::{TableOfTopic, reuse_source_topics};

/// What an operator does to the records of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It passes them on as they are, or leaves some out.
    Nothing,
    /// It may change their values.
    Values,
    /// It may change their keys.
    Keys,
    /// It passes those of several streams on.
    Merge,
}

/// The effects of the operators of streams. All other nodes have none here.
pub(crate) type Effects = BTreeMap<NodeId, Effect>;
