//! Joins of a stream with a table by the key. `inner` and `left` are the operators, on one node.
//!
//! The node stands below the stream alone and reads the table's store, so only records of the stream give
//! results. Which update of the table a record sees is decided by the order in which the task takes the
//! records of both, which is that of their times.

mod buffer;
mod buffered;
mod inner;
mod left;
mod node;

use std::sync::Arc;
use std::time::Duration;

use oncestream_core::error::TopologyError;
use oncestream_core::task::Node;

use self::buffer::add_buffer;
use self::buffered::Buffered;
use self::node::TableJoin;
use super::KStream;
use super::repartition::JoinSide;
use crate::dsl::{Data, StoreKey};
use crate::options::{Joined, StoreName};
use crate::table::KTable;

/// What a record and a value of the table give.
trait Join<K, V, V2, R>: Fn(&K, &V, Option<&V2>) -> Option<R> + Send + Sync + 'static {}

impl<K, V, V2, R, F> Join<K, V, V2, R> for F where
    F: Fn(&K, &V, Option<&V2>) -> Option<R> + Send + Sync + 'static
{
}

impl<K: StoreKey, V: Data> KStream<K, V> {
    /// The node that both joins share. Names are made in the order of Kafka Streams. `takes_null_keys`:
    /// records without a key are joined with no value.
    fn join_with_table<V2: Data, R: Data>(
        &self,
        joined: Joined<K, V, V2>,
        prefix: &str,
        takes_null_keys: bool,
        join: impl Join<K, V, V2, R>,
    ) -> KStream<K, R> {
        let Joined { table, key_serde, value_serde, name, grace } = joined;
        let dsl = &self.dsl;
        let named = name.as_ref().or_else(|| self.next_name.take());
        let parent = self.partitioned_for_join(JoinSide {
            topic: named.map(|named| named.as_str().to_owned()),
            key_serde: key_serde.clone(),
            value_serde: value_serde.clone(),
        });
        let name = dsl.name(named, prefix);
        if !dsl.is(&table.dsl) {
            dsl.fail(TopologyError::ForeignHandle { node: name.clone() });
        }
        if takes_null_keys {
            dsl.keep_null_keys(parent);
        }
        let view = table.view();
        let buffer = grace.map(|grace| {
            self.check_grace(&table, &name, grace);
            let store = StoreName { name: format!("{name}-Buffer"), generated: named.is_none() };
            add_buffer(dsl, &store, key_serde.clone(), value_serde.clone());
            (Arc::<str>::from(store.name), millis(grace))
        });
        let mut stores = view.stores().to_vec();
        stores.extend(buffer.as_ref().map(|(store, _)| store.clone()));
        let join = Arc::new(join);
        let node = dsl.graph(|g| {
            g.copartition(&[parent, table.node]);
            g.add_processor(&name, &[parent], &stores, move |b, id| {
                let join = TableJoin {
                    table: view.reader(b, id)?,
                    key_serde: key_serde.clone(),
                    value_serde: value_serde.clone(),
                    takes_null_keys,
                    join: join.clone(),
                    name: b.node_name(id),
                    out: b.downstream(id)?,
                };
                Ok(match &buffer {
                    None => Box::new(join) as Box<dyn Node<K, V>>,
                    Some((store, grace_ms)) => {
                        Box::new(Buffered::instantiate(b, id, join, store, *grace_ms)?)
                    }
                })
            })
        });
        KStream::new(dsl.clone(), node, false)
    }

    /// The history of the table must reach back to the time of a record that has waited.
    fn check_grace<V2: Data>(&self, table: &KTable<K, V2>, node: &str, grace: Duration) {
        let grace_ms = millis(grace);
        let reason = match table.history_ms() {
            Some(history_ms) if history_ms >= grace_ms => return,
            Some(history_ms) => format!(
                "the table has a history of {history_ms} ms and is read {grace_ms} ms later; give \
                 versioned() as much as grace() at least"
            ),
            None => {
                "a record that has waited is joined as of its time, and the table has no versions; \
                     make it with Materialized::versioned()"
                    .to_owned()
            }
        };
        let at = format!("the grace of `{node}`");
        self.dsl.fail(TopologyError::InvalidVersions { at, reason });
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
