//! `to_table`: a stream's records as updates of a table.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::graph::NodeId;
use oncestream_core::serde::{DynSerde, OptionSerde};
use oncestream_core::task::{Context, Node, TaskBuilder};

use super::KStream;
use super::repartition::{burn_names, through_topic};
use crate::dsl::{Data, StoreKey};
use crate::options::{Materialized, Repartitioned};
use crate::table::{KTable, OldValues, TableStore};

impl<K: StoreKey, V: Data> KStream<K, V> {
    /// A table that holds the last value of each key. The stream's values are `T`, or
    /// `Option<T>`: `None`, or a value that is null to the table's serde, deletes the key.
    ///
    /// The records go through a repartition topic, named by this operator or else by the store,
    /// if an operator before may have changed the key. Records with a null key are dropped and
    /// counted.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let last = Materialized::<String, i64>::named("last");
    /// builder.stream::<String, Option<i64>>("in").to_table(last).to_stream().to("out");
    /// ```
    pub fn to_table<T: Data>(&self, materialized: Materialized<K, T>) -> KTable<K, T>
    where
        V: Into<Option<T>>,
    {
        let name = self.dsl.name(self.next_name.as_ref(), "KSTREAM-TOTABLE-");
        if !self.repartition_required {
            return self.store::<V, T>(self.node, name, materialized);
        }
        burn_names(&self.dsl);
        let topic = self.next_name.as_ref().map_or(materialized.name.as_str(), |n| n.as_str());
        let options = Repartitioned::with(
            topic,
            materialized.key_serde.clone(),
            std::sync::Arc::new(OptionSerde::new(materialized.value_serde.clone()))
                as DynSerde<Option<T>>,
        );
        let source = through_topic(self, options, Into::into);
        self.store::<Option<T>, T>(source, name, materialized)
    }

    fn store<W: Data + Into<Option<T>>, T: Data>(
        &self,
        parent: NodeId,
        name: String,
        materialized: Materialized<K, T>,
    ) -> KTable<K, T> {
        let old_values = OldValues::default();
        let key_serde = materialized.key_serde.clone();
        let spec = materialized.spec(&old_values);
        let node = self.dsl.graph(|g| {
            materialized.add_to(g);
            g.add_processor(&name, &[parent], &spec.stores(), move |b: &mut TaskBuilder<'_>, id| {
                Ok(Box::new(ToTable::<K, W, T> {
                    key_serde: key_serde.clone(),
                    table: TableStore::instantiate(b, id, &spec)?,
                    input: PhantomData,
                }) as Box<dyn Node<K, W>>)
            })
        });
        KTable::new(self.dsl.clone(), node, old_values)
    }
}

struct ToTable<K, W, T> {
    key_serde: DynSerde<K>,
    table: Rc<RefCell<TableStore<K, T>>>,
    input: PhantomData<fn(W)>,
}

impl<K: StoreKey, W: Into<Option<T>>, T: Data> Node<K, W> for ToTable<K, W, T> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, W>) -> Result<(), TaskError> {
        if self.key_serde.is_null(&record.key) {
            ctx.drop_record();
            return Ok(());
        }
        let Record { key, value, timestamp, headers } = record;
        let record = Record { key, value: (), timestamp, headers };
        self.table.borrow_mut().update(ctx, record, |_, _| (value.into(), timestamp))
    }
}
