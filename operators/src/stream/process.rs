//! `process`: an operator of the user's own.

use std::sync::Arc;

use super::KStream;
use crate::dsl::Data;
use crate::processor::{Processor, ProcessorNode};

impl<K: Data, V: Data> KStream<K, V> {
    /// Hands each record to a [`Processor`], connected to the stores named. `supplier` makes a
    /// fresh one for each task. A grouping after it sends the records through a repartition
    /// topic; where the key stays, use `process_values`.
    ///
    /// Stores come from [`add_state_store`](crate::StreamsBuilder::add_state_store) or from a
    /// [`Materialized`](crate::Materialized). For an example see [`Processor`].
    pub fn process<K2: Data, V2: Data, P, S>(&self, supplier: S, stores: &[&str]) -> KStream<K2, V2>
    where
        P: Processor<K, V, K2, V2> + 'static,
        S: Fn() -> P + Send + Sync + 'static,
    {
        self.processor("KSTREAM-PROCESSOR-", true, supplier, stores)
    }

    pub(super) fn processor<K2: Data, V2: Data, P, S>(
        &self,
        prefix: &str,
        changes_key: bool,
        supplier: S,
        stores: &[&str],
    ) -> KStream<K2, V2>
    where
        P: Processor<K, V, K2, V2> + 'static,
        S: Fn() -> P + Send + Sync + 'static,
    {
        // Here alone Kafka Streams uses up no number for a given name.
        let name = match &self.next_name {
            Some(name) => name.as_str().to_owned(),
            None => self.dsl.generated(prefix),
        };
        let stores: Vec<Arc<str>> = stores.iter().map(|s| Arc::from(*s)).collect();
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &stores, move |b, id| {
                ProcessorNode::<P, K, V, K2, V2>::instantiate(supplier(), b, id)
            })
        });
        KStream::new(self.dsl.clone(), node, self.repartition_required || changes_key)
    }
}
