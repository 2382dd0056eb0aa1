//! `to_table`: a stream's records as updates of a table.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::graph::NodeId;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::{DynSerde, HasSerde, OptionSerde};
use oncestream_core::task::{Context, Node};

use super::KStream;
use super::repartition::{HopNames, ThroughTopic, TopicName};
use crate::dsl::{Data, StoreKey};
use crate::options::{Materialized, StoreName};
use crate::table::{KTable, Made, OnNeed, TableOutput, TableSerdes, TableSpec};

const PREFIX: &str = "KSTREAM-TOTABLE-";

impl<K: Data, V: Data> KStream<K, V> {
    /// A table that holds the last value of each key. The stream's values are `T`, or
    /// `Option<T>`: `None`, or a value that is null to the table's serde, deletes the key.
    ///
    /// The table has a store if it is given one by [`KTable::materialized`], or if an operator below
    /// needs it. The records go through a repartition topic, which has the name of this operator and
    /// the serdes of the types, if an operator before may have changed the key. Records with a null
    /// key are dropped and counted.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder
    ///     .stream::<String, Option<i64>>("in")
    ///     .to_table::<i64>()
    ///     .materialized("last")
    ///     .to_stream()
    ///     .to("out");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn to_table<T: Data + HasSerde>(&self) -> KTable<K, T>
    where
        K: StoreKey + HasSerde,
        V: Into<Option<T>>,
    {
        let dsl = &self.dsl;
        let given = self.next_name.take();
        let name = dsl.name(given, PREFIX);
        let number = dsl.next_number();
        let store = StoreName::generate(dsl, PREFIX);
        let made = |until| {
            let store = OnNeed { store: Materialized::new(), name: store, number, until };
            Made::FromTopic(store)
        };
        if !self.repartition_required {
            let made = made(dsl.next_number());
            return self.table::<V, T>(self.node, &name, made);
        }
        let names = HopNames::generate(dsl);
        let made = made(dsl.next_number());
        let topic = TopicName { name: &name, generated: given.is_none() };
        if let Some(value_serde) = serde_of_stream::<T, V>() {
            let key_serde = K::serde();
            let (partitions, partitioner) = (None, None);
            let through = ThroughTopic { topic, key_serde, value_serde, partitions, partitioner };
            let source = through.add_mergeable(self, names);
            return self.table::<V, T>(source, &name, made);
        }
        let through = ThroughTopic {
            topic,
            key_serde: K::serde(),
            value_serde: Arc::new(OptionSerde::new(T::serde())) as DynSerde<Option<T>>,
            partitions: None,
            partitioner: None,
        };
        let source = through.add(self, names, Into::into);
        self.table::<Option<T>, T>(source, &name, made)
    }

    fn table<W: Data + Into<Option<T>>, T: Data + HasSerde>(
        &self,
        parent: NodeId,
        name: &str,
        made: Made<K, T>,
    ) -> KTable<K, T>
    where
        K: StoreKey + HasSerde,
    {
        let spec = TableSpec::new();
        let of_node = spec.clone();
        let (key_serde, value_serde) = (K::serde(), T::serde());
        let node = self.dsl.graph(|g| {
            g.add_processor(name, &[parent], &[], move |b, id| {
                Ok(Box::new(ToTable::<K, W, T> {
                    key_serde: key_serde.clone(),
                    output: TableOutput::instantiate(b, id, &of_node, &value_serde)?,
                    input: PhantomData,
                }) as Box<dyn Node<K, W>>)
            })
        });
        let serdes = TableSerdes::new(K::serde(), T::serde());
        KTable::new(self.dsl.clone(), node, spec, made).with_serdes(serdes)
    }
}

/// The serde of a stream's values that are `T` or `Option<T>`, as nearly all are.
fn serde_of_stream<T: Data + HasSerde, V: Data>() -> Option<DynSerde<V>> {
    let nullable: DynSerde<Option<T>> = Arc::new(OptionSerde::new(T::serde()));
    let (plain, nullable): (&dyn Any, &dyn Any) = (&T::serde(), &nullable);
    plain.downcast_ref().or_else(|| nullable.downcast_ref()).cloned()
}

struct ToTable<K, W, T> {
    key_serde: DynSerde<K>,
    output: TableOutput<K, T>,
    input: PhantomData<fn(W)>,
}

impl<K: StoreKey, W: Into<Option<T>>, T: Data> Node<K, W> for ToTable<K, W, T> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, W>) -> Result<(), TaskError> {
        if self.key_serde.is_null(&record.key) {
            ctx.drop_record(DropReason::NullKey);
            return Ok(());
        }
        self.output.set(ctx, record.map_value(Into::into))
    }
}
