//! What is known of a table beside its node: which store it has, and whether it forwards old values.
//!
//! Both may be decided by calls that come after the node was added, so nodes read them when a task is
//! made. The rules are those of Kafka Streams' `enableSendingOldValues` and `KTableSource`: a table
//! that is a topic gets a store when an operator cannot do without old values; one that is computed
//! from another passes the question on, unless it has a store of its own.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use oncestream_core::error::TopologyError;
use oncestream_core::graph::NodeId;
use oncestream_core::serde::DynSerde;

use super::KTable;
use crate::dsl::{Data, StoreKey};
use crate::options::{Materialized, StoreName};

/// The store of a table.
pub(crate) struct StoreSpec<V> {
    pub(crate) name: Arc<str>,
    pub(crate) caching: bool,
    pub(crate) value_serde: DynSerde<V>,
}

/// What the node of a table reads when a task is made.
pub(crate) struct TableSpec<V>(Arc<Spec<V>>);

struct Spec<V> {
    store: OnceLock<StoreSpec<V>>,
    old_values: AtomicBool,
}

impl<V> TableSpec<V> {
    /// Without a store, and without old values.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Spec { store: OnceLock::new(), old_values: AtomicBool::new(false) }))
    }

    pub(crate) fn store(&self) -> Option<&StoreSpec<V>> {
        self.0.store.get()
    }

    /// Whether changes have old values.
    pub(crate) fn has_old_values(&self) -> bool {
        self.0.old_values.load(Ordering::Relaxed)
    }

    fn want_old_values(&self) {
        self.0.old_values.store(true, Ordering::Relaxed);
    }

    fn set_store(&self, store: StoreSpec<V>) {
        // The first one stays: who sets it has looked.
        let _ = self.0.store.set(store);
    }
}

impl<V> Clone for TableSpec<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// How a table without a store comes by one, or by old values.
pub(crate) enum Made<K, V> {
    /// An aggregation: its store is there from the beginning.
    WithStore,
    /// From a topic or a stream.
    FromTopic(OnNeed<K, V>),
    /// From another table.
    FromTable {
        /// Begins the generated name of its store.
        prefix: &'static str,
        /// Asks the other table for old values; `true` for whatever it costs.
        ask: Rc<dyn Fn(bool) -> bool>,
    },
}

/// A store that a table gets if an operator needs it.
pub(crate) struct OnNeed<K, V> {
    pub(crate) store: Materialized<K, V>,
    pub(crate) name: StoreName,
    /// The number in the name.
    pub(crate) number: usize,
    /// The number after the last one that the table used up.
    pub(crate) until: usize,
}

/// What all handles on a table share.
pub(crate) struct TableInfo<K, V> {
    pub(crate) spec: TableSpec<V>,
    pub(crate) made: Made<K, V>,
}

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Gives the table a store of this name and these serdes.
    ///
    /// Without it a [`table`](crate::StreamsBuilder::table) and a
    /// [`to_table`](crate::KStream::to_table) have a store only if an operator below needs one, as
    /// [`group_by`](Self::group_by) does; a `filter` and a `map_values` never have one. A table
    /// without a store forwards each update at once; one with a store, unless caching is off, once
    /// per key and commit. A `filter` without a store may forward a deletion of a key that never
    /// passed, as in Kafka Streams; one with a store never does.
    ///
    /// It is to be the first call on the table: the names that are generated for the table's nodes
    /// are then those that Kafka Streams gives them. A `Materialized` without a name gets a generated
    /// one.
    ///
    /// A table that has a store already, as that of an aggregation has, is refused by `build`
    /// ([`TopologyError::AlreadyMaterialized`]).
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let stock = builder.table::<String, i64>("stock").materialized("stock-store");
    /// stock.filter(|_, left| *left < 10).materialized("low").to_stream().to("to-order");
    /// assert_eq!(builder.build().unwrap().store_names().len(), 2);
    /// ```
    pub fn materialized(&self, materialized: impl Into<Materialized<K, V>>) -> Self {
        let mut materialized = materialized.into();
        if let Some(store) = self.info.spec.store() {
            let (node, store) = (self.dsl.node_name(self.node), store.name.to_string());
            self.dsl.fail(TopologyError::AlreadyMaterialized { node, store });
            return self.clone();
        }
        let name = match (&self.info.made, &materialized.name) {
            (Made::FromTopic(on_need), Some(_)) => {
                self.dsl.give_back(on_need.number, on_need.until);
                materialized.store_name(&self.dsl, "")
            }
            (Made::FromTopic(on_need), None) => on_need.name.clone(),
            (Made::FromTable { prefix, .. }, _) => materialized.store_name(&self.dsl, prefix),
            (Made::WithStore, _) => materialized.store_name(&self.dsl, ""),
        };
        if let Made::FromTopic(OnNeed { store, .. }) = &self.info.made
            && materialized.by_type
        {
            // What the topic was told goes for the store too.
            materialized.key_serde = store.key_serde.clone();
            materialized.value_serde = store.value_serde.clone();
        }
        self.give_store(materialized, &name);
        self.clone()
    }

    /// Asks for old values. Without `force` the answer is no if there is no store for them.
    pub(crate) fn ask_old_values(&self, force: bool) -> bool {
        let TableInfo { spec, made } = &*self.info;
        if spec.has_old_values() {
            return true;
        }
        let can = spec.store().is_some()
            || match made {
                Made::WithStore => true,
                Made::FromTopic(_) => force && self.get_store(),
                Made::FromTable { ask, .. } => ask(force),
            };
        if can {
            spec.want_old_values();
        }
        can
    }

    /// Gets the store that the table was to have on need; false for a table that is computed.
    pub(crate) fn get_store(&self) -> bool {
        let TableInfo { spec, made } = &*self.info;
        if let (None, Made::FromTopic(on_need)) = (spec.store(), made) {
            self.give_store(on_need.store.clone(), &on_need.name);
        }
        spec.store().is_some()
    }

    fn give_store(&self, materialized: Materialized<K, V>, name: &StoreName) {
        self.info.spec.add_store(&self.dsl, self.node, materialized, name);
    }
}

impl<V: Data> TableSpec<V> {
    /// Adds a store to the graph, for this node.
    pub(crate) fn add_store<K: StoreKey>(
        &self,
        dsl: &crate::dsl::Dsl,
        node: NodeId,
        materialized: Materialized<K, V>,
        name: &StoreName,
    ) {
        self.set_store(StoreSpec {
            name: name.name.as_str().into(),
            caching: materialized.caching,
            value_serde: materialized.value_serde.clone(),
        });
        materialized.add_to(dsl, name);
        dsl.graph(|g| g.connect(node, &name.name));
    }
}
