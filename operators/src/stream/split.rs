//! `split`: each record to the first branch that wants it.

use std::sync::{Arc, PoisonError, RwLock};

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::graph::NodeId;
use oncestream_core::task::{Context, Downstream, Node, TaskBuilder};

use super::KStream;
use super::pass_through::PassThrough;
use crate::dsl::{Data, Dsl};

type Predicate<K, V> = Arc<dyn Fn(&K, &V) -> bool + Send + Sync>;

impl<K: Data, V: Data> KStream<K, V> {
    /// Splits the stream: a record goes to the first branch whose predicate is true, else to the
    /// default branch, else nowhere.
    ///
    /// Branches are named after the split: `stream.named("split-").split()` gives `split-1`,
    /// `split-2`, and `split-0` for the default branch.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// let mut split = builder.stream::<String, i64>("in").split();
    /// split.branch(|_, v| *v < 0).to("negative");
    /// split.branch(|_, v| *v > 1_000).to("large");
    /// split.default_branch().to("rest");
    /// ```
    pub fn split(&self) -> BranchedKStream<K, V> {
        let name = self.dsl.name(self.next_name.as_ref(), "KSTREAM-BRANCH-");
        let predicates: Arc<RwLock<Vec<Predicate<K, V>>>> = Arc::default();
        let known = predicates.clone();
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &[], move |b: &mut TaskBuilder<'_>, id| {
                // Read when a task is made: branches are added after the split.
                let predicates = known.read().unwrap_or_else(PoisonError::into_inner).clone();
                Ok(Box::new(Split { predicates, out: b.downstream(id)? }) as Box<dyn Node<K, V>>)
            })
        });
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

impl<K: Data, V: Data> BranchedKStream<K, V> {
    /// The records for which `predicate` is true and no branch before was.
    pub fn branch<F>(&mut self, predicate: F) -> KStream<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        let at = self.len() + 1;
        self.branch_named(&at.to_string(), predicate)
    }

    /// Like [`Self::branch`]; the branch is called by the split's name and then `suffix`.
    pub fn branch_named<F>(&mut self, suffix: &str, predicate: F) -> KStream<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        let mut predicates = self.predicates.write().unwrap_or_else(PoisonError::into_inner);
        predicates.push(Arc::new(predicate));
        drop(predicates);
        self.child(suffix)
    }

    /// The records that no branch wanted.
    pub fn default_branch(self) -> KStream<K, V> {
        self.child("0")
    }

    /// Like [`Self::default_branch`]; the branch is called by the split's name and then `suffix`.
    pub fn default_branch_named(self, suffix: &str) -> KStream<K, V> {
        self.child(suffix)
    }

    fn len(&self) -> usize {
        self.predicates.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn child(&self, suffix: &str) -> KStream<K, V> {
        let name = format!("{}{suffix}", self.name);
        // Kafka Streams uses up a number for each branch.
        self.dsl.generated(&name);
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &[], |b: &mut TaskBuilder<'_>, id| {
                let out = b.downstream::<K, V>(id)?;
                Ok(Box::new(PassThrough { out }) as Box<dyn Node<K, V>>)
            })
        });
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
