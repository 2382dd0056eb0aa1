//! `filter` and `filter_not` of a table: some keys only.
//!
//! A key whose value no longer passes is deleted downstream. Where the table above has a store, old
//! values are asked for, as in Kafka Streams, so that a key that never passed is not deleted there;
//! where it has none, a deletion goes on for each value that does not pass. With a store of its own a
//! filter looks there.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::serde::DynSerde;
use oncestream_core::task::{Context, Downstream, Node};

use super::{Change, KTable, StoredTable, TableSpec, View};
use crate::dsl::{Data, StoreKey};

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// The keys whose value makes `predicate` true.
    ///
    /// The result has no store unless it is [materialized](Self::materialized). Without one, a value
    /// that does not pass is a deletion, also of a key that never passed if the table above has no
    /// store either: then nobody knows the value before. With one, only what had passed is deleted.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let stock = builder.table::<String, i64>("stock").materialized("stock");
    /// stock.filter(|_, left| *left < 10).to_stream().to("to-order");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn filter<F>(&self, predicate: F) -> KTable<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        self.keep(predicate)
    }

    /// The keys whose value makes `predicate` false; see [`Self::filter`].
    pub fn filter_not<F>(&self, predicate: F) -> KTable<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        self.keep(move |key, value| !predicate(key, value))
    }

    fn keep<F>(&self, predicate: F) -> KTable<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        let spec = TableSpec::new();
        let (predicate, of_node) = (Arc::new(predicate), spec.clone());
        let (of_view, above) = (predicate.clone(), self.info.spec.clone());
        let kept = Arc::new(move |key: &K, value: V| Some(value).filter(|v| of_view(key, v)));
        let view = move |above: View<K, V>| above.then(kept.clone());
        let filtered = self.add("KTABLE-FILTER-", spec, view, move |b, id| {
            let predicate = predicate.clone();
            let tells_all = above.history_ms().is_some();
            let Some(store) = of_node.store() else {
                let (has_old, out) = (of_node.has_old_values(), b.downstream(id)?);
                return Ok(Box::new(Filter { predicate, has_old, tells_all, out }));
            };
            let table = StoredTable::instantiate(b, id, &of_node, store)?;
            let value_serde = store.value_serde.clone();
            Ok(Box::new(MaterializedFilter { predicate, value_serde, tells_all, table }))
        });
        // If they are to be had without a store that nobody asked for.
        filtered.ask_old_values(false);
        KTable { serdes: self.serdes.clone(), ..filtered }
    }
}

struct Filter<K, V, F> {
    predicate: Arc<F>,
    has_old: bool,
    /// Of a table with versions, also deletions of what never passed, as in Kafka Streams.
    tells_all: bool,
    out: Downstream<K, Change<V>>,
}

impl<K: Data, V: Data, F: Fn(&K, &V) -> bool> Node<K, Change<V>> for Filter<K, V, F> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value: Change { new, old, is_latest }, timestamp, headers } = record;
        let new = new.filter(|v| (self.predicate)(&key, v));
        let old = old.filter(|v| self.has_old && (self.predicate)(&key, v));
        if self.has_old && !self.tells_all && new.is_none() && old.is_none() {
            return Ok(());
        }
        let value = Change { new, old, is_latest };
        self.out.forward(ctx, Record { key, value, timestamp, headers })
    }
}

struct MaterializedFilter<K, V, F> {
    predicate: Arc<F>,
    value_serde: DynSerde<V>,
    /// As of [`Filter`].
    tells_all: bool,
    table: StoredTable<K, V>,
}

impl<K: StoreKey, V: Data, F: Fn(&K, &V) -> bool> Node<K, Change<V>>
    for MaterializedFilter<K, V, F>
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        // A null is a deletion, of which no predicate is asked.
        let present = value.new.filter(|v| !self.value_serde.is_null(v));
        let new = present.filter(|v| (self.predicate)(&key, v));
        let table = &mut self.table;
        if new.is_none() && !self.tells_all {
            match table.may_have_told(&key) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return table.refused(ctx, timestamp, &headers, error),
            }
        }
        let record = Record { key, value: (), timestamp, headers };
        table.update(ctx, record, |_, _| (new, timestamp))
    }
}
