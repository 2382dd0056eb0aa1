//! `merge`: two streams as one.

use oncestream_core::error::TopologyError;
use oncestream_core::task::{Node, TaskBuilder};

use super::KStream;
use super::pass_through::PassThrough;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// The records of both streams, each stream in its order, without an order between them.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// let web = builder.stream::<String, i64>("web");
    /// builder.stream::<String, i64>("app").merge(&web).to("all");
    /// ```
    pub fn merge(&self, other: &KStream<K, V>) -> KStream<K, V> {
        let name = self.dsl.name(self.next_name.take(), "KSTREAM-MERGE-");
        let same = self.dsl.is(&other.dsl);
        let node = self.dsl.graph(|g| {
            let mut parents = vec![self.node];
            if same {
                parents.push(other.node);
            } else {
                g.fail(TopologyError::ForeignHandle { node: name.clone() });
            }
            g.add_processor(&name, &parents, &[], |b: &mut TaskBuilder<'_>, id| {
                let out = b.downstream::<K, V>(id)?;
                Ok(Box::new(PassThrough { out }) as Box<dyn Node<K, V>>)
            })
        });
        self.dsl.note_effect(node, Effect::Merge);
        let repartition_required = self.repartition_required || other.repartition_required;
        KStream::new(self.dsl.clone(), node, repartition_required)
    }
}
