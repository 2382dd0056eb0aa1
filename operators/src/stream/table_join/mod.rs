//! Joins of a stream with a table by the key. `inner` and `left` are the operators, on one node.
//!
//! The node stands below the stream alone and reads the table's store, so only records of the stream give
//! results. Which update of the table a record sees is decided by the order in which the task takes the
//! records of both, which is that of their times.

mod inner;
mod left;
mod node;

use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::task::Node;

use self::node::TableJoin;
use super::KStream;
use super::repartition::JoinSide;
use crate::dsl::{Data, StoreKey};
use crate::options::Joined;

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
        let Joined { table, key_serde, value_serde, name } = joined;
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
        let stores = view.stores().to_vec();
        let join = Arc::new(join);
        let node = dsl.graph(|g| {
            g.copartition(&[parent, table.node]);
            g.add_processor(&name, &[parent], &stores, move |b, id| {
                Ok(Box::new(TableJoin {
                    table: view.reader(b, id)?,
                    key_serde: key_serde.clone(),
                    value_serde: value_serde.clone(),
                    takes_null_keys,
                    join: join.clone(),
                    name: b.node_name(id),
                    out: b.downstream(id)?,
                }) as Box<dyn Node<K, V>>)
            })
        });
        KStream::new(dsl.clone(), node, false)
    }
}
