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
use oncestream_core::serde::{DynSerde, Part};
use oncestream_core::state::Kind;

use super::{KTable, View, join};
use crate::dsl::{Data, StoreKey};
use crate::options::{Materialized, StoreName};

/// The store of a table.
pub(crate) struct StoreSpec<V> {
    pub(crate) name: Arc<str>,
    pub(crate) caching: bool,
    /// Values go without being told of.
    pub(crate) forgets: bool,
    /// How long versions are kept, in milliseconds, if it has versions.
    pub(crate) history_ms: Option<i64>,
    pub(crate) value_serde: DynSerde<V>,
}

/// What the node of a table reads when a task is made.
pub(crate) struct TableSpec<V> {
    shared: Arc<Spec<V>>,
    /// Which of several nodes that aggregate into one table has this.
    part: Option<usize>,
}

struct Spec<V> {
    store: OnceLock<StoreSpec<V>>,
    old_values: AtomicBool,
    /// No old value but one that was told before.
    told_before: AtomicBool,
    /// Processors may have the store.
    given_away: AtomicBool,
    /// The history of the table above, which it has as long as it has no store.
    above: OnceLock<Box<dyn Fn() -> Option<i64> + Send + Sync>>,
}

impl<V> TableSpec<V> {
    /// Without a store, and without old values.
    pub(crate) fn new() -> Self {
        let [old_values, told_before, given_away] = [const { AtomicBool::new(false) }; 3];
        let (store, above) = (OnceLock::new(), OnceLock::new());
        let shared = Arc::new(Spec { store, old_values, told_before, given_away, above });
        Self { shared, part: None }
    }

    /// The same for one of several nodes that aggregate into the table.
    pub(crate) fn of_part(&self, part: usize) -> Self {
        Self { part: Some(part), ..self.clone() }
    }

    /// What a node remembers its own time by: the store's name is steadier than a generated one of the
    /// node.
    pub(crate) fn observed(&self) -> String {
        let store = self.store().map_or("", |store| &store.name);
        match self.part {
            Some(part) => format!("{store}-{part}-observed"),
            None => format!("{store}-observed"),
        }
    }

    pub(crate) fn store(&self) -> Option<&StoreSpec<V>> {
        self.shared.store.get()
    }

    /// How long the table keeps versions, in milliseconds; `None` if it has none. A table without a store
    /// has those of the table above.
    pub(crate) fn history_ms(&self) -> Option<i64> {
        match self.store() {
            Some(store) => store.history_ms,
            None => self.shared.above.get().and_then(|above| above()),
        }
    }

    /// Processors get the store, and may write it.
    pub(super) fn give_away(&self) {
        self.shared.given_away.store(true, Ordering::Relaxed);
    }

    /// Whether it has a store in which only that is, and for ever, what its records have put there.
    pub(super) fn follows_source(&self) -> bool {
        let given_away = self.shared.given_away.load(Ordering::Relaxed);
        let keeps_all = |store: &StoreSpec<V>| !store.forgets && store.history_ms.is_none();
        !given_away && self.store().is_some_and(keeps_all)
    }

    /// Says which history the table has while it has no store.
    pub(super) fn inherit(&self, above: impl Fn() -> Option<i64> + Send + Sync + 'static) {
        // Once: the node is made once.
        let _ = self.shared.above.set(Box::new(above));
    }

    /// Whether changes have old values.
    pub(crate) fn has_old_values(&self) -> bool {
        self.shared.old_values.load(Ordering::Relaxed)
    }

    /// Whether an old value must have been told before: Kafka Streams takes what an aggregation begins
    /// with for one.
    pub(crate) fn asks_for_told_before(&self) -> bool {
        self.shared.told_before.load(Ordering::Relaxed)
    }

    fn want_old_values(&self) {
        self.shared.old_values.store(true, Ordering::Relaxed);
    }

    fn set_store(&self, store: StoreSpec<V>) {
        // The first one stays: who sets it has looked.
        let _ = self.shared.store.set(store);
    }
}

impl<V> Clone for TableSpec<V> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), part: self.part }
    }
}

/// How a table without a store comes by one, or by old values.
pub(crate) enum Made<K, V> {
    /// An aggregation: its store is there from the beginning, and is read so.
    WithStore(View<K, V>),
    /// From a topic or a stream.
    FromTopic(OnNeed<K, V>),
    /// From another table.
    FromTable {
        /// Begins the generated name of its store.
        prefix: &'static str,
        /// Asks the other table for old values; `true` for whatever it costs.
        ask: Rc<dyn Fn(bool) -> bool>,
        /// Asks it for those that were told before.
        above: Rc<dyn Fn()>,
        /// How it is read without a store.
        view: Rc<dyn Fn() -> View<K, V>>,
    },
    /// From two tables.
    Joined {
        /// Asks both for old values, whatever it costs.
        ask: Rc<dyn Fn()>,
        /// Asks both for those that were told before.
        above: Rc<dyn Fn()>,
        /// How it is read without a store.
        view: Rc<dyn Fn() -> View<K, V>>,
        /// The number of a generated name of its store, which comes before those of the nodes.
        number: usize,
        /// The number after those of the nodes.
        until: usize,
    },
    /// From another table, by a buffer: it has no store, and gets none.
    Suppressed {
        /// As of [`Self::FromTable`].
        ask: Rc<dyn Fn(bool) -> bool>,
        /// As of [`Self::FromTable`].
        view: Rc<dyn Fn() -> View<K, V>>,
    },
}

/// The serdes of a table, as far as they are known: those of its store or its topic, and else those of
/// the table above. An operator that needs one asks here.
pub(crate) struct TableSerdes<K, V> {
    pub(crate) key: Option<DynSerde<K>>,
    pub(crate) value: Option<DynSerde<V>>,
}

impl<K, V> TableSerdes<K, V> {
    /// Those of a key and a value.
    pub(crate) fn new(key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self { key: Some(key), value: Some(value) }
    }

    /// Those of a store.
    pub(crate) fn of<Kd>(store: &Materialized<K, V, Kd>) -> Self {
        Self::new(store.key_serde.clone(), store.value_serde.clone())
    }

    /// Those of a table with the same keys and other values.
    pub(crate) fn of_keys<V2>(&self) -> TableSerdes<K, V2> {
        TableSerdes { key: self.key.clone(), value: None }
    }
}

impl<K, V> Default for TableSerdes<K, V> {
    fn default() -> Self {
        Self { key: None, value: None }
    }
}

impl<K, V> Clone for TableSerdes<K, V> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), value: self.value.clone() }
    }
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
        if let Made::Suppressed { .. } = self.info.made {
            let node = self.dsl.node_name(self.node);
            self.dsl.fail(TopologyError::SuppressedTable { node });
            return self.clone();
        }
        let name = match (&self.info.made, &materialized.name) {
            (Made::FromTopic(on_need), Some(_)) => {
                self.dsl.give_back(on_need.number, on_need.until);
                materialized.store_name(&self.dsl, "")
            }
            (Made::FromTopic(on_need), None) => on_need.name.clone(),
            (Made::FromTable { prefix, .. }, _) => materialized.store_name(&self.dsl, prefix),
            (Made::Joined { number, until, .. }, None) => {
                StoreName::generate_at(&self.dsl, *number, *until, join::PREFIX)
            }
            (Made::WithStore(_) | Made::Joined { .. } | Made::Suppressed { .. }, _) => {
                materialized.store_name(&self.dsl, "")
            }
        };
        if let Made::FromTopic(OnNeed { store, .. }) = &self.info.made
            && materialized.by_type
        {
            // What the topic was told goes for the store too.
            materialized.key_serde = store.key_serde.clone();
            materialized.value_serde = store.value_serde.clone();
        }
        let serdes = TableSerdes::of(&materialized);
        self.give_store(materialized, &name);
        self.clone().with_serdes(serdes)
    }

    /// The same table, with the serdes that its keys and values have in its store or its topic.
    pub(crate) fn with_serdes(self, serdes: TableSerdes<K, V>) -> Self {
        Self { serdes, ..self }
    }

    /// Asks for old values, whatever it costs, that were told before.
    pub(crate) fn ask_told_before(&self) {
        self.ask_old_values(true);
        self.info.spec.shared.told_before.store(true, Ordering::Relaxed);
        match &self.info.made {
            Made::FromTable { above, .. } | Made::Joined { above, .. }
                if self.info.spec.store().is_none() =>
            {
                above();
            }
            _ => {}
        }
    }

    /// Asks for old values. Without `force` the answer is no if there is no store for them.
    pub(crate) fn ask_old_values(&self, force: bool) -> bool {
        let TableInfo { spec, made } = &*self.info;
        // An old value that has expired is none, though it was told: who can do without does better.
        if !force && spec.store().is_some_and(|store| store.forgets) {
            return false;
        }
        if spec.has_old_values() {
            return true;
        }
        // As in Kafka Streams also where the join has a store: filters above then know what had passed.
        if let Made::Joined { ask, .. } = made {
            ask();
        }
        let can = spec.store().is_some()
            || match made {
                Made::WithStore(_) | Made::Joined { .. } => true,
                Made::FromTopic(_) => force && self.get_store(),
                Made::FromTable { ask, .. } | Made::Suppressed { ask, .. } => ask(force),
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

    /// The serdes of the table, or the one that was given for its values; `None`, and `build` fails, if one
    /// is not known.
    pub(crate) fn known_serdes(
        &self,
        node: &str,
        given: Option<DynSerde<V>>,
    ) -> Option<(DynSerde<K>, DynSerde<V>)> {
        let stored = self.info.spec.store().map(|store| store.value_serde.clone());
        let value = given.or(stored).or_else(|| self.serdes.value.clone());
        let key = self.serdes.key.clone();
        let part = if key.is_none() { Part::Key } else { Part::Value };
        let both = key.zip(value);
        if both.is_none() {
            self.dsl.fail(TopologyError::NoSerde { node: node.to_owned(), part });
        }
        both
    }

    fn give_store(&self, materialized: Materialized<K, V>, name: &StoreName) {
        self.info.spec.add_store(&self.dsl, &[self.node], materialized, name);
    }
}

impl<V: Data> TableSpec<V> {
    /// Adds a store to the graph, for these nodes.
    pub(crate) fn add_store<K: StoreKey, Kd: Kind<K>>(
        &self,
        dsl: &crate::dsl::Dsl,
        nodes: &[NodeId],
        materialized: Materialized<K, V, Kd>,
        name: &StoreName,
    ) where
        Kd::Key: StoreKey,
    {
        self.set_store(StoreSpec {
            name: name.name.as_str().into(),
            caching: materialized.caching,
            forgets: materialized.kind.time_to_live().is_some(),
            history_ms: materialized.history_ms(),
            value_serde: materialized.value_serde.clone(),
        });
        materialized.add_to(dsl, name);
        dsl.graph(|g| nodes.iter().for_each(|node| g.connect(*node, &name.name)));
    }
}
