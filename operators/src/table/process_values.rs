//! `process_values` of a table: values that code of the user's own computes, with stores.

use std::any::type_name;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::state::KeyValue;
use oncestream_core::task::Downstream;

use super::{KTable, StoredTable, TableSpec, View};
use crate::dsl::{Data, StoreKey};
use crate::processor::{OfTable, Output, ProcessorNode, Stores, TableProcessor, connect};

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Replaces each value by what a [`TableProcessor`] computes, which uses these stores. `supplier` gets a
    /// handle on each of them, and makes a fresh processor for each task. It is `transformValues` of Kafka
    /// Streams.
    ///
    /// Give the result a store with [`materialized`](Self::materialized) if what the processor computes
    /// depends on more than the key and the value. Without a store the processor is called again for the old
    /// value of each change, behind the new one, where an operator below needs it, as in Kafka Streams. With
    /// a store it is called once for each change. A table that another one is joined with must have a store,
    /// because it is read; `build` refuses it otherwise ([`TopologyError::NoStore`]).
    ///
    /// Unlike `map_values`, a processor is also called for a key that is deleted, and may give it a value.
    ///
    /// ```
    /// use oncestream_core::error::BoxError;
    /// use oncestream_operators::StreamsBuilder;
    /// use oncestream_operators::processor::{StoreHandle, TableProcessor, TableProcessorContext};
    ///
    /// /// The price, and what it was before.
    /// struct Compare {
    ///     last: StoreHandle<String, i64>,
    /// }
    ///
    /// impl TableProcessor for Compare {
    ///     type Key = String;
    ///     type ValueIn = i64;
    ///     type ValueOut = (i64, Option<i64>);
    ///
    ///     fn process(
    ///         &mut self,
    ///         _ctx: &mut TableProcessorContext<'_, Self>,
    ///         item: &String,
    ///         price: Option<i64>,
    ///     ) -> Result<Option<(i64, Option<i64>)>, BoxError> {
    ///         let Some(price) = price else { return Ok(None) };
    ///         let before = self.last.get(item)?;
    ///         self.last.put(item.clone(), price)?;
    ///         Ok(Some((price, before)))
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// let last = builder.add_state_store("last-prices");
    /// builder
    ///     .table::<String, i64>("prices")
    ///     .process_values(&last, |last| Compare { last })
    ///     .materialized("compared")
    ///     .to_stream()
    ///     .to("compared-prices");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn process_values<P, S, F>(&self, stores: S, supplier: F) -> KTable<K, P::ValueOut>
    where
        P: TableProcessor<Key = K, ValueIn = V>,
        S: Stores,
        F: Fn(S::Handles) -> P + Send + Sync + 'static,
    {
        let spec = TableSpec::new();
        let (of_node, supplier, open) = (spec.clone(), Arc::new(supplier), stores.opener());
        let (dsl, made) = (self.dsl.clone(), Rc::new(Cell::new(None)));
        let added = made.clone();
        let view = move |_: View<K, V>| {
            let node = added.get().map(|node| dsl.node_name(node)).unwrap_or_default();
            dsl.fail(TopologyError::NoStore { node: node.clone() });
            View::of_store::<K, KeyValue>(&node)
        };
        let table = self.add("KTABLE-TRANSFORMVALUES-", spec, view, move |b, id| {
            let (output, out) = match of_node.store() {
                Some(store) => {
                    let table = StoredTable::instantiate(b, id, &of_node, store)?;
                    // The store forwards.
                    (Output::Stored(table), Downstream::None)
                }
                None => {
                    let has_old = of_node.has_old_values();
                    (Output::Forwarded { has_old }, b.downstream(id)?)
                }
            };
            ProcessorNode::with_outlet(b, id, type_name::<P>(), out, |b, now| {
                Ok(OfTable { processor: supplier(open(b, id, now)?), output })
            })
        });
        made.set(Some(table.node));
        let names = connect(&stores, &self.dsl, &self.dsl.node_name(table.node));
        self.dsl.graph(|g| names.iter().for_each(|name| g.connect(table.node, name)));
        table
    }
}
