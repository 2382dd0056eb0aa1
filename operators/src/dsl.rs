//! The graph under construction, shared by the handles of one builder, and its names.
//!
//! Names are generated as in Kafka Streams, with the numbers it uses up. What is named by a call that
//! comes after its node was made (`materialized`, `grouped`) is renamed, so that it reads as if the
//! name had been there at once.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{GraphBuilder, NodeId};

use crate::optimization::{
    Effect, Effects, JoinOfOne, MergedHop, RepartitionHop, TableOfTopic, join_on_one_store,
    merge_repartitions, reuse_source_topics,
};
use crate::options::{Named, Optimization};
use crate::sources::SharedSource;

/// What a type needs to travel through a topology. Keys and values of every operator have it: they
/// may be cloned, sent to another thread, and borrow nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key or a value of a stream",
    label = "this type is not `Clone + Send + 'static`",
    note = "keys and values are cloned, and may be sent to another thread: use `Arc` instead of `Rc`, and owned data instead of references"
)]
pub trait Data: Clone + Send + 'static {}
impl<T: Clone + Send + 'static> Data for T {}

/// What a type needs to be the key of a store.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a store",
    label = "this type is not `Hash + Eq`",
    note = "derive `Hash`, `PartialEq` and `Eq` for the key, or take another key with `select_key` or `group_by`"
)]
pub trait StoreKey: Data + std::hash::Hash + Eq {}
impl<T: Data + std::hash::Hash + Eq> StoreKey for T {}

#[derive(Default)]
struct State {
    graph: GraphBuilder,
    /// The prefixes of the generated names, by their numbers.
    prefixes: Vec<String>,
    sources: Vec<SharedSource>,
    /// Names for operators that are still to be called, or were.
    named: Vec<Rc<Pending>>,
    generated_stores: Vec<String>,
    generated_repartitions: Vec<String>,
    explicit_names: bool,
    optimization: Optimization,
    effects: Effects,
    joins_of_one: Vec<JoinOfOne>,
    tables_of_topics: Vec<TableOfTopic>,
    /// How long behind their end the windows of these nodes take records, in milliseconds.
    graces: Vec<(NodeId, i64)>,
    hops: Vec<RepartitionHop>,
    /// Streams that were repartitioned for a join, and the sources behind their topics.
    join_sources: Vec<(NodeId, NodeId)>,
    identity: BuilderIdentity,
}

/// Tells one builder from another, by where it points to.
pub(crate) type BuilderIdentity = Arc<()>;

/// A name that waits for its operator.
struct Pending {
    name: Named,
    taken: Cell<bool>,
}

/// The name of the operator that is called next, if it was given one.
#[derive(Clone, Default)]
pub(crate) struct NextName(Option<Rc<Pending>>);

impl NextName {
    /// The name, for an operator that bears it.
    pub(crate) fn take(&self) -> Option<&Named> {
        let pending = self.0.as_ref()?;
        pending.taken.set(true);
        Some(&pending.name)
    }
}

/// A handle on the graph under construction.
#[derive(Clone, Default)]
pub(crate) struct Dsl(Rc<RefCell<State>>);

impl Dsl {
    /// The given name, or the next generated one: `KSTREAM-FILTER-0000000001`, numbered as in
    /// Kafka Streams. As there, a given name uses up a number too, so that naming one operator
    /// leaves the names of the others as they are.
    pub(crate) fn name(&self, named: Option<&Named>, prefix: &str) -> String {
        let generated = self.generated(prefix);
        named.map_or(generated, |named| named.as_str().to_owned())
    }

    /// The given name with a suffix, or the next generated one.
    pub(crate) fn suffixed(&self, named: Option<&Named>, suffix: &str, prefix: &str) -> String {
        let generated = self.generated(prefix);
        named.map_or(generated, |named| format!("{}{suffix}", named.as_str()))
    }

    pub(crate) fn generated(&self, prefix: &str) -> String {
        let mut state = self.0.borrow_mut();
        let generated = numbered(prefix, state.prefixes.len());
        state.prefixes.push(prefix.to_owned());
        generated
    }

    /// The number of the next generated name.
    pub(crate) fn next_number(&self) -> usize {
        self.0.borrow().prefixes.len()
    }

    /// Gives back the number of a generated name that turned out not to be needed: the nodes behind
    /// it move up. Not if a name was made since `until`, which was [`Self::next_number`] then.
    pub(crate) fn give_back(&self, number: usize, until: usize) {
        let mut state = self.0.borrow_mut();
        let State { graph, prefixes, .. } = &mut *state;
        if prefixes.len() != until || number >= until {
            return;
        }
        prefixes.remove(number);
        for (at, prefix) in prefixes.iter().enumerate().skip(number) {
            if let Some(node) = graph.find(&numbered(prefix, at + 1)) {
                graph.rename(node, &numbered(prefix, at));
            }
        }
    }

    /// The generated name of this number: the nodes behind it move down. The next generated name, if one
    /// was made since `until`, which was [`Self::next_number`] then.
    pub(crate) fn generated_at(&self, number: usize, until: usize, prefix: &str) -> String {
        let mut state = self.0.borrow_mut();
        let State { graph, prefixes, .. } = &mut *state;
        if prefixes.len() != until || number >= until {
            drop(state);
            return self.generated(prefix);
        }
        for (at, behind) in prefixes.iter().enumerate().skip(number).rev() {
            if let Some(node) = graph.find(&numbered(behind, at)) {
                graph.rename(node, &numbered(behind, at + 1));
            }
        }
        prefixes.insert(number, prefix.to_owned());
        numbered(prefix, number)
    }

    /// A name for the operator that is called next; `build` says so if none is.
    pub(crate) fn next_name(&self, name: impl Into<Named>) -> NextName {
        let pending = Rc::new(Pending { name: name.into(), taken: Cell::new(false) });
        self.0.borrow_mut().named.push(pending.clone());
        NextName(Some(pending))
    }

    /// A store has a generated name.
    pub(crate) fn note_generated_store(&self, name: &str) {
        self.0.borrow_mut().generated_stores.push(name.to_owned());
    }

    /// A store that had a generated name was given another.
    pub(crate) fn forget_generated_store(&self, name: &str) {
        self.0.borrow_mut().generated_stores.retain(|generated| generated != name);
    }

    /// A repartition topic has a generated name.
    pub(crate) fn note_generated_repartition(&self, name: &str) {
        self.0.borrow_mut().generated_repartitions.push(name.to_owned());
    }

    /// The node aggregates in windows that take records for so long behind their end.
    pub(crate) fn note_grace(&self, node: NodeId, grace_ms: i64) {
        self.0.borrow_mut().graces.push((node, grace_ms));
    }

    /// The longest grace of the windows that a node's records come from: Kafka Streams'
    /// `GraphGraceSearchUtil`. `None` where there are no windows.
    pub(crate) fn grace_above(&self, node: NodeId) -> Option<i64> {
        let state = self.0.borrow();
        let known = state.graces.iter().find(|(windowed, _)| *windowed == node);
        if let Some((_, grace_ms)) = known {
            return Some(*grace_ms);
        }
        let parents = state.graph.parents(node).to_vec();
        drop(state);
        parents.into_iter().filter_map(|parent| self.grace_above(parent)).max()
    }

    /// A stream goes through a repartition topic.
    pub(crate) fn note_hop(&self, hop: RepartitionHop) {
        self.0.borrow_mut().hops.push(hop);
    }

    /// The topic before this source may become one for several.
    pub(crate) fn note_mergeable(&self, source: NodeId, merged: MergedHop) {
        let mut state = self.0.borrow_mut();
        if let Some(hop) = state.hops.iter_mut().rev().find(|hop| hop.source == source) {
            hop.merged = Some(merged);
        }
    }

    /// A left or outer join takes records of this node: as in Kafka Streams, no repartitioning above it
    /// leaves null keys out, however far above (`NodesWithRelaxedNullKeyJoinDownstream`).
    pub(crate) fn keep_null_keys(&self, node: NodeId) {
        let state = self.0.borrow();
        let (mut to_do, mut seen) = (vec![node], HashSet::new());
        while let Some(at) = to_do.pop() {
            if !seen.insert(at) {
                continue;
            }
            to_do.extend(state.graph.parents(at));
            if let Some(hop) = state.hops.iter().find(|hop| hop.source == at) {
                hop.keeps_null_keys.store(true, Ordering::Relaxed);
                to_do.push(hop.filter);
            }
        }
    }

    /// The source behind the last topic that a stream was repartitioned to for a join.
    pub(crate) fn join_source(&self, stream: NodeId) -> Option<NodeId> {
        let state = self.0.borrow();
        let known = state.join_sources.iter().rev().find(|(of, _)| *of == stream);
        known.map(|(_, source)| *source)
    }

    pub(crate) fn keep_join_source(&self, stream: NodeId, source: NodeId) {
        self.0.borrow_mut().join_sources.push((stream, source));
    }

    /// Whether a node, or one that its records come through, uses one of these stores.
    pub(crate) fn is_fed_by(&self, node: NodeId, stores: &[Arc<str>]) -> bool {
        let state = self.0.borrow();
        let (mut to_do, mut seen) = (vec![node], HashSet::new());
        while let Some(at) = to_do.pop() {
            if state.graph.stores(at).iter().any(|store| stores.contains(store)) {
                return true;
            }
            let parents = state.graph.parents(at).iter().copied();
            to_do.extend(parents.filter(|parent| seen.insert(*parent)));
        }
        false
    }

    /// What an operator of a stream does to its records.
    pub(crate) fn note_effect(&self, node: NodeId, effect: Effect) {
        self.0.borrow_mut().effects.insert(node, effect);
    }

    /// A join that may be one of a stream with itself.
    pub(crate) fn note_join_of_one(&self, join: JoinOfOne) {
        self.0.borrow_mut().joins_of_one.push(join);
    }

    /// A table whose topic may be its changelog.
    pub(crate) fn note_table_of_topic(&self, table: TableOfTopic) {
        self.0.borrow_mut().tables_of_topics.push(table);
    }

    /// Changes the graph at the end.
    pub(crate) fn ask_for_optimization(&self, optimization: Optimization) {
        self.0.borrow_mut().optimization = optimization;
    }

    /// Refuses generated names of stores and topics at the end.
    pub(crate) fn ask_for_names(&self) {
        self.0.borrow_mut().explicit_names = true;
    }

    /// True for handles of one builder.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn identity(&self) -> BuilderIdentity {
        self.0.borrow().identity.clone()
    }

    pub(crate) fn graph<R>(&self, f: impl FnOnce(&mut GraphBuilder) -> R) -> R {
        f(&mut self.0.borrow_mut().graph)
    }

    pub(crate) fn fail(&self, fault: TopologyError) {
        self.graph(|g| g.fail(fault));
    }

    /// For errors and `Debug`. A node of a builder that was built has none.
    pub(crate) fn node_name(&self, node: NodeId) -> String {
        self.graph(|g| g.node_name(node).map_or_else(|| "built".to_owned(), ToString::to_string))
    }

    /// What `found` makes of the source that `is_it` finds.
    pub(crate) fn find_source<R>(
        &self,
        is_it: impl Fn(&SharedSource) -> bool,
        found: impl FnOnce(&SharedSource) -> R,
    ) -> Option<R> {
        self.0.borrow().sources.iter().find(|source| is_it(source)).map(found)
    }

    pub(crate) fn keep_source(&self, source: SharedSource) {
        self.0.borrow_mut().sources.push(source);
    }

    /// The graph, with the faults that only the end shows. What comes later is in no topology.
    pub(crate) fn take_graph(&self) -> GraphBuilder {
        let state = std::mem::take(&mut *self.0.borrow_mut());
        let mut graph = state.graph;
        if let Some(unused) = state.named.iter().find(|pending| !pending.taken.get()) {
            graph.fail(TopologyError::UnusedName { name: unused.name.as_str().to_owned() });
        }
        let (stores, repartitions) = (state.generated_stores, state.generated_repartitions);
        if state.explicit_names && !(stores.is_empty() && repartitions.is_empty()) {
            graph.fail(TopologyError::GeneratedNames { stores, repartitions });
        }
        if graph.has_fault() {
            return graph;
        }
        if state.optimization.merges_repartition_topics {
            merge_repartitions(&mut graph, &state.effects, state.hops);
        }
        if state.optimization.joins_on_one_store {
            join_on_one_store(&mut graph, state.joins_of_one);
        }
        if state.optimization.reuses_source_topics {
            reuse_source_topics(&mut graph, &state.tables_of_topics);
        }
        graph
    }
}

fn numbered(prefix: &str, number: usize) -> String {
    format!("{prefix}{number:010}")
}
