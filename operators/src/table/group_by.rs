//! `group_by` of a table: its entries under other keys, for aggregations that follow changes.

use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::task::{Context, Downstream, Node};

use super::{Change, KTable};
use crate::dsl::{Data, StoreKey};
use crate::grouped_table::KGroupedTable;
use crate::options::Grouped;

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Groups the entries by a new key, each with a new value. The changes go through a
    /// repartition topic; a change of the key takes the value out of the old group and adds it
    /// to the new one. Entries that get a null key or a null value are in no group.
    ///
    /// A name and other serdes are given to what this returns: [`KGroupedTable::grouped`]. A name
    /// that was [given before](Self::named) is the grouping's.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .table::<i64, String>("user-city")
    ///     .group_by(|user, city| (city.clone(), *user))
    ///     .count("users-per-city");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn group_by<K2, V2, F>(&self, selector: F) -> KGroupedTable<K2, V2>
    where
        K2: StoreKey + HasSerde,
        V2: Data + HasSerde,
        F: Fn(&K, &V) -> (K2, V2) + Send + Sync + 'static,
    {
        let named = self.next_name.take();
        let name = self.dsl.name(named, "KTABLE-SELECT-");
        self.ask_old_values(true);
        let name_of_topic = named.map(|named| named.as_str().to_owned());
        let grouped = Grouped { name: name_of_topic, ..Grouped::new() };
        // Read when a task is made: what `grouped` is told comes after the node.
        let serdes =
            Arc::new(RwLock::new((grouped.key_serde.clone(), grouped.value_serde.clone())));
        let (selector, of_node) = (Arc::new(selector), serdes.clone());
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &[], move |b, id| {
                let serdes = of_node.read().unwrap_or_else(PoisonError::into_inner).clone();
                let (key_serde, value_serde) = serdes;
                Ok(Box::new(RepartitionMap {
                    selector: selector.clone(),
                    key_serde,
                    value_serde,
                    out: b.downstream(id)?,
                    input: PhantomData,
                }) as Box<dyn Node<K, Change<V>>>)
            })
        });
        KGroupedTable::new(self.dsl.clone(), node, grouped, serdes)
    }
}

struct RepartitionMap<K, V, K2, V2, F> {
    selector: Arc<F>,
    key_serde: DynSerde<K2>,
    value_serde: DynSerde<V2>,
    out: Downstream<K2, Change<V2>>,
    input: PhantomData<fn(K, V)>,
}

impl<K, V, K2, V2, F: Fn(&K, &V) -> (K2, V2)> RepartitionMap<K, V, K2, V2, F> {
    fn select(&self, key: &K, value: Option<V>) -> Option<(K2, V2)> {
        let (key, value) = (self.selector)(key, &value?);
        let null = self.key_serde.is_null(&key) || self.value_serde.is_null(&value);
        (!null).then_some((key, value))
    }
}

impl<K: Data, V: Data, K2: StoreKey, V2: Data, F> Node<K, Change<V>>
    for RepartitionMap<K, V, K2, V2, F>
where
    F: Fn(&K, &V) -> (K2, V2),
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        // A group has the newest version of each key alone.
        if !value.is_latest {
            return Ok(());
        }
        let old = self.select(&key, value.old);
        let new = self.select(&key, value.new);
        let mut send = |key: K2, new: Option<V2>, old: Option<V2>| {
            let headers = headers.clone();
            let value = Change::latest(new, old);
            self.out.forward(ctx, Record { key, value, timestamp, headers })
        };
        match (old, new) {
            // One record, so that both halves stay together in the group's partition.
            (Some((from, old)), Some((to, new))) if from == to => send(to, Some(new), Some(old)),
            (old, new) => {
                if let Some((key, old)) = old {
                    send(key, None, Some(old))?;
                }
                if let Some((key, new)) = new {
                    send(key, Some(new), None)?;
                }
                Ok(())
            }
        }
    }
}
