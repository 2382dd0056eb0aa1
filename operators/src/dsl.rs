//! The graph under construction, shared by the handles of one builder, and its names.

use std::cell::RefCell;
use std::rc::Rc;

use oncestream_core::graph::GraphBuilder;

use crate::options::Named;
use crate::sources::SharedSource;

/// What a type needs to travel through a topology. Keys and values of every operator have it.
pub trait Data: Clone + 'static {}
impl<T: Clone + 'static> Data for T {}

/// What a type needs to be the key of a store.
pub trait StoreKey: Data + std::hash::Hash + Eq {}
impl<T: Data + std::hash::Hash + Eq> StoreKey for T {}

#[derive(Default)]
struct State {
    graph: GraphBuilder,
    next_index: usize,
    sources: Vec<SharedSource>,
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
        let index = state.next_index;
        state.next_index += 1;
        format!("{prefix}{index:010}")
    }

    /// True for handles of one builder.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn graph<R>(&self, f: impl FnOnce(&mut GraphBuilder) -> R) -> R {
        f(&mut self.0.borrow_mut().graph)
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

    pub(crate) fn take_graph(&self) -> GraphBuilder {
        let mut state = self.0.borrow_mut();
        state.sources.clear();
        std::mem::take(&mut state.graph)
    }
}
