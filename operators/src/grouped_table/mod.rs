//! [`KGroupedTable`]: the entries of a table under other keys, ready to be aggregated.

mod aggregate;
mod count;
mod reduce;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};

use oncestream_core::graph::NodeId;
use oncestream_core::serde::DynSerde;

use crate::dsl::{Data, Dsl, NextName};
use crate::options::{Grouped, Named, StoreName};
use crate::stream::Hop;
use crate::table::ChangeSerde;

/// The serdes of a grouping, as its node reads them.
type Serdes<K, V> = Arc<RwLock<(DynSerde<K>, DynSerde<V>)>>;

/// The entries of a table, grouped by a new key. An aggregation adds what comes into a group and
/// subtracts what leaves it.
///
/// ```
/// use oncestream_operators::{KTable, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let balances: KTable<String, i64> = builder.table("balances");
/// let by_bank = balances.group_by(|account, balance| (account[..4].to_owned(), *balance));
/// by_bank.reduce(|sum, new| sum + new, |sum, old| sum - old, "sums-of-banks").to_stream().to("sums");
/// # assert!(builder.build().is_ok());
/// ```
pub struct KGroupedTable<K, V> {
    pub(crate) dsl: Dsl,
    node: NodeId,
    grouped: Grouped<K, V>,
    serdes: Serdes<K, V>,
    next_name: NextName,
    /// The source behind the repartition topic that a named grouping shares between all its
    /// aggregations.
    shared: Rc<Cell<Option<NodeId>>>,
}

impl<K: Data, V: Data> KGroupedTable<K, V> {
    pub(crate) fn new(
        dsl: Dsl,
        node: NodeId,
        grouped: Grouped<K, V>,
        serdes: Serdes<K, V>,
    ) -> Self {
        Self { dsl, node, grouped, serdes, next_name: NextName::default(), shared: Rc::default() }
    }

    /// Gives the grouping a name, serdes, or both: see [`Grouped`]. It is to be called before the
    /// first aggregation.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .table::<i64, String>("user-city")
    ///     .group_by(|user, city| (city.clone(), *user))
    ///     .grouped("by-city")
    ///     .count("users-per-city");
    /// let topics = builder.build().unwrap().internal_topics("app");
    /// assert!(topics.contains("app-by-city-repartition"));
    /// ```
    #[must_use = "the grouping without this call is the same one; go on with what it returns"]
    pub fn grouped(&self, grouped: impl Into<Grouped<K, V>>) -> Self {
        let grouped = grouped.into();
        if let Some(name) = &grouped.name {
            self.dsl.graph(|g| g.rename(self.node, name));
        }
        let serdes = (grouped.key_serde.clone(), grouped.value_serde.clone());
        *self.serdes.write().unwrap_or_else(PoisonError::into_inner) = serdes;
        let name = grouped.name.clone().or_else(|| self.grouped.name.clone());
        Self { grouped: Grouped { name, ..grouped }, shared: Rc::default(), ..self.clone() }
    }

    /// The same grouping; the next aggregation called on what this returns gets the name. A name that
    /// no aggregation gets is refused by `build`.
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self { next_name: self.dsl.next_name(name), ..self.clone() }
    }

    /// The source behind the repartition topic, and the name of the aggregation. Names are made
    /// in the order of Kafka Streams.
    fn partitioned(&self, store: &StoreName, prefix: &str) -> (NodeId, String) {
        let next = self.next_name.take();
        let sink_name = self.dsl.suffixed(next, "-sink", "KSTREAM-SINK-");
        let source_name = self.dsl.suffixed(next, "-source", "KSTREAM-SOURCE-");
        let name = self.dsl.name(next, prefix);
        let named = self.grouped.name.as_deref();
        if let (Some(_), Some(source)) = (named, self.shared.get()) {
            return (source, name);
        }
        if named.is_none() && store.generated {
            self.dsl.note_generated_repartition(&store.name);
        }
        let topic = named.unwrap_or(&store.name);
        let topic = self.dsl.graph(|g| g.add_repartition(topic, None));
        let hop = Hop {
            topic,
            sink_name,
            source_name,
            key_serde: self.grouped.key_serde.clone(),
            value_serde: Arc::new(ChangeSerde::new(self.grouped.value_serde.clone())),
            partitioner: None,
        };
        let source = hop.add(&self.dsl, self.node);
        self.shared.set(Some(source));
        (source, name)
    }
}

impl<K, V> Clone for KGroupedTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            dsl: self.dsl.clone(),
            node: self.node,
            grouped: self.grouped.clone(),
            serdes: self.serdes.clone(),
            next_name: self.next_name.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<K, V> fmt::Debug for KGroupedTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KGroupedTable")
            .field("node", &self.dsl.node_name(self.node))
            .field("grouped", &self.grouped)
            .finish_non_exhaustive()
    }
}
