//! `process`: an operator of the user's own.

use std::any::type_name;

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;
use crate::processor::{Processor, ProcessorNode, Stores, connect};

/// What tells `process` from `process_values`.
pub(super) struct Kind {
    pub(super) prefix: &'static str,
    pub(super) effect: Effect,
}

impl<K: Data, V: Data> KStream<K, V> {
    /// Hands each record to a [`Processor`] that uses these stores. `supplier` gets a handle on each
    /// of them, and makes a fresh processor for each task. A grouping after it sends the records
    /// through a repartition topic; where the key stays, use [`Self::process_values`].
    ///
    /// Stores come from [`add_state_store`](crate::StreamsBuilder::add_state_store) or from
    /// [`KTable::store`](crate::KTable::store), and are given as `()`, `&store` or a tuple. For a
    /// longer example see [`Processor`].
    ///
    /// ```
    /// use oncestream_core::Record;
    /// use oncestream_core::error::BoxError;
    /// use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
    /// use oncestream_operators::StreamsBuilder;
    ///
    /// /// Lets the first record of each key pass.
    /// struct First {
    ///     seen: StoreHandle<String, i64>,
    /// }
    ///
    /// impl Processor for First {
    ///     type KeyIn = String;
    ///     type ValueIn = i64;
    ///     type KeyOut = String;
    ///     type ValueOut = i64;
    ///
    ///     fn process(
    ///         &mut self,
    ///         ctx: &mut ProcessorContext<'_, Self>,
    ///         record: Record<String, i64>,
    ///     ) -> Result<(), BoxError> {
    ///         if self.seen.put_if_absent(record.key.clone(), record.value)?.is_none() {
    ///             ctx.forward(record)?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// let seen = builder.add_state_store("seen");
    /// builder.stream::<String, i64>("in").process(&seen, |seen| First { seen }).to("out");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn process<P, S, F>(&self, stores: S, supplier: F) -> KStream<P::KeyOut, P::ValueOut>
    where
        P: Processor<KeyIn = K, ValueIn = V>,
        S: Stores,
        F: Fn(S::Handles) -> P + Send + Sync + 'static,
    {
        let kind = Kind { prefix: "KSTREAM-PROCESSOR-", effect: Effect::Keys };
        self.processor(kind, type_name::<P>(), stores, supplier)
    }

    pub(super) fn processor<P, S, F>(
        &self,
        Kind { prefix, effect }: Kind,
        type_name: &'static str,
        stores: S,
        supplier: F,
    ) -> KStream<P::KeyOut, P::ValueOut>
    where
        P: Processor<KeyIn = K, ValueIn = V>,
        S: Stores,
        F: Fn(S::Handles) -> P + Send + Sync + 'static,
    {
        // Here alone Kafka Streams uses up no number for a given name.
        let name = match self.next_name.take() {
            Some(name) => name.as_str().to_owned(),
            None => self.dsl.generated(prefix),
        };
        let names = connect(&stores, &self.dsl, &name);
        let open = stores.opener();
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &names, move |b, id| {
                ProcessorNode::<P>::instantiate(b, id, type_name, |b, now| {
                    Ok(supplier(open(b, id, now)?))
                })
            })
        });
        self.dsl.note_effect(node, effect);
        KStream::new(self.dsl.clone(), node, self.repartition_required || effect == Effect::Keys)
    }
}
