//! `group_by` of a table: its entries under other keys, for aggregations that follow changes.

use std::marker::PhantomData;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::task::{Context, Downstream, Node};

use super::{Change, KTable};
use crate::dsl::{Data, StoreKey};
use crate::grouped_table::KGroupedTable;
use crate::options::{Grouped, Named};

impl<K: Data, V: Data> KTable<K, V> {
    /// Groups the entries by a new key, each with a new value. The changes go through a
    /// repartition topic; a change of the key takes the value out of the old group and adds it
    /// to the new one.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .table("user-city", Materialized::<i64, String>::named("cities"))
    ///     .group_by(|user, city| (city.clone(), *user))
    ///     .count(Materialized::named("users-per-city"));
    /// ```
    pub fn group_by<K2, V2, F>(&self, selector: F) -> KGroupedTable<K2, V2>
    where
        K2: StoreKey + HasSerde,
        V2: Data + HasSerde,
        F: Fn(&K, &V) -> (K2, V2) + Send + Sync + 'static,
    {
        self.group_by_with(selector, Grouped::new())
    }

    /// Groups the entries, with a name and serdes for the repartition topic. Entries that get a
    /// null key or a null value are in no group.
    pub fn group_by_with<K2: StoreKey, V2: Data, F>(
        &self,
        selector: F,
        grouped: Grouped<K2, V2>,
    ) -> KGroupedTable<K2, V2>
    where
        F: Fn(&K, &V) -> (K2, V2) + Send + Sync + 'static,
    {
        let named = grouped.name.as_deref().map(Named::new).or_else(|| self.next_name.clone());
        let name = self.dsl.name(named.as_ref(), "KTABLE-SELECT-");
        self.old_values.ask();
        let Grouped { key_serde, value_serde, .. } = grouped.clone();
        let selector = Arc::new(selector);
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &[], move |b, id| {
                Ok(Box::new(RepartitionMap {
                    selector: selector.clone(),
                    key_serde: key_serde.clone(),
                    value_serde: value_serde.clone(),
                    out: b.downstream(id)?,
                    input: PhantomData,
                }) as Box<dyn Node<K, Change<V>>>)
            })
        });
        KGroupedTable::new(self.dsl.clone(), node, grouped)
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
        let old = self.select(&key, value.old);
        let new = self.select(&key, value.new);
        let mut send = |key: K2, new: Option<V2>, old: Option<V2>| {
            let headers = headers.clone();
            self.out.forward(ctx, Record { key, value: Change { new, old }, timestamp, headers })
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
