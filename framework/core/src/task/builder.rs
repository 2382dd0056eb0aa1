//! Turns the graph of one sub-topology into typed nodes, from the sinks up.
//!
//! All type erasure and downcasting of the engine happens here and in `graph`, once per task,
//! never per record.

use std::any::{Any, type_name};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::buffers::{BufferId, Buffers};
use super::node::{Downstream, Flush, Lifecycle, Node, Shared};
use super::punctuate::PunctuatorId;
use super::source::SourceInstance;
use super::times::{MarkId, TimeId, Times};
use super::{ChangelogId, TaskConfig};
use crate::error::{TaskError, TopologyError};
use crate::graph::{Graph, NodeId, NodeKind, SourceTopics, SubTopology, TopicRef};
use crate::serde::DynSerde;
use crate::state::{
    Backend, CacheBudget, ChangelogTarget, GlobalReader, Keyspace, StoreInit, StoreInstance,
};
use crate::{TaskId, TopicPartition};

/// What a node's factory made: a typed node behind `Any`, or a source.
pub struct NodeHandle(HandleKind);

enum HandleKind {
    Node(Box<dyn Any>),
    Source(SourceInstance),
}

impl NodeHandle {
    pub(crate) fn node<K: 'static, V: 'static>(node: Box<dyn Node<K, V>>) -> Self {
        Self(HandleKind::Node(Box::new(node)))
    }

    pub(crate) fn source(source: SourceInstance) -> Self {
        Self(HandleKind::Source(source))
    }
}

/// A node that flushes at a commit.
pub(crate) type SharedFlush = Rc<RefCell<dyn Flush>>;
/// A node that starts, is called by schedules, and ends.
pub(crate) type SharedLifecycle = Rc<RefCell<dyn Lifecycle>>;

/// What a finished build gives to the task.
pub(crate) struct Built {
    pub(crate) sources: Vec<(NodeId, SourceInstance)>,
    pub(crate) stores: Vec<StoreInstance>,
    pub(crate) flushers: Vec<SharedFlush>,
    pub(crate) lifecycles: Vec<SharedLifecycle>,
    pub(crate) times: Times,
    pub(crate) buffers: Buffers,
    pub(crate) timed: Vec<(StoreInstance, TimeId)>,
    pub(crate) counted: Vec<(Arc<str>, TimeId)>,
}

/// What a node's factory may ask for while it makes the node of one task.
pub struct TaskBuilder<'t> {
    topology: &'t Graph,
    task: TaskId,
    config: &'t TaskConfig,
    budget: Rc<CacheBudget>,
    stores: HashMap<Arc<str>, StoreInstance>,
    /// Nodes with several parents, as `Rc<RefCell<dyn Node<K, V>>>` behind `Any`.
    shared: HashMap<NodeId, Box<dyn Any>>,
    flushers: Vec<(NodeId, SharedFlush)>,
    lifecycles: Vec<SharedLifecycle>,
    times: Times,
    buffers: Buffers,
    /// The stores with a time of their own, which the task remembers.
    timed: Vec<(StoreInstance, TimeId)>,
    /// The topics that make stores again, and where the task remembers how many partitions they have.
    counted: Vec<(Arc<str>, TimeId)>,
    /// What nodes have in common, by name.
    common: Vec<(Arc<str>, Rc<dyn Any>)>,
    /// Of each global table, by its source.
    global_keyspaces: HashMap<NodeId, Arc<dyn Keyspace>>,
}

impl<'t> TaskBuilder<'t> {
    pub(crate) fn build(
        topology: &'t Graph,
        task: TaskId,
        config: &'t TaskConfig,
        backend: &dyn Backend,
        budget: Rc<CacheBudget>,
        first_changelog: ChangelogId,
    ) -> Result<Built, BuildError> {
        let sub = &topology.sub_topologies()[task.sub_topology.0];
        let mut builder = Self {
            topology,
            task,
            config,
            budget,
            stores: HashMap::new(),
            shared: HashMap::new(),
            flushers: Vec::new(),
            lifecycles: Vec::new(),
            times: Times::default(),
            buffers: Buffers::default(),
            timed: Vec::new(),
            counted: Vec::new(),
            common: Vec::new(),
            global_keyspaces: HashMap::new(),
        };
        builder.open_global_keyspaces(backend)?;
        let stores = builder.open_stores(sub, backend, first_changelog)?;
        let mut sources = Vec::new();
        for id in &sub.nodes {
            let node = topology.node(*id);
            if matches!(node.kind, NodeKind::Source(_))
                && let HandleKind::Source(source) = (node.factory)(&mut builder, *id)?.0
            {
                sources.push((*id, source));
            }
        }
        // Node ids grow downstream: caches flush in topological order.
        builder.flushers.sort_by_key(|(id, _)| *id);
        Ok(Built {
            sources,
            stores,
            flushers: builder.flushers.into_iter().map(|(_, f)| f).collect(),
            lifecycles: builder.lifecycles,
            times: builder.times,
            buffers: builder.buffers,
            timed: builder.timed,
            counted: builder.counted,
        })
    }

    fn open_global_keyspaces(&mut self, backend: &dyn Backend) -> Result<(), TaskError> {
        for table in self.topology.global_tables() {
            let keyspace = backend
                .keyspace(&table.keyspace_name())
                .map_err(|source| TaskError::Backend { store: table.store.to_string(), source })?;
            self.global_keyspaces.insert(table.source, keyspace);
        }
        Ok(())
    }

    fn open_stores(
        &mut self,
        sub: &SubTopology,
        backend: &dyn Backend,
        first: ChangelogId,
    ) -> Result<Vec<StoreInstance>, BuildError> {
        let mut opened = Vec::new();
        for (at, def) in sub.stores.iter().filter_map(|n| self.topology.store(n)).enumerate() {
            let table = self.topology.global_tables().iter().find(|table| table.store == def.name);
            let keyspace_name = match table {
                Some(table) => table.keyspace_name(),
                None => self.task.keyspace_name(&def.name),
            };
            let keyspace = backend
                .keyspace(&keyspace_name)
                .map_err(|source| TaskError::Backend { store: def.name.to_string(), source })?;
            let source = self.topology.source_topic_of(def);
            let topic = match table.map(|table| &table.topic).or(source) {
                Some(topic) => topic.clone(),
                None => Graph::changelog_topic(&self.config.application_id, &def.name),
            };
            let changelog = def.changelog.as_ref().map(|_| ChangelogTarget {
                topic: topic.clone(),
                partition: self.task.partition,
                id: ChangelogId(first.0 + at as u32),
            });
            let store = (def.factory)(StoreInit {
                name: def.name.clone(),
                keyspace_name: keyspace_name.into(),
                keyspace,
                changelog,
                serde_topic: topic,
                budget: self.budget.clone(),
            });
            store.store.borrow_mut().open_index(backend)?;
            if store.state().time().is_some() {
                let time = self.times.add(&format!("{}-observed", def.name));
                self.timed.push((store.clone(), time));
            }
            self.stores.insert(def.name.clone(), store.clone());
            let partition = self.task.partition;
            if let Some(topic) = source {
                let count = self.times.add(&format!("{}-partitions", def.name));
                self.counted.push((topic.clone(), count));
            }
            let source = source.map(|topic| TopicPartition::new(topic.clone(), partition));
            opened.push(store.with_source(source));
        }
        Ok(opened)
    }

    /// The children of `node`, made now if they are not yet.
    ///
    /// # Errors
    /// [`TopologyError::NodeType`] when a child does not take `K` and `V`.
    pub fn downstream<K: Clone + 'static, V: Clone + 'static>(
        &mut self,
        node: NodeId,
    ) -> Result<Downstream<K, V>, TopologyError> {
        let children = self.topology.node(node).children.clone();
        let mut made = Vec::with_capacity(children.len());
        for child in children {
            made.push(self.child::<K, V>(node, child)?);
        }
        Ok(match made.len() {
            0 => Downstream::None,
            1 => made.pop().map_or(Downstream::None, Downstream::One),
            _ => Downstream::Many(made),
        })
    }

    fn child<K: 'static, V: 'static>(
        &mut self,
        parent: NodeId,
        child: NodeId,
    ) -> Result<Box<dyn Node<K, V>>, TopologyError> {
        type SharedNode<K, V> = Rc<RefCell<Box<dyn Node<K, V>>>>;
        let def = self.topology.node(child);
        let mismatch = || TopologyError::NodeType {
            parent: self.topology.node(parent).name.to_string(),
            child: def.name.to_string(),
            forwards: type_name::<(K, V)>(),
        };
        if let Some(shared) = self.shared.get(&child) {
            let node = shared.downcast_ref::<SharedNode<K, V>>().ok_or_else(mismatch)?;
            return Ok(Box::new(Shared(node.clone())));
        }
        let factory = def.factory.clone();
        let HandleKind::Node(any) = factory(self, child)?.0 else { return Err(mismatch()) };
        let node = *any.downcast::<Box<dyn Node<K, V>>>().map_err(|_| TopologyError::NodeType {
            parent: self.topology.node(parent).name.to_string(),
            child: def.name.to_string(),
            forwards: type_name::<(K, V)>(),
        })?;
        if def.parents.len() < 2 {
            return Ok(node);
        }
        let shared: SharedNode<K, V> = Rc::new(RefCell::new(node));
        self.shared.insert(child, Box::new(shared.clone()));
        Ok(Box::new(Shared(shared)))
    }

    /// A store that `node` is connected to.
    ///
    /// # Errors
    /// When it is not connected, or has other types.
    pub fn store<S: 'static>(
        &self,
        node: NodeId,
        name: &str,
    ) -> Result<Rc<RefCell<S>>, TopologyError> {
        let def = self.topology.node(node);
        def.stores
            .iter()
            .find(|s| &***s == name)
            .and_then(|s| self.stores.get(s))
            .and_then(StoreInstance::downcast::<S>)
            .ok_or_else(|| TopologyError::StoreType {
                node: def.name.to_string(),
                store: name.to_owned(),
                asked: type_name::<S>(),
            })
    }

    /// The store of a node that has one, whatever it is called by now.
    ///
    /// # Errors
    /// When it has none, or one of other types.
    pub fn only_store<S: 'static>(&self, node: NodeId) -> Result<Rc<RefCell<S>>, TopologyError> {
        let name = self.topology.node(node).stores.first();
        self.store(node, name.map_or("", |name| name))
    }

    /// What is committed of a global table, to be looked up by key. `source` is the table's source, and the
    /// serdes are those of its store.
    ///
    /// # Errors
    /// [`TopologyError::ForeignHandle`] if the topology has no such table.
    pub fn global_table<K, V>(
        &self,
        source: NodeId,
        key_serde: DynSerde<K>,
        value_serde: DynSerde<V>,
    ) -> Result<GlobalReader<K, V>, TopologyError> {
        let table = self.topology.global_tables().iter().find(|table| table.source == source);
        let (Some(table), Some(keyspace)) = (table, self.global_keyspaces.get(&source)) else {
            return Err(TopologyError::ForeignHandle { node: "a global table".to_owned() });
        };
        let (store, topic) = (table.store.clone(), table.topic.clone());
        Ok(GlobalReader::new(store, topic, keyspace.clone(), key_serde, value_serde))
    }

    /// The stores of `node` that are to [observe](StoreInstance::observe) the time of each record that comes
    /// to it.
    pub fn timed_stores(&self, node: NodeId) -> Vec<StoreInstance> {
        let stores = self.topology.node(node).stores.iter().filter_map(|s| self.stores.get(s));
        stores.filter(|store| store.state().time().is_some()).cloned().collect()
    }

    /// The names of the children of `node`, in the order of [`Self::downstream`].
    pub fn child_names(&self, node: NodeId) -> Vec<Arc<str>> {
        self.topology.node(node).children.iter().map(|c| self.node_name(*c)).collect()
    }

    /// The topics from which records reach `node`, by their names on the broker; for a source with a
    /// pattern, the pattern.
    pub fn topics_above(&self, node: NodeId) -> Vec<Arc<str>> {
        let (mut topics, mut seen) = (Vec::new(), vec![node]);
        let mut at = 0;
        while let Some(def) = seen.get(at).map(|id| self.topology.node(*id)) {
            match &def.kind {
                NodeKind::Source(SourceTopics::Topics(refs)) => {
                    topics.extend(refs.iter().map(|topic| self.topic(topic)));
                }
                NodeKind::Source(SourceTopics::Pattern(named) | SourceTopics::Global(named)) => {
                    topics.push(named.clone());
                }
                _ => {}
            }
            let above: Vec<NodeId> =
                def.parents.iter().filter(|parent| !seen.contains(parent)).copied().collect();
            seen.extend(above);
            at += 1;
        }
        topics
    }

    /// The node's name.
    pub fn node_name(&self, node: NodeId) -> Arc<str> {
        self.topology.node(node).name.clone()
    }

    /// The task that is being made.
    pub fn task_id(&self) -> TaskId {
        self.task
    }

    /// Settings that nodes may depend on.
    pub fn config(&self) -> &TaskConfig {
        self.config
    }

    /// True when one update per key and commit goes downstream; false when every update does.
    pub fn caching_enabled(&self) -> bool {
        self.budget.caching_enabled()
    }

    /// The name of a topic on the broker.
    pub fn topic(&self, topic: &TopicRef) -> Arc<str> {
        topic.resolve(&self.config.application_id)
    }

    /// A time that the node remembers across restarts, by a name that is its own in the topology. It
    /// is committed with the offsets: see [`Context::time`](super::Context::time).
    pub fn remembered_time(&mut self, name: &str) -> TimeId {
        self.times.add(name)
    }

    /// A time like [`Self::remembered_time`] that may also fall: see
    /// [`Context::mark`](super::Context::mark).
    pub fn remembered_mark(&mut self, name: &str) -> MarkId {
        self.times.add_mark(name)
    }

    /// What several nodes of the task have in common, by a name that is its own in the topology. The first
    /// that asks for it makes it. A crash and an abort take it away, so it must follow from stores and
    /// remembered times, or be empty whenever something is committed.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn in_common<T: 'static>(
        &mut self,
        name: &str,
        make: impl FnOnce(&mut Self) -> Result<T, TopologyError>,
    ) -> Result<Rc<RefCell<T>>, TopologyError> {
        let known = self.common.iter().filter(|(known, _)| **known == *name);
        for (_, any) in known {
            if let Ok(common) = any.clone().downcast::<RefCell<T>>() {
                return Ok(common);
            }
        }
        let common = Rc::new(RefCell::new(make(self)?));
        self.common.push((name.into(), common.clone()));
        Ok(common)
    }

    /// A buffer of the node, in this store: see [`Context::buffer_holds`](super::Context::buffer_holds).
    pub fn buffer(&mut self, store: Arc<str>) -> BufferId {
        self.buffers.add(store)
    }

    /// Flushes `keeper` at each commit, after those of the nodes upstream of `node`.
    pub fn on_flush(&mut self, node: NodeId, keeper: Rc<RefCell<dyn Flush>>) {
        self.flushers.push((node, keeper));
    }

    /// The id that the next call of [`Self::on_lifecycle`] gives, for a node that keeps its own.
    /// Making children in between takes it.
    pub fn next_punctuator(&self) -> PunctuatorId {
        PunctuatorId(self.lifecycles.len())
    }

    /// Tells `node` when the task starts, when a schedule is due, and when the task ends.
    pub fn on_lifecycle(&mut self, node: Rc<RefCell<dyn Lifecycle>>) -> PunctuatorId {
        self.lifecycles.push(node);
        PunctuatorId(self.lifecycles.len() - 1)
    }
}

/// A task that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The topology is at fault.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A store could not be opened.
    #[error(transparent)]
    Store(#[from] TaskError),
}

impl TaskId {
    /// The keyspace of a store of this task. It follows the store's name and the changelog
    /// partition, so that a sub-topology that is renumbered keeps its state.
    pub fn keyspace_name(self, store: &str) -> String {
        format!("{store}-{}", self.partition)
    }
}
