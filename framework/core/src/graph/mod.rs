//! The topology as a graph: nodes with names, stores, and a typed factory for each node.
//!
//! [`GraphBuilder`] collects nodes, parents first, so that a circle of nodes cannot be made.
//! [`GraphBuilder::build`] checks it and cuts it into sub-topologies: [`Graph`].
//! [`Topology`] is what users see of one.

mod builder;
mod checked;
mod copartition;
mod describe;
mod globals;
mod inputs;
mod names;
mod partitions;
mod plan;
mod replay;
mod rewrite;
mod topology;

use std::sync::Arc;

pub use builder::GraphBuilder;
pub use checked::{Graph, SubTopology};
pub use globals::GlobalTableDef;
pub use inputs::internal_name;
pub use names::check_application_id;
pub use plan::{ChangelogTopic, InternalTopics, RepartitionTopic};
pub use topology::Topology;

use crate::error::TopologyError;
use crate::state::{StoreInit, StoreInstance};
use crate::task::{NodeHandle, TaskBuilder};

/// A node of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// A topic by name. An internal one gets the application id in front when the application runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicRef {
    /// A topic of the user's.
    User(Arc<str>),
    /// A repartition topic of that name.
    Repartition(Arc<str>),
    /// A topic of a foreign-key join, of that name.
    ForeignKey(Arc<str>),
}

impl TopicRef {
    /// The topic's name on the broker.
    pub fn resolve(&self, application_id: &str) -> Arc<str> {
        match self {
            Self::User(name) => name.clone(),
            Self::Repartition(_) | Self::ForeignKey(_) => {
                format!("{application_id}-{}", self.display_name()).into()
            }
        }
    }

    /// The name of a topic of the user's; `None` for an internal one.
    pub fn user(&self) -> Option<&Arc<str>> {
        match self {
            Self::User(name) => Some(name),
            Self::Repartition(_) | Self::ForeignKey(_) => None,
        }
    }

    /// The name that it was given.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::User(name) | Self::Repartition(name) | Self::ForeignKey(name) => name,
        }
    }

    /// The name as `describe` prints it, without the application id.
    pub fn display_name(&self) -> String {
        match self {
            Self::User(name) => name.to_string(),
            Self::Repartition(name) => format!("{name}-repartition"),
            Self::ForeignKey(name) => format!("{name}-topic"),
        }
    }
}

/// What a source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceTopics {
    /// These topics.
    Topics(Vec<TopicRef>),
    /// Every topic whose whole name matches this regular expression.
    Pattern(Arc<str>),
    /// This topic, for a global table: each instance reads all of it, and no task of the group does.
    Global(Arc<str>),
}

/// What a sink writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTopic {
    /// This topic.
    Topic(TopicRef),
    /// One chosen per record.
    Dynamic,
}

/// What a node is, beside its factory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Reads topics.
    Source(SourceTopics),
    /// Works on records.
    Processor,
    /// Writes to a topic.
    Sink(SinkTopic),
}

/// Makes the typed node of one task.
pub(crate) type NodeFactory =
    Arc<dyn Fn(&mut TaskBuilder<'_>, NodeId) -> Result<NodeHandle, TopologyError> + Send + Sync>;

/// Makes the store of one task.
pub(crate) type StoreFactory = Arc<dyn Fn(StoreInit) -> StoreInstance + Send + Sync>;

/// A node of the graph.
#[derive(Clone)]
pub struct NodeDef {
    /// Its name, unique in the topology.
    pub name: Arc<str>,
    /// Source, processor or sink.
    pub kind: NodeKind,
    /// The nodes that forward to it.
    pub parents: Vec<NodeId>,
    /// The nodes it forwards to, in the order they were added.
    pub children: Vec<NodeId>,
    /// The stores it uses.
    pub stores: Vec<Arc<str>>,
    pub(crate) factory: NodeFactory,
}

/// The changelog of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangelogConfig {
    /// Topic settings beside those that its kind of store asks for, by Kafka's names.
    pub topic_settings: std::collections::BTreeMap<String, String>,
    /// How long the store keeps rows, in milliseconds, if they expire: what is older may be deleted
    /// from the changelog.
    pub retention_ms: Option<i64>,
}

/// A store of the topology.
#[derive(Clone)]
pub struct StoreDef {
    /// Its name, unique in the topology.
    pub name: Arc<str>,
    /// `None` when logging is disabled: the store is then lost with its disk. A global one has none,
    /// because its topic is one, and neither has one with a `table`.
    pub changelog: Option<ChangelogConfig>,
    /// The node that fills it, alone, from the one topic of its source, so that what it holds follows from
    /// that topic: it has no changelog.
    pub(crate) table: Option<NodeId>,
    /// It is one for the whole instance, and not one for each task.
    pub is_global: bool,
    pub(crate) factory: StoreFactory,
}

/// A topic between the sub-topologies of one topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepartitionDef {
    /// A repartition topic, or one of a foreign-key join.
    pub topic: TopicRef,
    /// How many partitions; `None` takes that of the topics it must be co-partitioned with, or else
    /// the largest upstream.
    pub partitions: Option<i32>,
}
