//! What a user sees of a topology: its description, and the names of its topics and stores.
//!
//! It wraps a [`Graph`], which engines read through [`Graph::of`]. The facade exports [`Topology`] and
//! not [`Graph`], so the graph's own methods can change without breaking a user.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Graph;

/// A checked topology, ready to run or to be tested. `StreamsBuilder::build` makes it; cloning it is
/// cheap.
///
/// [`describe`](Self::describe) tells it in the words of Kafka Streams:
///
/// ```text
/// Topologies:
///    Sub-topology: 0
///     Source: KSTREAM-SOURCE-0000000000 (topics: [orders])
///       --> KSTREAM-FILTER-0000000001
///     Processor: KSTREAM-FILTER-0000000001 (stores: [])
///       --> KSTREAM-SINK-0000000002
///       <-- KSTREAM-SOURCE-0000000000
///     Sink: KSTREAM-SINK-0000000002 (topic: large-orders)
///       <-- KSTREAM-FILTER-0000000001
/// ```
#[derive(Clone, Debug)]
pub struct Topology(Graph);

impl Graph {
    /// The topology as users have it.
    pub fn into_topology(self) -> Topology {
        Topology(self)
    }

    /// The graph of a topology: what an engine runs.
    pub fn of(topology: &Topology) -> &Self {
        &topology.0
    }
}

impl Topology {
    /// The topology in the words of Kafka Streams' `Topology.describe()`.
    ///
    /// Within a sub-topology a node with more nodes below it comes first. Internal topics are
    /// named without the application id. A sink that chooses its topic prints
    /// `(extractor class: dynamic)`.
    pub fn describe(&self) -> String {
        self.0.describe()
    }

    /// The topology as a [Mermaid](https://mermaid.js.org) flowchart: a box per sub-topology,
    /// stadiums for topics, cylinders for stores.
    pub fn describe_mermaid(&self) -> String {
        self.0.describe_mermaid()
    }

    /// The topics that it reads by name. Topics that are read by a pattern, and internal ones, are not
    /// among them.
    pub fn source_topics(&self) -> BTreeSet<Arc<str>> {
        self.0.user_sources()
    }

    /// The patterns by which it reads topics.
    pub fn source_patterns(&self) -> BTreeSet<Arc<str>> {
        self.0.user_patterns()
    }

    /// The topics that it writes to by name. Topics that a function chooses, and internal ones, are not
    /// among them.
    pub fn sink_topics(&self) -> BTreeSet<Arc<str>> {
        self.0.user_sinks()
    }

    /// The changelog and repartition topics that an application with this id has, whether the brokers
    /// have them yet or not. The application creates them, unless it lacks the right to.
    pub fn internal_topics(&self, application_id: &str) -> BTreeSet<Arc<str>> {
        self.0.internal_names(application_id)
    }

    /// The names of its stores.
    pub fn store_names(&self) -> BTreeSet<Arc<str>> {
        self.0.stores().iter().map(|store| store.name.clone()).collect()
    }
}
