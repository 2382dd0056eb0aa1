//! `split`: each record to the first branch that wants it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::graph::NodeId;
use oncestream_core::task::{Context, Downstream, Node, TaskBuilder};

use super::KStream;
use super::pass_through::PassThrough;
use crate::dsl::{Data, Dsl};
use crate::optimization::Effect;
use crate::options::Branched;

type Predicate<K, V> = Arc<dyn Fn(&K, &V) -> bool + Send + Sync>;

impl<K: Data, V: Data> KStream<K, V> {
    /// Splits the stream: a record goes to the first branch whose predicate is true, else to the
    /// default branch, else nowhere.
    ///
    /// The last argument of a branch is its name, which stands behind the split's:
    /// `stream.named("split-").split()` and `branch(.., "large")` give `split-large`. Without one
    /// ([`Branched::new`]) it is a number: `split-1`, `split-2`, and `split-0` for the default branch.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// let mut split = builder.stream::<String, i64>("in").named("by-size-").split();
    /// split.branch(|_, v| *v < 0, "negative").to("negative");
    /// split.branch(|_, v| *v > 1_000, "large").to("large");
    /// split.default_branch("rest").to("rest");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn split(&self) -> BranchedKStream<K, V> {
        let name = self.dsl.name(self.next_name.take(), "KSTREAM-BRANCH-");
        let predicates: Arc<RwLock<Vec<Predicate<K, V>>>> = Arc::default();
        let known = predicates.clone();
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &[], move |b: &mut TaskBuilder<'_>, id| {
                // Read when a task is made: branches are added after the split.
                let predicates = known.read().unwrap_or_else(PoisonError::into_inner).clone();
                Ok(Box::new(Split { predicates, out: b.downstream(id)? }) as Box<dyn Node<K, V>>)
            })
        });
        self.dsl.note_effect(node, Effect::Nothing);
        let repartition_required = self.repartition_required;
        BranchedKStream { dsl: self.dsl.clone(), node, name, predicates, repartition_required }
    }
}

/// A stream that is being split. Branches not taken from it cost nothing.
#[must_use = "a split without a branch drops every record"]
pub struct BranchedKStream<K, V> {
    dsl: Dsl,
    node: NodeId,
    name: String,
    predicates: Arc<RwLock<Vec<Predicate<K, V>>>>,
    repartition_required: bool,
}

impl<K, V> fmt::Debug for BranchedKStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BranchedKStream").field("node", &self.name).finish_non_exhaustive()
    }
}

impl<K: Data, V: Data> BranchedKStream<K, V> {
    /// The records for which `predicate` is true and no branch before was.
    pub fn branch<F>(&mut self, predicate: F, branched: impl Into<Branched>) -> KStream<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        let mut predicates = self.predicates.write().unwrap_or_else(PoisonError::into_inner);
        predicates.push(Arc::new(predicate));
        let number = predicates.len();
        drop(predicates);
        self.child(branched.into(), number)
    }

    /// The records that no branch wanted.
    pub fn default_branch(self, branched: impl Into<Branched>) -> KStream<K, V> {
        self.child(branched.into(), 0)
    }

    fn child(&self, branched: Branched, number: usize) -> KStream<K, V> {
        let suffix = branched.suffix.unwrap_or_else(|| number.to_string());
        let name = format!("{}{suffix}", self.name);
        // Kafka Streams uses up a number for each branch.
        self.dsl.generated(&name);
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &[], |b: &mut TaskBuilder<'_>, id| {
                let out = b.downstream::<K, V>(id)?;
                Ok(Box::new(PassThrough { out }) as Box<dyn Node<K, V>>)
            })
        });
        self.dsl.note_effect(node, Effect::Nothing);
        KStream::new(self.dsl.clone(), node, self.repartition_required)
    }
}

/// Child `n` belongs to predicate `n`; a child more is the default.
struct Split<K, V> {
    predicates: Vec<Predicate<K, V>>,
    out: Downstream<K, V>,
}

impl<K: Data, V: Data> Node<K, V> for Split<K, V> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let wanted = self.predicates.iter().position(|p| p(&record.key, &record.value));
        match self.out.child(wanted.unwrap_or(self.predicates.len())) {
            Some(child) => child.process(ctx, record),
            None => Ok(()),
        }
    }
}
